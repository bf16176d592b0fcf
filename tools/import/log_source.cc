#include "tools/import/log_source.h"

#include <algorithm>

#include "engine/base/text.h"

namespace stepdb {

namespace {

constexpr size_t kNamesShown = 12;  // in a message

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lowered;
}

class EmptyLog final : public LogSource {
  public:
    Axis axis() const override { return Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return metrics_; }
    Result<bool> next(LogRow& /*row*/) override { return false; }
    const LogCounts& counts() const override { return counts_; }
    uint64_t bytes_read() const override { return 0; }

  private:
    std::vector<std::string> metrics_;
    LogCounts counts_;
};

}  // namespace

const LogFacts& LogSource::facts() const {
    static const LogFacts none;
    return none;
}

std::unique_ptr<LogSource> make_empty_log() {
    return std::make_unique<EmptyLog>();
}

const std::vector<std::string_view>& step_column_names() {
    static const std::vector<std::string_view> names = {"step", "_step", "global_step",
                                                        "trainer/global_step", "iteration"};
    return names;
}

const std::vector<std::string_view>& time_column_names() {
    static const std::vector<std::string_view> names = {"wall_time", "wall time", "_timestamp",
                                                        "timestamp"};
    return names;
}

std::optional<size_t> find_usual(std::span<const std::string> names,
                                 const std::vector<std::string_view>& usual) {
    for (const std::string_view name : usual) {
        for (size_t at = 0; at < names.size(); ++at) {
            if (lower(names[at]) == name) {
                return at;
            }
        }
    }
    return std::nullopt;
}

std::string shown_names(std::span<const std::string> names) {
    std::string text;
    for (size_t at = 0; at < std::min(names.size(), kNamesShown); ++at) {
        text += (at == 0 ? "" : ", ") + printable(names[at], 60);
    }
    if (names.size() > kNamesShown) {
        text += fmt::format(" and {} more", names.size() - kNamesShown);
    }
    return text;
}

void LogCounts::skip(std::string_view kind, const std::function<std::string()>& where) {
    const auto at = kinds.find(kind);
    if (at == kinds.end()) {
        kinds.emplace(kind, 1);
    } else {
        ++at->second;
    }
    if (skipped++ == 0) {
        first_skipped = where();
    }
}

}  // namespace stepdb
