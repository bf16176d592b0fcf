// The reference model: DESIGN's rules of runs, attempts, forks and deletes over plain maps.
#include <algorithm>

#include "tests/support/sim_store.h"

namespace stepdb {

void ReferenceModel::apply(const ModelChange& change) {
    Attempt& attempt = runs_[change.run].attempts.at(change.attempt);
    const bool stepped = change.schema->axis() == Axis::kStepped;
    for (const ModelRow& row : change.rows) {
        const Key key = stepped ? key_of_step(*row.step) : *row.time_us;
        for (uint32_t column = 0; column < change.schema->width(); ++column) {
            if (row.values[column]) {
                const std::string metric(change.schema->metric(column));
                Series& series = (stepped ? attempt.stepped : attempt.timed)[metric];
                series[key] = {*row.time_us, bits_of(*row.values[column])};
            }
        }
    }
}

void ReferenceModel::fork(const std::string& run, const std::string& parent, double step) {
    Run& made = runs_[run];
    made.fork_parent = parent;
    Attempt& first = made.attempts.at(0);
    first.parent_run = parent;
    first.parent_attempt = newest(parent);
    first.cut = step;
    for (const auto& [name, value] : runs_.at(parent).attributes) {
        if (!name.starts_with("sys/")) {
            made.attributes[name] = value;
        } else if (name == "sys/tags") {
            StringSet tags = std::get<StringSet>(value);
            tags.erase("keep");
            if (!tags.empty()) {
                made.attributes[name] = tags;
            }
        }
    }
}

void ReferenceModel::restart(const std::string& run, uint32_t attempt, std::optional<double> step) {
    Run& of = runs_.at(run);
    if (of.attempts.contains(attempt)) {
        return;
    }
    Attempt opened;
    if (step) {
        opened.parent_run = run;
        opened.parent_attempt = of.attempts.rbegin()->first;
        opened.cut = *step;
    }
    of.attempts[attempt] = std::move(opened);
    of.state = RunState::kRunning;
}

void ReferenceModel::finish(const std::string& run, uint32_t attempt, RunState state) {
    if (attempt == newest(run)) {
        runs_.at(run).state = state;
    }
}

void ReferenceModel::set_attributes(const std::string& run,
                                    const std::vector<AttributeChange>& changes) {
    Attributes& attributes = runs_.at(run).attributes;
    for (const AttributeChange& change : changes) {
        AttributeValue& there = attributes[change.name];
        switch (change.kind) {
            case AttributeChange::Kind::kSet:
                if (std::holds_alternative<double>(there) &&
                    std::holds_alternative<int64_t>(change.value)) {
                    there = static_cast<double>(std::get<int64_t>(change.value));
                } else {
                    there = change.value;
                }
                break;
            case AttributeChange::Kind::kRemove:
                attributes.erase(change.name);
                break;
            case AttributeChange::Kind::kAddToSet:
            case AttributeChange::Kind::kRemoveFromSet: {
                const bool adds = change.kind == AttributeChange::Kind::kAddToSet;
                const bool missing = std::holds_alternative<std::monostate>(there);
                StringSet members = missing ? StringSet() : std::get<StringSet>(there);
                for (const std::string& member : std::get<StringSet>(change.value)) {
                    if (adds) {
                        members.insert(member);
                    } else {
                        members.erase(member);
                    }
                }
                there = members;
                if (missing && !adds) {
                    attributes.erase(change.name);
                }
                break;
            }
        }
    }
}

void ReferenceModel::discard(const std::string& run, uint32_t attempt) {
    runs_.at(run).attempts.at(attempt).discarded = true;
}

void ReferenceModel::delete_metrics(const std::string& run,
                                    const std::vector<std::string>& metrics) {
    for (auto& [number, attempt] : runs_.at(run).attempts) {
        for (const std::string& metric : metrics) {
            attempt.stepped.erase(metric);
            attempt.timed.erase(metric);
        }
    }
}

std::vector<std::string> ReferenceModel::runs() const {
    std::vector<std::string> names;
    for (const auto& [name, run] : runs_) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::string> ReferenceModel::forks_of(const std::string& run) const {
    std::vector<std::string> names;
    for (const auto& [name, other] : runs_) {
        if (other.fork_parent == run) {
            names.push_back(name);
        }
    }
    return names;
}

uint32_t ReferenceModel::newest(const std::string& run) const {
    return runs_.at(run).attempts.rbegin()->first;
}

// What lies above up to the cut, own points over it.
std::map<std::string, ReferenceModel::Series> ReferenceModel::read_stepped(const Run& run,
                                                                           uint32_t number) const {
    const Attempt& attempt = run.attempts.at(number);
    std::map<std::string, Series> read;
    if (!attempt.parent_run.empty()) {
        read = read_stepped(runs_.at(attempt.parent_run), attempt.parent_attempt);
        for (auto& [metric, series] : read) {
            series.erase(series.upper_bound(key_of_step(attempt.cut)), series.end());
        }
    }
    for (const auto& [metric, series] : attempt.stepped) {
        for (const auto& [key, point] : series) {
            read[metric][key] = point;
        }
    }
    return read;
}

// Restarts do not cut them, forks do not inherit them.
std::map<std::string, ReferenceModel::Series> ReferenceModel::read_timed(const Run& run,
                                                                         uint32_t number) const {
    const Attempt& attempt = run.attempts.at(number);
    std::map<std::string, Series> read;
    if (!attempt.parent_run.empty() && attempt.parent_run != run.fork_parent) {
        read = read_timed(run, attempt.parent_attempt);
    }
    for (const auto& [metric, series] : attempt.timed) {
        for (const auto& [key, point] : series) {
            read[metric][key] = point;
        }
    }
    return read;
}

ReferenceModel::Contents ReferenceModel::contents() const {
    Contents contents;
    for (const auto& [name, run] : runs_) {
        for (const auto& [number, attempt] : run.attempts) {
            if (attempt.discarded) {
                continue;
            }
            const std::string label =
                number == newest(name) ? name : fmt::format("{}#{}", name, number);
            std::map<std::string, Series> read = read_stepped(run, number);
            read.merge(read_timed(run, number));
            for (auto& [metric, series] : read) {
                if (!series.empty()) {
                    contents[{label, metric}] = std::move(series);
                }
            }
        }
    }
    return contents;
}

std::map<std::string, ModelFacts> ReferenceModel::facts() const {
    std::map<std::string, ModelFacts> facts;
    for (const auto& [name, run] : runs_) {
        ModelFacts& of_run = facts[name];
        of_run.state = run.state;
        of_run.parent = run.fork_parent;
        of_run.attributes = run.attributes;
        for (const auto& [number, attempt] : run.attempts) {
            (attempt.discarded ? of_run.discarded : of_run.attempts).push_back(number);
        }
    }
    return facts;
}

std::string describe_difference(const ReferenceModel::Contents& want,
                                const ReferenceModel::Contents& got) {
    for (const auto& [name, series] : want) {
        const auto found = got.find(name);
        if (found == got.end()) {
            return fmt::format("series {} {} is missing", name.first, name.second);
        }
        for (const auto& [key, point] : series) {
            const auto at = found->second.find(key);
            if (at == found->second.end()) {
                return fmt::format("{} {}: key {} is missing", name.first, name.second, key);
            }
            if (at->second != point) {
                return fmt::format("{} {} key {}: value {:x} at {}, expected {:x} at {}",
                                   name.first, name.second, key, at->second.value_bits,
                                   at->second.time_us, point.value_bits, point.time_us);
            }
        }
        if (found->second.size() != series.size()) {
            return fmt::format("{} {}: {} points, expected {}", name.first, name.second,
                               found->second.size(), series.size());
        }
    }
    for (const auto& [name, series] : got) {
        if (!want.contains(name)) {
            return fmt::format("series {} {} should not be there", name.first, name.second);
        }
    }
    return "";
}

std::string describe_difference(const std::map<std::string, ModelFacts>& want,
                                const std::map<std::string, ModelFacts>& got) {
    for (const auto& [name, facts] : want) {
        const auto at = got.find(name);
        if (at == got.end()) {
            return fmt::format("run {} is missing", name);
        }
        if (at->second == facts) {
            continue;
        }
        const auto words = [](const ModelFacts& of) {
            std::string text = fmt::format(
                "{}, parent '{}', {} open and {} discarded attempts, attributes",
                run_state_name(of.state), of.parent, of.attempts.size(), of.discarded.size());
            for (const auto& [attribute, value] : of.attributes) {
                text +=
                    fmt::format(" {} ({})", attribute, attribute_type_name(attribute_type(value)));
            }
            return text;
        };
        return fmt::format("run {}: {}; expected {}", name, words(at->second), words(facts));
    }
    for (const auto& [name, facts] : got) {
        if (!want.contains(name)) {
            return fmt::format("run {} should not be there", name);
        }
    }
    return "";
}

}  // namespace stepdb
