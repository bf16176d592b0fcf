#include "query/known_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "query/bind.h"
#include "query/parser.h"

namespace stepdb::known_runs_test {

using ::testing::ElementsAreArray;

std::shared_ptr<const Run> make_run(uint64_t id, const std::string& name) {
    auto run = std::make_shared<Run>();
    run->id = id;
    run->project = "p";
    run->name = name;
    run->attempts.resize(1);
    if (id % 3 != 0) {
        Attributes attributes;
        attributes["config/id"] = static_cast<int64_t>(id);
        run->attributes = std::make_shared<const Attributes>(std::move(attributes));
    }
    return run;
}

std::shared_ptr<const Catalog> make_catalog(uint64_t runs) {
    Catalog catalog;
    for (uint64_t id = 1; id <= runs; ++id) {
        catalog.put_run(make_run(id, fmt::format("r{}", id)));
    }
    return std::make_shared<const Catalog>(std::move(catalog));
}

std::vector<std::string> labels_of(const BoundQuery& bound) {
    std::vector<std::string> labels;
    for (const SelectedRun* selected : bound.runs) {
        labels.push_back(selected->label);
    }
    return labels;
}

BoundQuery bind_known(std::string_view text, const std::shared_ptr<const Catalog>& catalog,
                      KnownRuns& known) {
    Result<Query> query = parse_query(std::string(text));
    CHECK(query.has_value(), "{}", text);
    Result<BoundQuery> bound = bind_query(*std::move(query), catalog, known);
    CHECK(bound.has_value(), "{}", text);
    return *std::move(bound);
}

TEST(KnownRuns, AreThoseThatPatternsSelect) {
    const auto catalog = make_catalog(600);
    KnownRuns known;
    for (const std::string text :
         {"runs p/*", "runs p/r1*, p/r2*, p/r3*, p/r11", "loss @ own(p/*) | last 1"}) {
        const Result<BoundQuery> plain = bind_query(parse_query(text).value(), catalog->runs());
        ASSERT_TRUE(plain) << plain.error().to_string();
        std::shared_ptr<const RunList> list;
        for (const bool is_known : {false, true}) {
            const BoundQuery bound = bind_known(text, catalog, known);
            EXPECT_THAT(labels_of(bound), ElementsAreArray(labels_of(*plain))) << text;
            ASSERT_NE(bound.list, nullptr) << text;
            EXPECT_EQ(bound.list == list, is_known) << text;
            list = bound.list;
            EXPECT_EQ(bound.scopes[0].count, bound.runs.size());
            for (size_t i = 0; i < bound.runs.size(); ++i) {
                EXPECT_EQ(bound.runs[i]->order, plain->runs[i]->order);
                EXPECT_EQ(bound.runs[i]->own, plain->runs[i]->own);
                EXPECT_EQ(bound.runs[i]->place, i);
                EXPECT_EQ(plain->runs[i]->place, SelectedRun::kNoPlace);
            }
        }
    }
    EXPECT_EQ(bind_known("loss @ p/* | last 1", catalog, known).list,
              bind_known("runs p/*", catalog, known).list);
    EXPECT_EQ(bind_known("runs p/r55*", catalog, known).runs.size(), 11U);
    EXPECT_EQ(bind_known("runs p/r55*", catalog, known).list, nullptr) << "these are few";
}

TEST(KnownRuns, AreOfOneCatalog) {
    const auto catalog = make_catalog(300);
    KnownRuns known;
    const auto list = bind_known("runs p/*", catalog, known).list;
    EXPECT_EQ(bind_known("runs p/*", catalog, known).list, list);
    Catalog changed = *catalog;
    changed.put_run(make_run(301, "r2b"));
    const auto later = std::make_shared<const Catalog>(std::move(changed));
    const BoundQuery changed_list = bind_known("runs p/*", later, known);
    EXPECT_NE(changed_list.list, list);
    EXPECT_EQ(changed_list.runs.size(), 301U);
    EXPECT_EQ(bind_known("runs p/*", later, known).list, changed_list.list);
    EXPECT_EQ(bind_known("runs p/*", catalog, known).runs.size(), 300U);
}

TEST(KnownRuns, AttributesOfAListAreThoseOfItsRuns) {
    const auto catalog = make_catalog(300);
    KnownRuns known;
    bind_known("runs p/*", catalog, known);
    const BoundQuery bound = bind_known("runs p/*", catalog, known);
    ASSERT_NE(bound.list, nullptr);
    EXPECT_EQ(bound.list->find_column("config/id"), nullptr);
    const auto column = bound.list->make_column("config/id");
    ASSERT_NE(column, nullptr);
    EXPECT_EQ(bound.list->find_column("config/id"), column);
    EXPECT_EQ(bound.list->make_column("config/id"), column);
    for (const SelectedRun* selected : bound.runs) {
        const Attributes& all = selected->run->all_attributes();
        const auto at = all.find("config/id");
        const Value expected = at == all.end() ? Value() : Value::of_attribute(at->second);
        EXPECT_EQ(column->value(selected->place).kind, expected.kind);
        EXPECT_EQ(column->value(selected->place).to_text(), expected.to_text());
    }
    // Names have no end, what is kept has.
    size_t columns = 0;
    for (int name = 0; name < 100; ++name) {
        bound.list->make_column(fmt::format("config/{}", name));
    }
    for (int name = 0; name < 100; ++name) {
        columns += bound.list->find_column(fmt::format("config/{}", name)) == nullptr ? 0U : 1U;
    }
    EXPECT_GT(columns, 0U);
    EXPECT_LT(columns, 20U);
    EXPECT_NE(bound.list->find_column("config/99"), nullptr);
}

TEST(KnownRuns, ListsOfAnotherCatalogGoAtTheNextQuery) {
    KnownRuns known(1);
    std::weak_ptr<const stepdb::Run> run;  // not the test's Run()
    {
        const auto catalog = make_catalog(3);
        run = catalog->find_run(1);
        bind_known("runs p/*", catalog, known);
    }
    EXPECT_FALSE(run.expired());
    bind_known("runs p/none*", make_catalog(1), known);
    EXPECT_TRUE(run.expired());
}

TEST(KnownRuns, ManyListsAreBoundedTogether) {
    const auto catalog = make_catalog(2);
    KnownRuns known(1);
    // Each of them holds a text of tens of thousands of bytes.
    const auto text = [](int number) {
        return fmt::format("runs p/r*, p/{}{}*", std::string(60'000, 'x'), number);
    };
    constexpr int kTexts = 1000;
    for (int number = 0; number < kTexts; ++number) {
        Result<Query> query = parse_query(text(number));
        ASSERT_TRUE(query);
        const BoundQuery bound = bind_query(*query, catalog->runs()).value();
        known.keep(catalog, std::get<RunsQuery>(query->what).runs,
                   std::make_shared<const RunList>(*bound.found.front()));
    }
    const auto is_known = [&](int number) {
        const Result<Query> query = parse_query(text(number));
        return known.find(catalog, std::get<RunsQuery>(query->what).runs) != nullptr;
    };
    EXPECT_FALSE(is_known(0));
    EXPECT_TRUE(is_known(kTexts - 1));
    EXPECT_TRUE(is_known(kTexts - 100));
}

}  // namespace stepdb::known_runs_test
