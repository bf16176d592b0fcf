// A log read to its end, as text.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tools/import/log_source.h"

namespace stepdb::testing {

struct LogText {
    std::vector<std::string> rows;  // "step time metric=value ..."
    std::string error;              // where it breaks off
    LogCounts counts;
    LogFacts facts;
    std::vector<std::string> metrics;
    uint64_t bytes_read = 0;
};

inline LogText read_log(LogSource& log) {
    LogText text;
    LogRow row;
    for (;;) {
        const Result<bool> more = log.next(row);
        text.error = more ? "" : more.error().message();
        if (!more || !*more) {
            break;
        }
        std::string line =
            fmt::format("{} {}", row.step ? fmt::format("{}", *row.step) : "-", row.time_us);
        for (const auto& [metric, value] : row.values) {
            line += fmt::format(" {}={}", log.metrics()[metric], value);
        }
        text.rows.push_back(line);
    }
    text.counts = log.counts();
    text.facts = log.facts();
    text.metrics = log.metrics();
    text.bytes_read = log.bytes_read();
    return text;
}

// A directory of its own, for the files of a test.
class LogFiles : public ::testing::Test {
  protected:
    LogFiles()
        : directory_(std::filesystem::path(::testing::TempDir()) /
                     fmt::format("stepdb-logs-{}", getpid())) {}
    ~LogFiles() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    std::string path(const std::string& name) const { return (directory_ / name).native(); }
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((directory_ / name).parent_path());
        std::ofstream(directory_ / name, std::ios::binary) << text;
        return path(name);
    }

  private:
    std::filesystem::path directory_;
};

}  // namespace stepdb::testing
