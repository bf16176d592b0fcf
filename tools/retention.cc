// `stepdb retention`: after how long the runs of a project are deleted.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "engine/model/schema.h"
#include "query/diagnostic.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"
#include "tools/run_change.h"

namespace stepdb {

namespace {

struct RetentionOptions {
    RetentionOptions() = default;

    std::string project;
    std::string age;
    bool yes = false;
    ServerChoice server;
};

// "30d", "12h", "off"; 0 is off.
Result<int64_t> parse_age(const std::string& text) {
    if (text == "off") {
        return int64_t{0};
    }
    const struct {
        char suffix;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86'400}, {'w', 604'800}};
    for (const auto& unit : units) {
        const std::optional<double> count =
            text.size() > 1 && text.back() == unit.suffix
                ? parse_value(std::string_view(text).substr(0, text.size() - 1))
                : std::nullopt;
        const double seconds = count.value_or(0) * static_cast<double>(unit.seconds);
        if (seconds > 0 && seconds < 1e10) {
            return static_cast<int64_t>(seconds * 1e6);
        }
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "'{}' is no age; write 30d, 12h, 4w (300 years at most) or off",
                      printable(text));
}

// An empty age: never.
void print_retention(const std::string& project, const std::string& age) {
    fmt::print("{}\n", age.empty()
                           ? fmt::format("runs of {} are kept for ever", project)
                           : fmt::format("runs of {} are deleted {} after their last write, unless "
                                         "they are tagged keep",
                                         project, age));
}

// Of the project named, or of all.
Status show_retention(const RetentionOptions& options) {
    TRY_ASSIGN(const auto client, connect_to(options.server));
    TRY_ASSIGN(const auto rows, ask_for_texts(*client, "projects"));
    std::vector<std::string> names;
    bool is_shown = false;
    for (const std::vector<std::string>& row : rows) {
        // `runs` is a number and left out.
        names.push_back(row.at(0));
        if (options.project.empty() || options.project == names.back()) {
            print_retention(names.back(), row.at(1));
            is_shown = true;
        }
    }
    if (!is_shown && options.project.empty()) {
        fmt::print("the store has no project yet\n");
    } else if (!is_shown) {
        return make_error(ErrorCode::kNotFound, "there is no project '{}'{}", options.project,
                          did_you_mean(options.project, names));
    }
    return {};
}

Status set_retention(const RetentionOptions& options) {
    SetRetentionFrame frame;
    frame.project = options.project;
    TRY_ASSIGN(frame.age_us, parse_age(options.age));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    if (frame.age_us != 0 && !options.yes) {
        TRY_ASSIGN(const std::vector<std::string> expired,
                   find_older_than(*client, options.project, frame.age_us));
        if (!expired.empty()) {
            fmt::print("would delete {} within a minute: {}. {}\n", count_of(expired.size(), "run"),
                       list_of(expired), kSayYes);
            return {};
        }
    }
    TRY(RunWriter::send_one(*client, encode_set_retention_frame(frame)));
    print_retention(options.project, frame.age_us == 0 ? "" : options.age);
    return {};
}

Status check_options(const RetentionOptions& options) {
    if (!options.project.empty()) {
        TRY(check_id("project", options.project));
    }
    if (!options.age.empty()) {
        TRY(parse_age(options.age));
    }
    TRY(check_server(options.server));
    return {};
}

}  // namespace

Command add_retention(CLI::App& stepdb) {
    auto options = std::make_shared<RetentionOptions>();
    CLI::App* app = stepdb.add_subcommand(
        "retention", "Delete a project's runs some time after their last write");
    app->add_option("PROJECT", options->project, "The project; without it all are shown")
        ->type_name("P");
    app->add_option("AGE", options->age,
                    "Since the last write: 12h, 30d, 4w; or off; without it, show what is set")
        ->type_name("AGE");
    app->add_flag("--yes", options->yes,
                  "Set it even if runs are deleted at once; without it they are only named");
    add_server_option(*app, options->server);
    add_examples(*app,
                 {"stepdb retention", "stepdb retention demo", "stepdb retention demo 90d",
                  "stepdb retention demo 7d --yes", "stepdb retention demo off"},
                 "Off by default. Runs tagged keep stay, and so does what their forks read. The\n"
                 "server's log names what was deleted.");
    return {
        app,
        [=] { return options->age.empty() ? show_retention(*options) : set_retention(*options); },
        [=] { return check_options(*options); }};
}

}  // namespace stepdb
