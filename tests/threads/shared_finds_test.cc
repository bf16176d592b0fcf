// What query threads find out for each other: summaries in a page, and attributes of listed runs.
// For the thread sanitizer.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/summary_pages.h"
#include "query/bind.h"
#include "query/known_runs.h"
#include "query/parser.h"

namespace stepdb::shared_finds_test {

template <typename Work>
void on_threads(const Work& work) {
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&work, thread] { work(thread); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

std::shared_ptr<const Catalog> make_catalog(uint64_t runs) {
    Catalog catalog;
    for (uint64_t id = 1; id <= runs; ++id) {
        Run run;
        run.id = id;
        run.project = "p";
        run.name = fmt::format("r{}", id);
        run.attempts.resize(1);
        Attributes attributes;
        attributes["config/0"] = static_cast<int64_t>(id);
        run.attributes = std::make_shared<const Attributes>(std::move(attributes));
        catalog.put_run(std::make_shared<const Run>(std::move(run)));
    }
    return std::make_shared<const Catalog>(std::move(catalog));
}

TEST(SummaryPage, IsFilledByThreads) {
    constexpr size_t kBlocks = 16;
    for (int round = 0; round < 200; ++round) {
        const SummaryPage page(kBlocks);
        on_threads([&page](uint32_t thread) {
            for (size_t i = 0; i < 4 * kBlocks; ++i) {
                const size_t block = (i * 7 + thread) % kBlocks;
                if (const Summary* const found = page.find(block)) {
                    ASSERT_EQ(found->count, block + 1);
                } else {
                    Summary summary;
                    summary.count = block + 1;
                    page.put(block, summary);
                }
            }
        });
    }
}

TEST(KnownRuns, AreSharedByThreads) {
    const auto catalog = make_catalog(50);
    KnownRuns known(1);
    on_threads([&](uint32_t thread) {
        for (uint32_t i = 0; i < 200; ++i) {
            // More attributes than are kept, one of which is there.
            const std::string name = fmt::format("config/{}", (i + thread) % 11);
            Query query = parse_query("runs p/r*").value();
            const BoundQuery bound = bind_query(std::move(query), catalog, known).value();
            ASSERT_EQ(bound.runs.size(), 50U);
            ASSERT_NE(bound.list, nullptr);
            auto column = bound.list->find_column(name);
            if (column == nullptr) {
                column = bound.list->make_column(name);
            }
            ASSERT_EQ(column->value(7).is_there(), name == "config/0");
        }
    });
}

}  // namespace stepdb::shared_finds_test
