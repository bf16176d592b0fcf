#include "tests/query/plain/world.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/base/check.h"
#include "engine/base/float_bits.h"
#include "engine/base/text.h"

namespace stepdb::plain {

namespace {

constexpr const char* kRunNames[] = {"r0", "r1", "r2", "r10", "r11"};
constexpr const char* kStepped[] = {"loss",   "tok",   "s/1/a", "s/2/a",
                                    "s/10/a", "s/1/b", "s/2/b", "s/10/b"};
constexpr const char* kTimed[] = {"t/1/u", "t/2/u", "t/1/v"};

double random_value(SimRandom& random, const std::string& metric, double step) {
    if (metric == "tok" && random.below(12) != 0) {
        return step * 100 + static_cast<double>(random.below(3)) * 50;
    }
    switch (random.below(16)) {
        case 0:
            return kNan;
        case 1:
            return std::numeric_limits<double>::infinity();
        case 2:
            return -std::numeric_limits<double>::infinity();
        case 3:
            return -0.0;
        case 4:
        case 5:
        case 6:
            return static_cast<double>(random.below(100)) / 10 - 5;
        default:
            return (static_cast<double>(random.below(17)) - 8) / 4;
    }
}

void must(const Status& status) {
    CHECK(status.has_value(), "{}", status.error().to_string());
}

}  // namespace

std::string print(double number) {
    return format_value(number);
}

const std::vector<Point>* Run::find(const std::string& metric) const {
    for (const auto* all : {&stepped, &timed}) {
        if (const auto at = all->find(metric); at != all->end()) {
            return &at->second;
        }
    }
    return nullptr;
}

World::World(SimRandom& random, ScriptStore& store, EngineStore* engine, WorldShape shape)
    : random_(random), store_(store), shape_(std::move(shape)) {
    const size_t runs = engine == nullptr ? std::size(kRunNames) : 3;
    for (size_t run = 0; run < runs; ++run) {
        written_.push_back({kRunNames[run], std::vector<Attempt>(1)});
        add_history(run);
        add_rows(run, static_cast<int>(5 + random_.below(random_.coin() ? 20 : 90)));
    }
    if (engine != nullptr) {
        make_forks(*engine);
        for (size_t run = 0; run < written_.size(); ++run) {
            if (random_.coin()) {
                restart(*engine, run);
            }
        }
    }
    read_all();
    for (Run& run : runs_) {
        if (!run.is_older_attempt()) {
            set_attributes(run);
        }
    }
    for (Run& run : runs_) {  // older attempts are of the same run
        const auto newest =
            std::ranges::find(runs_, run.label.substr(0, run.label.find('#')), &Run::label);
        run.numbers = newest->numbers;
        run.texts = newest->texts;
    }
}

void World::add_rows(size_t run, int rows) {
    for (; rows > 0; --rows) {
        add_row(run);
        if (random_.below(60) == 0) {
            must(store_.flush());
            script_ += "flush\n";
        }
    }
}

// Stepped and timed rows in turn; a hundredth of the values of each metric is not there.
void World::add_history(size_t run) {
    for (uint32_t i = 0; i < shape_.history_rows; ++i) {
        const double part = static_cast<double>(i) / shape_.history_rows;
        for (const bool timed : {false, true}) {
            const auto metrics = timed ? std::span<const char* const>(kTimed) : std::span(kStepped);
            const size_t absent = random_.below(metrics.size() * 12);
            ScriptRow row;
            row.project = "p";
            row.run = written_[run].name;
            row.time_us = static_cast<int64_t>(part * 50e6);
            if (!timed) {
                row.step = std::floor(part * 50 * shape_.step_unit);
            }
            for (size_t m = 0; m < metrics.size(); ++m) {
                const auto& columns = shape_.columns;
                const double value = columns.empty() ? random_value(random_, metrics[m], part * 50)
                                                     : columns[(run + m) % columns.size()][i];
                if (m != absent) {
                    row.values.emplace_back(metrics[m], value);
                }
            }
            write(run, std::move(row));
        }
        if (i == shape_.history_rows / 2 && random_.coin()) {
            must(store_.flush());
        }
    }
    if (shape_.history_rows > 0) {
        script_ +=
            fmt::format("{} rows of p/{} in order\n", shape_.history_rows, written_[run].name);
    }
}

// Anywhere among the steps: most are late, many replace.
void World::add_row(size_t run) {
    const Written& written = written_[run];
    const size_t attempt = written.attempts.size() - 1 -
                           (random_.below(6) == 0 ? random_.below(written.attempts.size()) : 0);
    ScriptRow row;
    row.project = "p";
    row.run = written.name;
    row.attempt = static_cast<uint32_t>(attempt);
    const bool timed = random_.below(4) == 0;
    const double step = any_step() + (random_.below(9) == 0 ? 0.5 : 0);
    const double second = step / shape_.step_unit;
    row.time_us =
        static_cast<int64_t>(second * 1e6) + static_cast<int64_t>(random_.below(5)) * 400'000;
    script_ += fmt::format("row p/{}", written.name);
    if (attempt > 0) {
        script_ += fmt::format("#{}", attempt);
    }
    if (!timed) {
        row.step = step;
        script_ += fmt::format(" step={}", print(step));
    }
    script_ += fmt::format(" time={}us", row.time_us);
    const auto metrics = timed ? std::span<const char* const>(kTimed) : std::span(kStepped);
    for (const std::string metric : metrics) {
        if (random_.below(3) == 0) {
            continue;
        }
        const double value = random_value(random_, metric, second);
        row.values.emplace_back(metric, value);
        script_ += fmt::format(" {}={}", metric, print(value));
    }
    script_ += "\n";
    if (!row.values.empty()) {
        write(run, std::move(row));
    }
}

void World::write(size_t run, ScriptRow row) {
    Attempt& into = written_[run].attempts[row.attempt];
    Keyed& keyed = row.step ? into.stepped : into.timed;
    for (const auto& [metric, value] : row.values) {
        Point point;
        point.step = row.step.value_or(kNan);
        point.time_us = row.time_us;
        point.value.value = value;
        keyed[metric][row.step.value_or(static_cast<double>(row.time_us))] = point;
    }
    must(store_.add_row(row));
}

void World::make_forks(EngineStore& engine) {
    for (const char* name : {"r10", "r11"}) {
        const size_t parent = random_.below(written_.size());
        Attempt first;
        first.parent = {parent, written_[parent].attempts.size() - 1};
        first.cut = any_step();
        must(engine.fork(fmt::format("p/{}", name), "p/" + written_[parent].name, first.cut));
        script_ += fmt::format("fork p/{} from p/{} at {}\n", name, written_[parent].name,
                               print(first.cut));
        written_.push_back({name, {std::move(first)}});
        add_rows(written_.size() - 1, static_cast<int>(random_.below(40)));
        add_rows(parent, static_cast<int>(random_.below(10)));
    }
}

void World::restart(EngineStore& engine, size_t run) {
    Written& written = written_[run];
    const size_t number = written.attempts.size();
    Attempt next;
    std::optional<double> step;
    if (random_.below(8) != 0) {
        step = any_step();
        next.parent = {run, number - 1};
        next.cut = *step;
    }
    must(engine.restart("p/" + written.name, static_cast<uint32_t>(number), step));
    script_ += fmt::format("restart p/{} attempt {} at {}\n", written.name, number,
                           step ? print(*step) : "none");
    written.attempts.push_back(std::move(next));
    add_rows(run, static_cast<int>(random_.below(60)));
}

void World::set_attributes(Run& run) {
    std::vector<AttributeChange> changes;
    const auto add = [&](const char* name) -> AttributeValue& {
        changes.emplace_back().name = name;
        return changes.back().value;
    };
    if (random_.below(4) != 0) {
        run.numbers["c/lr"] = static_cast<double>(1 + random_.below(3)) / 8;
        add("c/lr").emplace<double>(run.numbers["c/lr"]);
    }
    if (random_.below(5) != 0) {
        const auto seed = static_cast<int64_t>(random_.below(3));
        run.numbers["c/seed"] = static_cast<double>(seed);
        add("c/seed").emplace<int64_t>(seed);
    }
    run.texts["c/opt"] = random_.coin() ? "adam" : "sgd";
    add("c/opt").emplace<std::string>(run.texts["c/opt"]);
    script_ += fmt::format("set {}", run.label);
    for (const auto& [name, number] : run.numbers) {
        script_ += fmt::format(" {}={}", name, print(number));
    }
    script_ += fmt::format(" c/opt={}\n", run.texts["c/opt"]);
    must(store_.set_attributes("p", run.label.substr(2), changes));
}

World::Keyed World::read_stepped(size_t run, size_t attempt) const {
    const Attempt& own = written_[run].attempts[attempt];
    Keyed all;
    if (own.parent) {
        all = read_stepped(own.parent->first, own.parent->second);
        for (auto& [metric, points] : all) {
            points.erase(points.upper_bound(own.cut), points.end());
        }
    }
    for (const auto& [metric, points] : own.stepped) {
        for (const auto& [key, point] : points) {
            all[metric][key] = point;
        }
    }
    return all;
}

// Restarts do not cut them, unless nothing is read, and forks do not inherit them.
World::Keyed World::read_timed(size_t run, size_t attempt) const {
    const Attempt& own = written_[run].attempts[attempt];
    Keyed all;
    if (own.parent && own.parent->first == run) {
        all = read_timed(run, own.parent->second);
    }
    for (const auto& [metric, points] : own.timed) {
        for (const auto& [key, point] : points) {
            all[metric][key] = point;
        }
    }
    return all;
}

void World::read_all() {
    const auto flatten = [](const Keyed& keyed) {
        std::map<std::string, std::vector<Point>> all;
        for (const auto& [metric, points] : keyed) {
            for (const auto& [key, point] : points) {
                all[metric].push_back(point);
            }
            all.try_emplace(metric);
        }
        return all;
    };
    for (size_t number = 0; number < written_.size(); ++number) {
        const Written& written = written_[number];
        for (size_t attempt = 0; attempt < written.attempts.size(); ++attempt) {
            Run run;
            run.label = "p/" + written.name;
            if (attempt + 1 < written.attempts.size()) {
                run.label += fmt::format("#{}", attempt);
            }
            run.stepped = flatten(read_stepped(number, attempt));
            run.timed = flatten(read_timed(number, attempt));
            runs_.push_back(std::move(run));
        }
    }
    std::ranges::sort(runs_,
                      [](const Run& a, const Run& b) { return natural_less(a.label, b.label); });
}

}  // namespace stepdb::plain
