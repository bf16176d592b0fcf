// `stepdb set`: attributes and tags of a run by hand.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "tools/command.h"
#include "tools/import/number_text.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

struct SetOptions {
    std::string run;
    std::vector<std::string> values;
    std::vector<std::string> unset;
    std::vector<std::string> tags;
    std::vector<std::string> untags;
    bool text = false;
    std::string server;
};

Error invalid(std::string message) {
    return Error(ErrorCode::kInvalidArgument, std::move(message));
}

// null, true, false, an integer, a number, a time, or else a string.
void parse_attribute(const std::string& text, AttributeValue& value) {
    int64_t integer = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (text == "null") {
        return;
    }
    if (text == "true" || text == "false") {
        value.emplace<bool>(text == "true");
    } else if (code == std::errc() && end == text.data() + text.size()) {
        value.emplace<int64_t>(integer);
    } else if (const std::optional<double> number = parse_value(text)) {
        value.emplace<double>(*number);
    } else if (const std::optional<int64_t> time = parse_time(text)) {
        value.emplace<Datetime>(*time);
    } else {
        value.emplace<std::string>(text);
    }
}

void change_tags(const std::vector<std::string>& tags, AttributeChange::Kind kind,
                 SetAttributesFrame& frame) {
    if (!tags.empty()) {
        frame.changes.emplace_back(kind, std::string(kTagsAttribute),
                                   StringSet(tags.begin(), tags.end()));
    }
}

Result<SetAttributesFrame> make_frame(const SetOptions& options) {
    SetAttributesFrame frame;
    for (const std::string& text : options.values) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return invalid(fmt::format("'{}' is not NAME=VALUE", printable(text)));
        }
        AttributeChange change;
        change.name = text.substr(0, equals);
        const std::string value = text.substr(equals + 1);
        if (options.text || change.name == kNameAttribute || change.name == kOwnerAttribute) {
            change.value.emplace<std::string>(value);
        } else {
            parse_attribute(value, change.value);
        }
        frame.changes.push_back(std::move(change));
    }
    for (const std::string& name : options.unset) {
        frame.changes.emplace_back(AttributeChange::Kind::kRemove, name);
    }
    change_tags(options.tags, AttributeChange::Kind::kAddToSet, frame);
    change_tags(options.untags, AttributeChange::Kind::kRemoveFromSet, frame);
    if (frame.changes.empty()) {
        return invalid("nothing to set; give NAME=VALUE, --tag, --untag or --unset");
    }
    for (const AttributeChange& change : frame.changes) {
        TRY(check_attribute_change(change));
    }
    return frame;
}

Status set(const SetOptions& options) {
    const size_t slash = options.run.find('/');
    if (slash == std::string::npos) {
        return invalid(fmt::format("'{}' is not PROJECT/RUN", printable(options.run)));
    }
    TRY_ASSIGN(SetAttributesFrame frame, make_frame(options));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    TRY_ASSIGN(const ClientRun run,
               client->open_run(options.run.substr(0, slash), options.run.substr(slash + 1), 0));
    frame.handle = run.handle;
    TRY_ASSIGN(const uint64_t ordinal,
               client->send_change(encode_set_attributes_frame(frame, run.next_number)));
    static_cast<void>(ordinal);
    TRY_ASSIGN(const FlushReport report, client->flush());
    return report.refused_frames == 0 ? Status() : report.refused.front().error.to_error();
}

}  // namespace

Command add_set(CLI::App& stepdb) {
    auto options = std::make_shared<SetOptions>();
    CLI::App* app = stepdb.add_subcommand("set", "Set attributes and tags of a run");
    app->add_option("RUN", options->run, "The run, as PROJECT/RUN")
        ->type_name("PROJECT/RUN")
        ->required();
    app->add_option("VALUES", options->values,
                    "An attribute and its value: null, true, a number, a time, else a string")
        ->type_name("NAME=VALUE");
    app->add_flag("--text", options->text, "Take all values as strings");
    app->add_option("--tag", options->tags, "Tags to add; the tag keep spares a run from retention")
        ->type_name("TAG");
    app->add_option("--untag", options->untags, "Tags to take off")->type_name("TAG");
    app->add_option("--unset", options->unset, "Attributes to remove")->type_name("NAME");
    add_server_option(*app, options->server);
    add_examples(
        *app,
        {"stepdb set demo/tiny config/lr=3e-4 config/optimizer=adamw",
         "stepdb set demo/tiny --tag sweep --tag keep", "stepdb query 'attributes demo/tiny'"},
        "The last write of an attribute wins. A fork starts with its parent's.");
    return {app, [=] { return set(*options); },
            [=]() -> Status {
                TRY(make_frame(*options));
                return {};
            }};
}

}  // namespace stepdb
