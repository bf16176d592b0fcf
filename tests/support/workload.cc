#include "tests/support/workload.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "engine/base/check.h"

namespace stepdb {

namespace {

std::vector<std::string> draw_metrics(SimRandom& random, std::string_view prefix, uint64_t of) {
    std::vector<std::string> metrics;
    for (uint64_t i = 0; i < of; ++i) {
        if (random.coin()) {
            metrics.push_back(fmt::format("{}/{}", prefix, i));
        }
    }
    if (metrics.empty()) {
        metrics.push_back(fmt::format("{}/0", prefix));
    }
    return metrics;
}

}  // namespace

Workload::Workload(SimRandom& random, uint32_t runs) : random_(random), runs_(runs) {
    for (uint32_t i = 0; i < 3; ++i) {
        schemas_.push_back(std::make_shared<const Schema>(
            *Schema::create(Axis::kStepped, draw_metrics(random, "layers", 9))));
    }
    schemas_.push_back(std::make_shared<const Schema>(
        *Schema::create(Axis::kTimed, draw_metrics(random, "gpu", 3))));
}

double Workload::any_value(SimRandom& random) {
    switch (random.below(9)) {
        case 0:
            return static_cast<double>(random.below(1000));
        case 1:
            return widen(static_cast<uint32_t>(random.next()));
        case 2:
            return static_cast<double>(random.below(100000)) / 1000;
        case 3:
            return std::bit_cast<double>(random.next());
        case 4:
            return std::bit_cast<double>(0x7FF0000000000000ULL | (random.next() & 0xFFFFFFFFFFULL));
        case 5:
            return random.coin() ? std::numeric_limits<double>::infinity()
                                 : -std::numeric_limits<double>::infinity();
        case 6:
            return random.coin() ? 0.0 : -0.0;
        case 7:
            return std::bit_cast<double>(random.below(1000));
        default:
            return 0.5;
    }
}

ModelRow Workload::make_row(const Schema& schema) {
    ModelRow row;
    const int64_t base_us = 1'700'000'000'000'000;
    row.time_us = base_us + static_cast<int64_t>(random_.below(200)) * 1000;
    if (schema.axis() == Axis::kStepped) {
        // Mostly forward, sometimes anywhere near, sometimes between two integers.
        step_ += static_cast<double>(random_.below(2));
        double step = step_;
        if (random_.below(4) == 0) {
            step = static_cast<double>(random_.below(60));
        }
        if (random_.below(16) == 0) {
            step = random_.coin() ? step + 0.5 : -0.0;
        }
        row.step = step;
    }
    const bool sparse = random_.below(3) == 0;
    for (uint32_t column = 0; column < schema.width(); ++column) {
        row.values.emplace_back(any_value(random_));
        if (sparse && random_.coin()) {
            row.values.back().reset();
        }
    }
    return row;
}

ModelChange Workload::next() {
    ModelChange change;
    change.run = fmt::format("p{}/run-{}", random_.below(2), random_.below(runs_));
    change.schema = schemas_[random_.below(schemas_.size())];
    const uint64_t rows = random_.below(8) == 0 ? 1 + random_.below(40) : 1 + random_.below(4);
    for (uint64_t i = 0; i < rows; ++i) {
        change.rows.push_back(make_row(*change.schema));
    }
    return change;
}

void write_and_kill(SimDisk& disk, int changes, const std::vector<int>& flushes) {
    SimStore store(disk, 7);
    const Status opened = store.open();
    CHECK(opened, "{}", opened.error().message());
    TestWriter writer(sha256_128(as_bytes("writer")));
    writer.connect(store);
    SimRandom random(11);
    Workload workload(random, 2);
    for (int i = 0; i < changes; ++i) {
        writer.send(workload.next(), i % 4 == 0);
        store.run();
        if (std::ranges::find(flushes, i) != flushes.end()) {
            const Status flushed = store.flush();
            CHECK(flushed, "{}", flushed.error().message());
        }
    }
    store.crash(CrashKind::kProcessKill);
}

}  // namespace stepdb
