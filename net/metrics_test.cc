#include "net/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "net/prometheus_text.h"

namespace stepdb::metrics_test {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PrometheusText, IsWhatItsFormatSays) {
    DurationHistogram times;
    times.add(-5);
    times.add(100);
    times.add(101);
    times.add(3'600'000'000);
    PrometheusText text;
    text.counter("a_total", "Of a.", 3);
    text.begin("b", "gauge", "Of b.");
    text.sample("b", "kind", "a \"b\"\\\n", 0.25);
    text.histogram("c_seconds", "Of c.", times.read());
    const std::string got = text.take();
    EXPECT_THAT(got, HasSubstr("# HELP a_total Of a.\n# TYPE a_total counter\na_total 3\n"));
    EXPECT_THAT(got, HasSubstr("b{kind=\"a \\\"b\\\"\\\\\\n\"} 0.25\n"));
    EXPECT_THAT(got, HasSubstr("c_seconds_bucket{le=\"0.0001\"} 2\n"));
    EXPECT_THAT(got, HasSubstr("c_seconds_bucket{le=\"0.00025\"} 3\n"));
    EXPECT_THAT(got, HasSubstr("c_seconds_bucket{le=\"60\"} 3\n"
                               "c_seconds_bucket{le=\"+Inf\"} 4\n"
                               "c_seconds_sum 3600.000201\nc_seconds_count 4\n"));
}

TEST(Metrics, NameRefusalsByTheirCode) {
    ServerFigures figures;
    figures.version = "1.2.3";
    figures.engine.ingest.refused[static_cast<size_t>(ErrorCode::kResourceExhausted)] = 7;
    figures.is_read_only = true;
    const std::string text = encode_metrics(figures);
    EXPECT_THAT(text,
                HasSubstr("\nstepdb_ingest_refused_frames_total{reason=\"resource_exhausted\"} "
                          "7\n"));
    EXPECT_THAT(text, HasSubstr("\nstepdb_store_read_only 1\n"));
    EXPECT_THAT(text, HasSubstr("\nstepdb_build_info{version=\"1.2.3\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("{reason=\"io_error\"} 0\n"));
    EXPECT_THAT(text, Not(HasSubstr("unknown")));
}

TEST(ProcessFigures, AreThoseOfThisProcess) {
    const ProcessFigures figures = read_process_figures("/");
    EXPECT_GT(figures.resident_bytes, 1U << 20U);
    EXPECT_GE(figures.virtual_bytes, figures.resident_bytes);
    EXPECT_GE(figures.open_files, 3U);
    EXPECT_GT(figures.open_files_max, figures.open_files);
    EXPECT_GE(figures.threads, 1U);
    EXPECT_GT(figures.started_seconds, 1.7e9);
    EXPECT_GT(figures.disk_bytes, figures.disk_free_bytes);
    EXPECT_EQ(read_process_figures("").disk_bytes, 0U);
}

}  // namespace stepdb::metrics_test
