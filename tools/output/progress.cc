#include "tools/output/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string_view>

#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

constexpr int64_t kQuietUs = 1'000'000;  // what is done within it needs no bar
constexpr int64_t kRedrawUs = 100'000;
constexpr int kBarCells = 24;
constexpr std::string_view kClearLine = "\r\x1b[K";

std::string bar(double part) {
    constexpr std::array<std::string_view, 8> kEighths = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto eighths = static_cast<int>(std::clamp(part, 0.0, 1.0) * kBarCells * 8);
    std::string text;
    for (int cell = 0; cell < kBarCells; ++cell) {
        const int filled = eighths - cell * 8;
        text += filled >= 8 ? "█" : kEighths[static_cast<size_t>(std::max(0, filled))];
    }
    return text;
}

std::string duration(double seconds) {
    const auto whole = static_cast<int64_t>(std::ceil(seconds));
    if (whole < 60) {
        return fmt::format("{} s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}:{:02} min", whole / 60, whole % 60);
    }
    return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

std::string cut_to_width(const std::string& text, int width) {
    size_t bytes = 0;
    int columns = 0;
    while (bytes < text.size()) {
        const bool starts_character = (static_cast<unsigned char>(text[bytes]) & 0xC0U) != 0x80U;
        if (starts_character && columns++ == width) {
            break;
        }
        ++bytes;
    }
    return text.substr(0, bytes);
}

}  // namespace

int64_t steady_us() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

Progress::Progress(ProgressOptions options, TextSink sink, std::function<int64_t()> now_us)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      now_us_(std::move(now_us)),
      started_us_(now_us_()) {}

Progress::~Progress() {
    finish();
}

void Progress::update(uint64_t done) {
    if (!options_.terminal) {
        return;
    }
    const int64_t now = now_us_();
    if (now - started_us_ < kQuietUs || (drawn_ && now - drawn_us_ < kRedrawUs)) {
        return;
    }
    drawn_ = true;
    drawn_us_ = now;
    // One column stays free: a full line would make some terminals wrap.
    sink_(std::string(kClearLine) +
          cut_to_width(line(done, now - started_us_), options_.width - 1));
}

void Progress::finish() {
    if (drawn_) {
        sink_(kClearLine);
        drawn_ = false;
    }
}

std::string Progress::line(uint64_t done, int64_t elapsed_us) const {
    const double amount = static_cast<double>(done);
    const double rate = amount / (static_cast<double>(elapsed_us) / 1e6);
    const std::string done_text = format_short(amount, 3);
    const std::string rate_text = format_short(rate, 3);
    if (options_.total == 0) {
        return fmt::format("{}  {} {}   {}/s", options_.label, done_text, options_.unit, rate_text);
    }
    const auto total = static_cast<double>(options_.total);
    std::string text =
        fmt::format("{}  {} {:3.0f} %   {} of {} {}   {}/s", options_.label, bar(amount / total),
                    std::floor(100 * std::min(1.0, amount / total)), done_text,
                    format_short(total, 3), options_.unit, rate_text);
    if (rate > 0 && amount < total) {
        text += fmt::format("   {} left", duration((total - amount) / rate));
    }
    return text;
}

}  // namespace stepdb
