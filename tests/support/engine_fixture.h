// A store with one writer on the simulated disk, and the map that says what it must hold: what the
// engine's own tests share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/sim_store.h"

namespace stepdb {

inline std::shared_ptr<const Schema> stepped(std::vector<std::string> metrics) {
    return std::make_shared<const Schema>(*Schema::create(Axis::kStepped, std::move(metrics)));
}
inline std::shared_ptr<const Schema> timed(std::vector<std::string> metrics) {
    return std::make_shared<const Schema>(*Schema::create(Axis::kTimed, std::move(metrics)));
}

inline ModelChange one_row(std::string run, std::shared_ptr<const Schema> schema, double step,
                           std::vector<std::optional<double>> values) {
    ModelChange change;
    change.run = std::move(run);
    change.schema = std::move(schema);
    change.rows.push_back(
        {step, 1'700'000'000'000'000 + static_cast<int64_t>(step), std::move(values)});
    return change;
}

class EngineTest : public ::testing::Test {
  protected:
    explicit EngineTest(EngineOptions options = SimStore::small_options())
        : store_(disk_, 1, std::move(options)) {
        const Status opened = store_.open();
        EXPECT_TRUE(opened) << opened.error().to_string();
        writer_.connect(store_);
    }

    void send(const ModelChange& change) {
        writer_.send(change);
        model_.apply(change);
    }

    void reopen() {
        writer_.disconnect();
        ASSERT_TRUE(store_.close().has_value());
        ASSERT_TRUE(store_.open().has_value());
        writer_.connect(store_);
        store_.run();
    }

    void expect_model() {
        const auto got = store_.contents();
        ASSERT_TRUE(got.has_value()) << got.error().to_string();
        EXPECT_EQ(describe_difference(model_.contents(), *got), "");
    }

    std::string last_refusal() const {
        return writer_.refusals().empty() ? "" : writer_.refusals().back().second.error.message();
    }

    // The first file with this in its path.
    std::string find_file(std::string_view part) const {
        for (const std::string& path : disk_.files()) {
            if (path.find(part) != std::string::npos) {
                return path;
            }
        }
        return "";
    }

    SimDisk disk_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    ReferenceModel model_;
    std::shared_ptr<const Schema> loss_ = stepped({"loss"});
};

}  // namespace stepdb
