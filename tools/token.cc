// `stepdb token`: make, list and revoke the tokens of a store, on its machine.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "engine/io/environment.h"
#include "engine/model/schema.h"
#include "query/literals.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"
#include "tools/token_file.h"

namespace stepdb {

namespace {

struct TokenOptions {
    TokenOptions() = default;

    std::string data;
    std::string name;
    std::vector<std::string> read;
    std::vector<std::string> write;
    std::vector<std::string> admin;
    std::vector<std::string> metrics;
    std::string expires;
    uint64_t connections = 0;
    std::string rows_per_second;
    std::string queries_per_second;
    std::string format = "table";

    const std::vector<std::string>& of(Right right) const {
        switch (right) {
            case Right::kRead:
                return read;
            case Right::kWrite:
                return write;
            case Right::kAdmin:
                return admin;
            case Right::kMetrics:
                break;
        }
        return metrics;
    }
};

// A time from now on, or a moment; 0: never.
Result<int64_t> read_expiry(const std::string& text, int64_t now_us) {
    if (text.empty()) {
        return 0;
    }
    const Result<int64_t> duration = parse_duration(text);
    const Result<int64_t> moment =
        duration ? Result<int64_t>(now_us + *duration) : parse_moment(text);
    if (!moment) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "--expires '{}' is no time; write how long from now, such as 90d, or when, "
            "such as 2027-01-31",
            printable(text));
    }
    if (*moment <= now_us) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--expires {}: that is over already, so the token would never be good",
                          printable(text));
    }
    return *moment;
}

// 0 if nothing is said.
Result<uint64_t> read_rate(const char* option, const std::string& text) {
    constexpr uint64_t kRateMax = 1'000'000'000'000;
    if (text.empty()) {
        return uint64_t{0};
    }
    const Result<uint64_t> rate = parse_count("a number", text, kRateMax);
    return rate ? rate : Result<uint64_t>(rate.error().within(option));
}

Result<AccessToken> read_token_options(const TokenOptions& options) {
    TRY(check_id("token", options.name));
    const int64_t now = SystemClock().now_us();
    AccessToken token(options.name);
    token.created_us = now;
    token.connections_max = options.connections;
    TRY_ASSIGN(token.rows_per_second, read_rate("--rows-per-second", options.rows_per_second));
    TRY_ASSIGN(token.queries_per_second,
               read_rate("--queries-per-second", options.queries_per_second));
    TRY_ASSIGN(token.expires_us, read_expiry(options.expires, now));
    size_t granted = 0;
    for (const Right right : kRights) {
        for (const std::string& text : options.of(right)) {
            Result<std::string> pattern = parse_project_pattern(text);
            if (!pattern) {
                return pattern.error().within(fmt::format("--{}", right_name(right)));
            }
            token.rights.grant(right, *std::move(pattern));
            ++granted;
        }
    }
    if (granted == 0) {
        return Error(
            ErrorCode::kInvalidArgument,
            "a token without rights opens nothing; give it some by --read PROJECT, --write "
            "PROJECT, --admin or --metrics");
    }
    return token;
}

auto has_name(const std::string& name) {
    return [&name](const AccessToken& token) { return token.name == name; };
}

Status create_token(const TokenOptions& options) {
    TRY_ASSIGN(AccessToken token, read_token_options(options));
    TRY_ASSIGN(const std::string secret, make_secret());
    token.hash = hash_secret(secret);
    TRY(change_token_file(options.data, [&](Tokens& tokens) -> Status {
        if (std::ranges::any_of(tokens, has_name(token.name))) {
            return make_error(
                ErrorCode::kAlreadyExists,
                "there is a token '{}' in {}; revoke it first, or choose another name", token.name,
                token_file_path(options.data));
        }
        tokens.push_back(token);
        return {};
    }));
    fmt::print("{}\n", secret);
    fmt::print(stderr,
               "token '{}' made. This is the only time its secret is shown: the store keeps a hash "
               "of it. Clients take it from STEPDB_TOKEN or a file named by --token-file.\n",
               token.name);
    return {};
}

Status revoke_token(const TokenOptions& options) {
    TRY(change_token_file(options.data, [&](Tokens& tokens) -> Status {
        if (std::erase_if(tokens, has_name(options.name)) == 0) {
            return make_error(ErrorCode::kNotFound, "there is no token '{}' in {}",
                              printable(options.name), token_file_path(options.data));
        }
        return {};
    }));
    fmt::print("token '{}' revoked; a running server closes its connections within a second\n",
               options.name);
    return {};
}

std::string joined(const std::vector<std::string>& patterns) {
    return fmt::format("{}", fmt::join(patterns, " "));
}

ResultBlock list_of_tokens(const Tokens& tokens, const std::vector<ResultColumn>& columns) {
    const int64_t now = SystemClock().now_us();
    ResultBlock block(columns);
    for (const AccessToken& token : tokens) {
        block.column(0).append_text(token.name);
        size_t at = 1;
        for (const Right right : kRights) {
            block.column(at++).append_text(joined(token.rights.patterns(right)));
        }
        block.column(at++).append_time(token.created_us);
        if (token.expires_us == 0) {
            block.column(at++).append_null();
        } else {
            block.column(at++).append_time(token.expires_us);
        }
        for (const uint64_t limit :
             {token.connections_max, token.rows_per_second, token.queries_per_second}) {
            if (limit == 0) {
                block.column(at++).append_null();
            } else {
                block.column(at++).append_uint64(limit);
            }
        }
        block.column(at).append_text(token.has_expired(now) ? "expired" : "good");
    }
    return block;
}

Status list_tokens(const TokenOptions& options) {
    TRY_ASSIGN(const OutputFormat format, read_output_format(options.format));
    TRY_ASSIGN(const std::optional<TokenFile> file, read_token_file(options.data));
    const std::vector<ResultColumn> columns = {ResultColumn("name", ColumnType::kText),
                                               ResultColumn("read", ColumnType::kText),
                                               ResultColumn("write", ColumnType::kText),
                                               ResultColumn("admin", ColumnType::kText),
                                               ResultColumn("metrics", ColumnType::kText),
                                               ResultColumn("created", ColumnType::kTime),
                                               ResultColumn("expires", ColumnType::kTime),
                                               ResultColumn("connections", ColumnType::kUint64),
                                               ResultColumn("rows/s", ColumnType::kUint64),
                                               ResultColumn("queries/s", ColumnType::kUint64),
                                               ResultColumn("state", ColumnType::kText)};
    const std::unique_ptr<ResultWriter> writer = make_result_writer(format, write_to_stdout);
    writer->begin(columns);
    writer->block(list_of_tokens(file ? file->tokens : Tokens(), columns));
    writer->end();
    if (!file) {
        fmt::print(stderr,
                   "note: {} has no tokens; a server of it listens on this machine's own addresses "
                   "only, and lets everybody do everything\n",
                   safe_text(options.data));
    }
    return {};
}

struct TokenAction {
    CLI::App* app;
    Status (*check)(const TokenOptions&);
    Status (*run)(const TokenOptions&);
};

Status check_create_options(const TokenOptions& options) {
    const Result<AccessToken> token = read_token_options(options);
    return token ? Status() : Status(token.error());
}

Status check_nothing(const TokenOptions& /*options*/) {
    return {};
}

void add_rights(CLI::App& app, TokenOptions& options) {
    app.add_option("--read", options.read,
                   "A project whose runs it may query and watch; `*` in it stands for any "
                   "characters; once for each")
        ->type_name("PROJECT")
        ->expected(1)
        ->take_all();
    app.add_option("--write", options.write,
                   "A project whose runs it may make, log to, change and delete; likewise")
        ->type_name("PROJECT")
        ->expected(1)
        ->take_all();
    app.add_flag("--admin{*}", options.admin,
                 "Everything; or --admin=PROJECT: both of the above and the project's retention");
    app.add_flag_callback(
        "--metrics", [&options] { options.metrics = {"*"}; },
        "What the server tells of itself: /metrics and `stepdb stats`, and nothing of any project");
    app.add_option("--expires", options.expires,
                   "How long it is good, such as 90d, or until when, such as 2027-01-31; default: "
                   "until it is revoked")
        ->type_name("TIME");
    app.add_option("--connections", options.connections,
                   "How many connections it may have at a time; default: as many as the server "
                   "lets one address have")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    app.add_option(
           "--rows-per-second", options.rows_per_second,
           "How many rows it may log in a second, over all its connections; writers of more "
           "are slowed down, nothing of theirs is refused; default: any number")
        ->type_name("N");
    app.add_option("--queries-per-second", options.queries_per_second,
                   "How many queries it may ask in a second, over all its connections; more are "
                   "refused; default: any number")
        ->type_name("N");
}

void add_name_and_data(CLI::App& app, TokenOptions& options, bool is_named) {
    if (is_named) {
        app.add_option("NAME", options.name, "What it is called, for people and in errors")
            ->type_name("NAME")
            ->required();
    }
    app.add_option("--data", options.data, "The store's directory")->type_name("DIR")->required();
}

}  // namespace

Command add_token(CLI::App& stepdb) {
    auto options = std::make_shared<TokenOptions>();
    CLI::App* app = stepdb.add_subcommand("token", "Say who may use a server, and for what");
    app->require_subcommand(1);
    CLI::App* create = app->add_subcommand("create", "Make a token and print its secret, once");
    add_name_and_data(*create, *options, true);
    add_rights(*create, *options);
    add_examples(*create,
                 {"stepdb token create operator --admin --data ./store",
                  "stepdb token create trainer --write demo --data ./store >trainer.token",
                  "stepdb token create dashboard --read '*' --expires 90d --data ./store",
                  "stepdb token create prometheus --metrics --data ./store"},
                 "The secret goes to stdout, everything else to stderr. A running server knows it "
                 "at once.\nRights are given for whole projects: demo, or demo/*, is all of its "
                 "runs.");
    CLI::App* list = app->add_subcommand("list", "The tokens of a store, without their secrets");
    add_name_and_data(*list, *options, false);
    list->add_option("--format", options->format, "How to print: table, csv, json or jsonl")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
    add_examples(*list, {"stepdb token list --data ./store"});
    CLI::App* revoke =
        app->add_subcommand("revoke", "Make a token good for nothing, and end its connections");
    add_name_and_data(*revoke, *options, true);
    add_examples(*revoke, {"stepdb token revoke dashboard --data ./store"},
                 "A store whose last token was revoked still lets nobody in without one.");
    const std::vector<TokenAction> actions = {{create, check_create_options, create_token},
                                              {list, check_nothing, list_tokens},
                                              {revoke, check_nothing, revoke_token}};
    add_examples(
        *app, {"stepdb token create operator --admin --data ./store",
               "stepdb token list --data ./store", "stepdb token revoke operator --data ./store"});
    const auto of_parsed = [=](Status (*TokenAction::*what)(const TokenOptions&)) -> Status {
        for (const TokenAction& action : actions) {
            if (action.app->parsed()) {
                return (action.*what)(*options);
            }
        }
        return {};
    };
    return {app, [=] { return of_parsed(&TokenAction::run); },
            [=] { return of_parsed(&TokenAction::check); }};
}

}  // namespace stepdb
