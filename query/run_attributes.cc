#include "query/run_attributes.h"

#include <fmt/format.h>

#include <vector>

#include "query/run_state.h"

namespace stepdb {

namespace {

// Which can be read and which cannot any more, of a run that was restarted.
void add_attempts(const Run& run, Attributes& all) {
    std::string readable;
    std::string discarded;
    for (const Attempt& attempt : run.attempts) {
        std::string& numbers = attempt.discarded ? discarded : readable;
        numbers += fmt::format("{}{}", numbers.empty() ? "" : ", ", attempt.number);
    }
    if (run.attempts.size() > 1) {
        all["sys/attempts"] = readable;
    }
    if (!discarded.empty()) {
        all["sys/discarded"] = discarded;
    }
}

// Adds those that the server keeps.
void add_system(const SelectedRun& selected, const SeriesSource& source, int64_t now_us,
                Attributes& all) {
    const Run& run = *selected.run;
    const RunActivity activity = source.activity(run);
    all["sys/state"] = std::string(shown_state(run, activity, now_us));
    if (run.is_creation_known()) {
        all["sys/created"].emplace<Datetime>(run.created_us);
    }
    all["sys/attempt"] = static_cast<int64_t>(selected.attempt);
    add_attempts(run, all);
    all["sys/writers"] = static_cast<int64_t>(activity.writers);
    if (activity.last_write_us != 0) {
        all["sys/last_write"].emplace<Datetime>(activity.last_write_us);
    }
    if (const uint64_t parent = run.fork_parent(); parent != 0) {
        const std::shared_ptr<const Run> of = source.find_run(parent);
        all["sys/parent"] =
            fmt::format("{}#{}", of == nullptr ? std::string("(deleted)") : of->path(),
                        run.attempts.front().parent_attempt);
        if (const std::optional<double> step = fork_step(run, selected.attempt)) {
            all["sys/fork_step"].emplace<double>(*step);
        }
    }
}

}  // namespace

Attributes all_attributes(const SelectedRun& selected, const SeriesSource& source, int64_t now_us) {
    Attributes all = selected.run->all_attributes();
    add_system(selected, source, now_us, all);
    return all;
}

Value find_attribute(const SelectedRun& selected, std::string_view name, const SeriesSource& source,
                     int64_t now_us) {
    const Attributes& set = selected.run->all_attributes();
    if (const auto at = set.find(name); at != set.end()) {
        return Value::of_attribute(at->second);
    }
    if (!name.starts_with(kSystemPrefix)) {
        return {};
    }
    // None of these is a set, so the value needs nothing of the map.
    Attributes system;
    add_system(selected, source, now_us, system);
    const auto at = system.find(name);
    return at == system.end() ? Value() : Value::of_attribute(at->second);
}

std::span<const std::string> system_attribute_names() {
    static const std::vector<std::string> names = {
        "sys/attempt",   "sys/attempts",   "sys/created", "sys/discarded",
        "sys/fork_step", "sys/last_write", "sys/name",    "sys/owner",
        "sys/parent",    "sys/state",      "sys/tags",    "sys/writers"};
    return names;
}

}  // namespace stepdb
