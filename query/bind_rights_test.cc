#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "query/bind.h"
#include "query/parser.h"

namespace stepdb::bind_rights_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class BindRights : public ::testing::Test {
  protected:
    BindRights() {
        Catalog catalog;
        uint64_t id = 0;
        for (const char* const project : {"alpha", "beta", "gamma"}) {
            for (const char* const name : {"run-1", "run-2"}) {
                auto run = std::make_shared<stepdb::Run>();  // not the test's Run()
                run->id = ++id;
                run->project = project;
                run->name = name;
                run->attempts.resize(1);
                catalog.put_run(std::move(run));
            }
        }
        catalog_ = std::make_shared<const Catalog>(std::move(catalog));
        auto reader = std::make_shared<Rights>("token 'reader'");
        reader->grant(Right::kRead, "alpha");
        reader->grant(Right::kAdmin, "gamma");
        reader->grant(Right::kWrite, "beta");
        reader_ = reader;
    }

    Result<BoundQuery> bind(std::string_view text, std::shared_ptr<const Rights> rights) {
        return bind_query(parse_query(std::string(text)).value(), catalog_, known_,
                          std::move(rights));
    }
    std::vector<std::string> runs_of(std::string_view text, std::shared_ptr<const Rights> rights) {
        const Result<BoundQuery> bound = bind(text, std::move(rights));
        CHECK(bound.has_value(), "{}", bound.error().to_string());
        std::vector<std::string> labels;
        for (const SelectedRun* selected : bound->runs) {
            labels.push_back(selected->label);
        }
        return labels;
    }
    std::string error_of(std::string_view text) { return bind(text, reader_).error().to_string(); }

    std::shared_ptr<const Catalog> catalog_;
    KnownRuns known_{1};
    std::shared_ptr<const Rights> reader_;
};

TEST_F(BindRights, PatternsSelectWhatMayBeRead) {
    for (int round = 0; round < 2; ++round) {  // the second time of what is known
        EXPECT_EQ(runs_of("runs", nullptr).size(), 6U);
        EXPECT_THAT(runs_of("runs", reader_),
                    ElementsAre("alpha/run-1", "alpha/run-2", "gamma/run-1", "gamma/run-2"));
        EXPECT_THAT(runs_of("loss @ */run-1 | last 1", reader_),
                    ElementsAre("alpha/run-1", "gamma/run-1"));
        EXPECT_THAT(runs_of("metrics ** @ b*/*", reader_), ElementsAre());
        EXPECT_THAT(runs_of("attributes ~\"run-2\"", reader_),
                    ElementsAre("alpha/run-2", "gamma/run-2"));
        EXPECT_EQ(runs_of("runs", nullptr).size(), 6U);
    }
}

TEST_F(BindRights, ANamedRunThatMayNotBeReadIsOneThatIsNotThere) {
    const std::string hidden = error_of("loss @ beta/run-1");
    EXPECT_THAT(hidden, HasSubstr("not found: "));
    EXPECT_THAT(hidden, HasSubstr("there is no run 'beta/run-1'"));
    std::string missing = error_of("loss @ beta/run-9");
    EXPECT_THAT(missing, Not(HasSubstr("beta/run-1")));
    missing.replace(missing.find("run-9"), 5, "run-1");
    missing.replace(missing.rfind("run-9"), 5, "run-1");
    EXPECT_EQ(hidden, missing);
    EXPECT_THAT(error_of("loss @ own(beta/run-2)"), HasSubstr("there is no run"));
    EXPECT_THAT(error_of("loss @ parent(beta/run-2)"), HasSubstr("there is no run"));
    EXPECT_THAT(error_of("loss @ alpha/run-1, beta/run-1"), HasSubstr("there is no run"));
    EXPECT_THAT(error_of("(a @ alpha/run-1) - (b @ beta/run-1)"), HasSubstr("there is no run"));
}

TEST_F(BindRights, NotesTellNothingOfOtherRuns) {
    auto nobody = std::make_shared<Rights>("token 'writer'");
    nobody->grant(Right::kWrite, "*");
    EXPECT_THAT(bind("runs", nobody)->notes,
                ElementsAre("the store has no runs that this token may read"));
    EXPECT_THAT(bind("runs beta/*", reader_)->notes, ElementsAre("no run matches 'beta/*'"));
    EXPECT_THAT(bind("runs delta/*", reader_)->notes, ElementsAre("no run matches 'delta/*'"));
}

TEST_F(BindRights, StatisticsOfTheStoreTakeTheAdminRight) {
    EXPECT_THAT(error_of("stats"), HasSubstr("permission denied: token 'reader' may not ask for"));
    EXPECT_THAT(error_of("explain stats"), HasSubstr("permission denied"));
    auto admin = std::make_shared<Rights>("token 'admin'");
    admin->grant(Right::kAdmin, "*");
    EXPECT_TRUE(bind("stats", admin).has_value());
    EXPECT_TRUE(bind("stats", nullptr).has_value());
}

}  // namespace stepdb::bind_rights_test
