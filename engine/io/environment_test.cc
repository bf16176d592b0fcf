#include "engine/io/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace stepdb::environment_test {

using testing::HasSubstr;

// Sets $STEPDB_IO for one test, which runs on one thread.
class WithStepdbIo {
  public:
    explicit WithStepdbIo(const char* value) {
        const char* old = std::getenv(kName);  // NOLINT(concurrency-mt-unsafe)
        old_ = old != nullptr ? old : "";
        ::setenv(kName, value, 1);  // NOLINT(concurrency-mt-unsafe)
    }
    ~WithStepdbIo() { ::setenv(kName, old_.c_str(), 1); }  // NOLINT(concurrency-mt-unsafe)
    WithStepdbIo(const WithStepdbIo&) = delete;
    WithStepdbIo& operator=(const WithStepdbIo&) = delete;

  private:
    static constexpr const char* kName = "STEPDB_IO";
    std::string old_;
};

TEST(Environment, ReportsItsBackend) {
    auto environment = IoEnvironment::create();
    ASSERT_TRUE(environment.has_value()) << environment.error().message();
    const std::string backend((*environment)->backend());
    RecordProperty("backend", backend);
    fmt::print("file system backend: {}{}{}\n", backend,
               (*environment)->fallback_reason().empty() ? "" : ", because ",
               (*environment)->fallback_reason());
    EXPECT_TRUE(backend == "io_uring" || backend == "pread/pwrite");
    EXPECT_EQ((*environment)->files().backend(), backend);
}

TEST(Environment, VariableForcesTheFallback) {
    const WithStepdbIo variable("posix");
    auto environment = IoEnvironment::create();
    ASSERT_TRUE(environment.has_value());
    EXPECT_EQ((*environment)->backend(), "pread/pwrite");
    EXPECT_EQ((*environment)->fallback_reason(), "") << "it was asked for";
}

TEST(Environment, ForcedIoUringIsHadOrIsAnError) {
    const WithStepdbIo variable("uring");
    auto environment = IoEnvironment::create();
    if (environment.has_value()) {
        EXPECT_EQ((*environment)->backend(), "io_uring");
    } else {
        EXPECT_THAT(environment.error().message(), HasSubstr("io_uring"));
    }
}

TEST(Environment, UnknownChoiceIsRefusedByName) {
    const WithStepdbIo variable("libaio");
    auto environment = IoEnvironment::create();
    ASSERT_FALSE(environment.has_value());
    EXPECT_EQ(environment.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(environment.error().message(), HasSubstr("\"libaio\""));
}

TEST(Environment, ClockTellsTheTimeOfOurDays) {
    constexpr int64_t kYear2024 = 1'704'067'200'000'000;
    EXPECT_GT(SystemClock().now_us(), kYear2024);
}

TEST(Environment, RandomBitsDiffer) {
    SystemRandom random;
    EXPECT_NE(random.next(), random.next());
}

}  // namespace stepdb::environment_test
