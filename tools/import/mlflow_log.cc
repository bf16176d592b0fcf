#include "tools/import/mlflow_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "tools/import/mlflow_run.h"

namespace stepdb {

namespace {

// Of all files together, as far as each has its least.
constexpr size_t kChunksBytes = 32U << 20U;
constexpr size_t kChunkBytesMin = 1024;  // lines take about 60
constexpr size_t kChunkBytesMax = 256U << 10U;
constexpr int64_t kTimeMsMax = 4'000'000'000'000'000;  // two of them apart are an int64 of us

// Timestamp, value, step, data set's name and digest.
constexpr size_t kFieldsMax = 5;

bool parse_line(std::string_view text, MlflowMetric::Line& line) {
    std::array<std::string_view, kFieldsMax> fields;
    size_t count = 0;
    while (!text.empty() && count <= kFieldsMax) {
        const size_t end = std::min(text.find(' '), text.size());
        if (count == kFieldsMax) {
            return false;
        }
        fields.at(count++) = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    int64_t time_ms = 0;
    const char* const end = fields[0].data() + fields[0].size();
    const auto [stop, code] = std::from_chars(fields[0].data(), end, time_ms);
    const std::optional<double> value = parse_logged_number(fields[1]);
    const std::optional<double> step = count < 3 ? 0.0 : parse_logged_step(fields[2]);
    const bool is_time =
        code == std::errc() && stop == end && time_ms >= -kTimeMsMax && time_ms <= kTimeMsMax;
    if ((count != 2 && count != 3 && count != kFieldsMax) || !is_time || !value || !step) {
        return false;
    }
    line.time_us = time_ms * 1000;
    line.value = *value;
    line.step = *step;
    return true;
}

}  // namespace

// --- One file ---

Status MlflowMetric::fill() {
    chunk_.erase(0, position_);
    position_ = 0;
    const size_t kept = chunk_.size();
    const auto wanted =
        static_cast<size_t>(std::min<uint64_t>(chunk_bytes_ - kept, size_ - offset_));
    if (wanted == 0) {
        return {};
    }
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset_));
    chunk_.resize(kept + wanted);
    file.read(chunk_.data() + kept, static_cast<std::streamsize>(wanted));
    const auto got = static_cast<size_t>(file.gcount());
    chunk_.resize(kept + got);
    offset_ += got;
    return got == wanted ? Status()
                         : Status(make_error(ErrorCode::kIoError,
                                             "cannot read {}, or it has become shorter", path_));
}

Result<bool> MlflowMetric::next_text(std::string_view& text) {
    size_t end = chunk_.find('\n', position_);
    if (end == std::string::npos) {
        TRY(fill());
        end = chunk_.find('\n');
    }
    is_whole_ = end != std::string::npos;
    end = is_whole_ ? end : chunk_.size();
    text = std::string_view(chunk_).substr(position_, end - position_);
    const bool is_there = position_ < chunk_.size();
    position_ = is_whole_ ? end + 1 : end;
    return is_there;
}

Result<bool> MlflowMetric::next(Line& line, LogCounts& counts) {
    std::string_view text;
    for (;;) {
        TRY_ASSIGN(const bool more, next_text(text));
        if (!more) {
            return false;
        }
        ++number_;
        const bool is_whole = is_whole_;
        const bool is_proper = is_whole && parse_line(text.substr(0, text.find('\r')), line);
        if (is_proper || (is_whole && text.empty())) {
            counts.read += is_proper ? 1U : 0U;
            line.number = number_;
            if (is_proper) {
                return true;
            }
            continue;
        }
        ++counts.read;
        counts.skip(is_whole ? "malformed lines" : "lines without an end", [&] {
            return fmt::format("{}: line {}: '{}'", path_, number_, printable(text, 80));
        });
        while (!is_whole_) {  // to the end of a line that is too long
            TRY_ASSIGN(const bool follows, next_text(text));
            if (!follows) {
                return false;
            }
        }
    }
}

// --- All of them ---

Result<std::unique_ptr<LogSource>> MlflowLog::open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t /*bytes_max*/) {
    if (!is_mlflow_run(path)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} is no MLflow run, which is a directory with metrics/ or a meta.yaml "
                          "that has a run_id",
                          path);
    }
    std::unique_ptr<MlflowLog> log(new MlflowLog(options));
    TRY_ASSIGN(log->facts_, read_mlflow_facts(path));
    TRY(log->find_files(path));
    return std::unique_ptr<LogSource>(std::move(log));
}

Status MlflowLog::find_files(const std::string& path) {
    TRY_ASSIGN(const auto metrics, find_mlflow_metrics(path));
    const size_t chunk = std::clamp(kChunksBytes / std::max<size_t>(metrics.size(), 1),
                                    kChunkBytesMin, kChunkBytesMax);
    const bool is_again = options_.files && !options_.files->empty();
    for (const auto& [name, file] : metrics) {
        std::error_code failed;
        uint64_t size = std::filesystem::file_size(file, failed);
        if (failed) {
            return make_error(ErrorCode::kIoError, "cannot read {}: {}", file, failed.message());
        }
        if (is_again) {
            const auto known = options_.files->find(file);
            if (known == options_.files->end()) {
                continue;  // came since
            }
            size = known->second;
        } else if (options_.files) {
            options_.files->emplace(file, size);
        }
        const Result<uint32_t> metric = names_.intern(name);
        if (!metric && metric.error().code() != ErrorCode::kInvalidArgument) {
            return metric.error().within(path);
        }
        files_.push_back({MlflowMetric(file, size, chunk), {}, 0, {}, 0});
        if (metric) {
            files_.back().metric = *metric;
        }
    }
    return {};
}

Status MlflowLog::read_head(File& file) {
    for (;;) {
        TRY_ASSIGN(file.has_head, file.reader.next(file.head, counts_));
        if (!file.has_head || file.metric) {
            return {};
        }
        counts_.skip("without a proper name", [&] {
            return fmt::format("{}: its name can be no metric's", printable(file.reader.path()));
        });
    }
}

void MlflowLog::advance(size_t file) {
    File& at = files_[file];
    const uint64_t before = at.reader.bytes_read();
    const Status status = read_head(at);
    bytes_read_ += at.reader.bytes_read() - before;
    if (!status) {
        broken_ = status.error();
    }
    if (!status || !at.has_head) {
        return;
    }
    const auto number = static_cast<double>(at.points++);
    at.key = options_.axis == ImportAxis::kIndex  ? number
             : options_.axis == ImportAxis::kTime ? 0
                                                  : at.head.step;
    by_time_.emplace(at.head.time_us, file);
    by_key_.emplace(at.key, at.head.time_us, file);
}

Result<bool> MlflowLog::next(LogRow& row) {
    for (size_t file = 0; !has_begun_ && file < files_.size(); ++file) {
        advance(file);
    }
    has_begun_ = true;
    if (broken_ || by_time_.empty()) {
        return broken_ ? Result<bool>(*broken_) : Result<bool>(false);
    }
    const bool is_timed = axis() == Axis::kTimed;
    const int64_t window_us = is_timed ? 0 : options_.row_window_us;
    const auto [time_us, first] = *by_time_.begin();
    const double key = files_[first].key;
    rows_.begin(is_timed ? std::nullopt : std::optional<double>(key), time_us,
                files_[first].head.number);
    std::vector<size_t> taken;
    auto at = by_key_.lower_bound({key, time_us, 0});
    while (at != by_key_.end() && std::get<0>(*at) == key &&
           std::get<1>(*at) - time_us <= window_us) {
        const size_t file = std::get<2>(*at);
        rows_.add(*files_[file].metric, files_[file].head.value);
        by_time_.erase({std::get<1>(*at), file});
        at = by_key_.erase(at);
        taken.push_back(file);
    }
    for (const size_t file : taken) {
        advance(file);
    }
    rows_.take(row);
    return true;
}

}  // namespace stepdb
