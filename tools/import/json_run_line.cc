#include "tools/import/json_run_line.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/json_scanner.h"
#include "engine/base/text.h"
#include "engine/model/attribute.h"

namespace stepdb {

namespace {

constexpr std::string_view kPrefix = "run/";

// A leaf outlives the scan, its texts with it.
struct Member {
    std::string path;  // without kPrefix
    JsonLeaf leaf;
    std::string text;
};

// Cheap, since every line of a log is asked.
bool may_be_run_line(std::string_view line) {
    constexpr std::string_view kBlanks = " \t";
    for (const std::string_view part : {"{", "\"run\""}) {
        line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
        if (!line.starts_with(part)) {
            return false;
        }
        line.remove_prefix(part.size());
    }
    return true;
}

bool is_known(std::string_view path) {
    constexpr std::array<std::string_view, 7> kKnown = {"id",    "name",    "owner",  "tags",
                                                        "state", "fork/of", "fork/at"};
    return path.starts_with("config/") ||
           std::find(kKnown.begin(), kKnown.end(), path) != kKnown.end();
}

void take_tags(const Member& member, LogFacts& facts) {
    const JsonSink take = [&](const JsonLeaf& leaf) -> Status {
        if (leaf.kind == JsonKind::kString && leaf.path.empty()) {
            facts.add_tag(leaf.text);
        } else {
            facts.leave_out("tags: one of them is no string");
        }
        return {};
    };
    if (member.leaf.kind != JsonKind::kArray || !scan_json_array(member.text, take)) {
        facts.leave_out("tags: a list of strings is wanted");
    }
}

void take_state(std::string_view state, LogFacts& facts) {
    constexpr std::array<std::pair<std::string_view, RunState>, 3> kStates = {
        {{"running", RunState::kRunning},
         {"finished", RunState::kFinished},
         {"failed", RunState::kFailed}}};
    const auto* const at = std::find_if(kStates.begin(), kStates.end(),
                                        [&](const auto& known) { return known.first == state; });
    if (at == kStates.end()) {
        facts.leave_out(
            fmt::format("state '{}': running, finished or failed is wanted", printable(state, 80)));
        return;
    }
    facts.set_state(at->second);
}

void take_member(const Member& member, LogFacts& facts, LogFork& fork) {
    const bool is_text = member.leaf.kind == JsonKind::kString;
    if (member.path.starts_with("config/")) {
        JsonLeaf leaf = member.leaf;
        leaf.text = member.text;
        facts.set_leaf(member.path, leaf);
    } else if (member.path == "tags") {
        take_tags(member, facts);
    } else if (member.path == "fork/at" && member.leaf.kind == JsonKind::kNumber) {
        fork.step = member.leaf.number;
    } else if (!is_text) {
        facts.leave_out(fmt::format("run/{}: it has the wrong type", member.path));
    } else if (member.path == "id") {
        facts.set_id(member.text);
    } else if (member.path == "fork/of") {
        fork.parent = member.text;
    } else if (member.path == "state") {
        take_state(member.text, facts);
    } else {
        facts.set_text(member.path == "name" ? kNameAttribute : kOwnerAttribute, member.text);
    }
}

}  // namespace

bool take_run_line(std::string_view line, LogFacts& facts) {
    if (!may_be_run_line(line)) {
        return false;
    }
    std::vector<Member> members;
    bool is_all_known = true;
    const JsonSink collect = [&](const JsonLeaf& leaf) -> Status {
        is_all_known = is_all_known && leaf.path.starts_with(kPrefix) &&
                       is_known(leaf.path.substr(kPrefix.size()));
        if (is_all_known) {
            members.push_back(
                {std::string(leaf.path.substr(kPrefix.size())), leaf, std::string(leaf.text)});
        }
        return {};
    };
    if (!scan_json_object(line, collect) || !is_all_known || members.empty()) {
        return false;
    }
    LogFork fork;
    fork.step = std::nan("");
    for (const Member& member : members) {
        take_member(member, facts, fork);
    }
    if (!fork.parent.empty() && std::isfinite(fork.step)) {
        facts.set_fork(std::move(fork));
    } else if (!fork.parent.empty() || !std::isnan(fork.step)) {
        facts.leave_out("fork: it needs `of`, the id of a run, and `at`, a step");
    }
    return true;
}

}  // namespace stepdb
