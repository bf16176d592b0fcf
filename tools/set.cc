// `stepdb set`: attributes and tags of a run by hand.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <memory>
#include <set>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/import/time_text.h"
#include "tools/output/format_cell.h"
#include "tools/run_change.h"

namespace stepdb {

namespace {

struct SetOptions {
    std::string run;
    std::vector<std::string> values;
    std::vector<std::string> unset;
    std::vector<std::string> tags;
    std::vector<std::string> untags;
    bool text = false;
    ServerChoice server;
};

// Of a sign that is written out: `+5` is the integer that `5` is.
std::string_view without_plus(std::string_view text) {
    const bool is_signed =
        text.size() > 1 && text[0] == '+' && (text[1] == '.' || (text[1] >= '0' && text[1] <= '9'));
    return is_signed ? text.substr(1) : text;
}

// null, true, false, an integer, a number, a time, or else a string. A number that no type holds is
// refused: as a string, or rounded, it would not be what was meant.
Status parse_attribute(const std::string& text, AttributeValue& value) {
    int64_t integer = 0;
    const std::string_view digits = without_plus(text);
    const char* const end = digits.data() + digits.size();
    const auto [stop, code] = std::from_chars(digits.data(), end, integer);
    if (text == "null") {
        return {};
    }
    if (stop == end && code == std::errc::result_out_of_range) {
        return invalid_argument(
            fmt::format("the integer {} does not fit into 64 bits; write it as a number "
                        "such as 1.8e19, or give --text to keep its digits",
                        text));
    }
    if (!parse_value(text) && parse_logged_number(text)) {
        return invalid_argument(
            fmt::format("the number {} is out of the range of float64; write inf or 0, "
                        "or give --text to keep it as it is",
                        text));
    }
    if (text == "true" || text == "false") {
        value.emplace<bool>(text == "true");
    } else if (code == std::errc() && stop == end) {
        value.emplace<int64_t>(integer);
    } else if (const std::optional<double> number = parse_value(text)) {
        value.emplace<double>(*number);
    } else if (const std::optional<int64_t> time = parse_time(text)) {
        value.emplace<Datetime>(*time);
    } else {
        value.emplace<std::string>(text);
    }
    return {};
}

// What would be done twice, or done and undone.
Status check_named_once(const std::vector<std::string>& names,
                        const std::vector<std::string>& others, std::string_view twice,
                        std::string_view both) {
    std::set<std::string_view> seen;
    for (const std::string& name : names) {
        if (!seen.insert(name).second) {
            return invalid_argument(fmt::format("'{}' is {} twice", printable(name), twice));
        }
    }
    for (const std::string& name : others) {
        if (seen.contains(name)) {
            return invalid_argument(fmt::format("'{}' is {}", printable(name), both));
        }
    }
    return {};
}

Status check_tags(const std::vector<std::string>& tags) {
    for (const std::string& tag : tags) {
        if (tag.empty()) {
            return invalid_argument("a tag cannot be empty");
        }
    }
    return {};
}

void change_tags(const std::vector<std::string>& tags, AttributeChange::Kind kind,
                 SetAttributesFrame& frame) {
    if (!tags.empty()) {
        frame.changes.emplace_back(kind, std::string(kTagsAttribute),
                                   StringSet(tags.begin(), tags.end()));
    }
}

// NAME=VALUE each.
Status add_values(const SetOptions& options, std::vector<AttributeChange>& changes) {
    for (const std::string& text : options.values) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return invalid_argument(fmt::format("'{}' is not NAME=VALUE", printable(text)));
        }
        AttributeChange& change = changes.emplace_back();
        change.name = text.substr(0, equals);
        const std::string value = text.substr(equals + 1);
        if (options.text || change.name == kNameAttribute || change.name == kOwnerAttribute) {
            change.value.emplace<std::string>(value);
        } else {
            const Status parsed = parse_attribute(value, change.value);
            if (!parsed) {
                return parsed.error().within(printable(change.name));
            }
        }
    }
    return {};
}

Result<SetAttributesFrame> make_frame(const SetOptions& options) {
    SetAttributesFrame frame;
    TRY(add_values(options, frame.changes));
    std::vector<std::string> names;
    for (const AttributeChange& change : frame.changes) {
        names.push_back(change.name);
    }
    TRY(check_tags(options.tags));
    TRY(check_tags(options.untags));
    TRY(check_named_once(names, options.unset, "set", "both set and --unset"));
    TRY(check_named_once(options.tags, options.untags, "given to --tag",
                         "given to both --tag and --untag"));
    for (const std::string& name : options.unset) {
        frame.changes.emplace_back(AttributeChange::Kind::kRemove, name);
    }
    change_tags(options.tags, AttributeChange::Kind::kAddToSet, frame);
    change_tags(options.untags, AttributeChange::Kind::kRemoveFromSet, frame);
    if (frame.changes.empty()) {
        return invalid_argument("nothing to set; give NAME=VALUE, --tag, --untag or --unset");
    }
    for (const AttributeChange& change : frame.changes) {
        TRY(check_attribute_change(change));
    }
    return frame;
}

// What was to be removed, or added, and is away, or there, already.
struct WithoutEffect {
    WithoutEffect() = default;

    std::vector<std::string> unset;
    std::vector<std::string> tags;
    std::vector<std::string> untags;
};

Result<WithoutEffect> find_without_effect(Client& client, const RunName& name,
                                          const SetOptions& options) {
    WithoutEffect none;
    if (options.unset.empty() && options.tags.empty() && options.untags.empty()) {
        return none;
    }
    TRY_ASSIGN(const auto rows, ask_for_texts(client, fmt::format("attributes '{}'", name.path())));
    std::set<std::string_view> attributes;
    std::string tags;
    for (const std::vector<std::string>& row : rows) {
        attributes.insert(row.at(1));
        if (row.at(1) == kTagsAttribute) {
            tags = fmt::format(", {}, ", row.at(3));
        }
    }
    const auto is_tagged = [&](const std::string& tag) {
        return tags.find(fmt::format(", {}, ", tag)) != std::string::npos;
    };
    std::ranges::copy_if(options.unset, std::back_inserter(none.unset),
                         [&](const std::string& each) { return !attributes.contains(each); });
    std::ranges::copy_if(options.tags, std::back_inserter(none.tags), is_tagged);
    std::ranges::copy_if(options.untags, std::back_inserter(none.untags), std::not_fn(is_tagged));
    return none;
}

// "run demo/tiny: 2 attributes set, 1 tag added; it was not tagged y".
void print_done(const RunName& name, const SetOptions& options, const WithoutEffect& none) {
    std::vector<std::string> done;
    const auto add = [&](size_t count, std::string_view what, std::string_view verb) {
        if (count != 0) {
            done.push_back(fmt::format("{} {}", count_of(count, what), verb));
        }
    };
    add(options.values.size(), "attribute", "set");
    add(options.unset.size() - none.unset.size(), "attribute", "removed");
    add(options.tags.size() - none.tags.size(), "tag", "added");
    add(options.untags.size() - none.untags.size(), "tag", "taken off");
    std::vector<std::string> idle;
    const auto add_idle = [&](std::string_view what, const std::vector<std::string>& names) {
        if (!names.empty()) {
            idle.push_back(
                fmt::format("{} {}", what, safe_text(fmt::format("{}", fmt::join(names, ", ")))));
        }
    };
    add_idle("it had no", none.unset);
    add_idle("it was tagged already:", none.tags);
    add_idle("it was not tagged", none.untags);
    fmt::print(
        "run {}: {}{}{}\n", name.path(),
        done.empty() ? std::string("nothing changed") : fmt::format("{}", fmt::join(done, ", ")),
        idle.empty() ? "" : "; ", fmt::join(idle, "; "));
}

Status set(const SetOptions& options) {
    TRY_ASSIGN(const RunName name, parse_whole_run(options.run));
    TRY_ASSIGN(SetAttributesFrame frame, make_frame(options));
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    TRY_ASSIGN(const WithoutEffect none, find_without_effect(writer.client(), name, options));
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_set_attributes_frame(frame, number);
    }));
    print_done(name, options, none);
    return {};
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
                TRY(parse_whole_run(options->run));
                TRY(make_frame(*options));
                TRY(check_server(options->server));
                return {};
            }};
}

}  // namespace stepdb
