#include "engine/catalog/catalog.h"

#include <gtest/gtest.h>

#include "engine/catalog/catalog_file.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::catalog_test {

std::shared_ptr<const Schema> make_schema(Axis axis, std::vector<std::string> metrics) {
    return std::make_shared<const Schema>(*Schema::create(axis, std::move(metrics)));
}

Catalog sample_catalog() {
    Catalog catalog;
    catalog.put_schema("gpt", 1, make_schema(Axis::kStepped, {"train/loss", "lr"}));
    catalog.put_schema("bert", 1, catalog.find_schema(1)->schema);
    catalog.put_schema("gpt", 2, make_schema(Axis::kTimed, {"gpu/util"}));
    auto run = std::make_shared<Run>();
    run->id = 7;
    run->project = "gpt";
    run->name = "run-17";
    run->state = RunState::kFinished;
    run->created_us = 123;
    run->attempts = {Attempt(), Attempt{3, 7, 0, key_of_step(40), 99}};
    catalog.put_run(run);
    return catalog;
}

std::vector<std::byte> encoded(const Catalog& catalog) {
    ByteWriter writer;
    catalog.encode(writer);
    return writer.take();
}

TEST(Catalog, FindsByNameIdAndContent) {
    const Catalog catalog = sample_catalog();
    ASSERT_NE(catalog.find_run("gpt", "run-17"), nullptr);
    EXPECT_EQ(catalog.find_run("gpt", "run-17"), catalog.find_run(7));
    EXPECT_EQ(catalog.find_run("gpt", "run-1"), nullptr);
    const SchemaHash hash = catalog.find_schema(1)->schema->hash();
    EXPECT_EQ(catalog.find_schema("bert", hash)->id, 1U);
    EXPECT_EQ(catalog.find_schema("bert", catalog.find_schema(2)->schema->hash()), nullptr);
    EXPECT_EQ(catalog.next_run_id(), 8U);
    EXPECT_EQ(catalog.find_run(7)->find_attempt(1), nullptr);
    EXPECT_EQ(catalog.find_run(7)->find_attempt(3)->parent_cut, key_of_step(40));
}

TEST(Catalog, EncodesAndDecodes) {
    const Catalog catalog = sample_catalog();
    const Result<Catalog> decoded = Catalog::decode(encoded(catalog), kCatalogKind.version);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->find_run(7)->state, RunState::kFinished);
    EXPECT_EQ(decoded->find_run(7)->attempts.size(), 2U);
    EXPECT_EQ(decoded->find_schema("gpt", catalog.find_schema(2)->schema->hash())->id, 2U);
    EXPECT_EQ(decoded->next_schema_id(), 3U);
}

TEST(Catalog, CheckpointsOfTheFirstVersionAreRead) {
    ByteWriter writer;
    writer.put(uint64_t{8});  // next run
    writer.put(uint64_t{1});  // next schema
    writer.put(uint64_t{0});  // schemas
    writer.put(uint64_t{0});  // projects
    writer.put(uint64_t{1});  // runs
    writer.put(uint64_t{7});
    writer.put_text("gpt");
    writer.put_text("run-17");
    writer.put(RunState::kFinished);
    writer.put(int64_t{123});
    writer.put(uint64_t{1});
    writer.put(uint32_t{1});  // attempts
    writer.put(uint32_t{0});
    writer.put(uint64_t{0});
    writer.put(uint32_t{0});
    writer.put(kKeyMax);
    writer.put(uint64_t{1});
    const Result<Catalog> decoded = Catalog::decode(writer.bytes(), 1);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    const auto run = decoded->find_run("gpt", "run-17");
    ASSERT_NE(run, nullptr);
    EXPECT_EQ(run->state, RunState::kFinished);
    EXPECT_FALSE(run->newest_attempt().discarded);
    EXPECT_TRUE(run->all_attributes().empty());
    EXPECT_FALSE(Catalog::decode(writer.bytes(), 2).has_value());
}

TEST(Catalog, AnyCutOfTheEncodingIsRefused) {
    const std::vector<std::byte> bytes = encoded(sample_catalog());
    for (size_t length = 0; length < bytes.size(); ++length) {
        const Result<Catalog> decoded =
            Catalog::decode(Bytes(bytes).first(length), kCatalogKind.version);
        ASSERT_FALSE(decoded.has_value()) << length;
        EXPECT_EQ(decoded.error().code(), ErrorCode::kCorruption);
    }
}

TEST(CatalogFile, EveryFlippedByteIsNoticed) {
    SimDisk disk;
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    ASSERT_TRUE(run_task(executor, files.make_directory("d")));
    const Id128 store = sha256_128(as_bytes("store"));
    WriterTable writers;
    WriterState& writer = writers.get_or_add({store, 7});
    writer.published = true;
    writer.published_number = 12;
    writers.get_or_add({store, 8});
    RunActivities activities;
    activities.of(7) = {5, 6, 2};
    const std::vector<HighestKey> keys = {{1, 2, 0, 77}, {3, 2, 1, -5}};
    const std::vector<std::byte> body =
        encode_checkpoint(sample_catalog(), writers, activities, keys);
    ASSERT_TRUE(run_task(executor, write_catalog_file(files, "d/c", store, 5, 77, body)));

    Result<CatalogCheckpoint> read = run_task(executor, read_catalog_file(files, "d/c", store, 5));
    ASSERT_TRUE(read.has_value()) << read.error().to_string();
    EXPECT_EQ(read->writers.find({store, 7})->accepted_number, 12U);
    EXPECT_EQ(read->writers.find({store, 8}), nullptr);
    EXPECT_EQ(read->highest_keys, keys);
    EXPECT_FALSE(run_task(executor, read_catalog_file(files, "d/c", store, 6)).has_value());

    const size_t size = disk.contents("d/c")->size();
    for (size_t at = 0; at < size; at += at < 4096 ? 61 : 1) {
        ASSERT_TRUE(disk.flip_byte("d/c", at));
        const auto damaged = run_task(executor, read_catalog_file(files, "d/c", store, 5));
        ASSERT_FALSE(damaged.has_value()) << "byte " << at;
        EXPECT_NE(damaged.error().message().find("d/c"), std::string::npos);
        ASSERT_TRUE(disk.flip_byte("d/c", at));
    }
}

TEST(RunActivities, WhatWasSharedStaysAsItWas) {
    SimRandom random(test_seed(1));
    RunActivities activities;
    std::map<uint64_t, int64_t> model;
    std::vector<std::pair<std::shared_ptr<const SharedRunActivities>, std::map<uint64_t, int64_t>>>
        shared;
    constexpr uint64_t kRuns = 300;
    for (int64_t change = 1; change <= 2000; ++change) {
        const uint64_t run = random.below(kRuns);
        if (random.below(4) == 0) {
            activities.remove(run);
            model.erase(run);
        } else {
            activities.of(run).last_write_us = change;
            model[run] = change;
        }
        if (random.below(50) == 0) {
            shared.emplace_back(activities.share(), model);
            EXPECT_EQ(activities.share(), shared.back().first);
        }
    }
    shared.emplace_back(activities.share(), model);
    for (const auto& [then, expected] : shared) {
        for (uint64_t run = 0; run < kRuns; ++run) {
            const auto at = expected.find(run);
            ASSERT_EQ(then->find(run).last_write_us, at == expected.end() ? 0 : at->second);
        }
    }
}

}  // namespace stepdb::catalog_test
