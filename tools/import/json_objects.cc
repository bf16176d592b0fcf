#include "tools/import/json_objects.h"

#include <fmt/format.h>

#include "tools/import/json_run_line.h"
#include "tools/import/line_reader.h"

namespace stepdb {

namespace {

class JsonLines final : public JsonObjects {
  public:
    JsonLines(ByteSource source, const std::string& path)
        : path_(path), lines_(std::move(source), path) {}

    Result<bool> next(std::string_view& text) override {
        do {
            TRY_ASSIGN(const bool more, lines_.next(text));
            if (!more) {
                return false;
            }
        } while (text.find_first_not_of(" \t") == std::string_view::npos ||
                 take_run_line(text, facts_));
        return true;
    }
    std::string place() const override { return fmt::format("{}: line {}", path_, number()); }
    uint64_t number() const override { return lines_.number(); }
    bool unterminated() const override { return lines_.unterminated(); }
    uint64_t bytes_read() const override { return lines_.bytes_read(); }
    const LogFacts& facts() const override { return facts_; }

  private:
    std::string path_;
    LineReader lines_;
    LogFacts facts_;
};

}  // namespace

Result<std::unique_ptr<JsonObjects>> open_json_lines(const std::string& path, uint64_t bytes_max) {
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    return std::unique_ptr<JsonObjects>(std::make_unique<JsonLines>(std::move(source), path));
}

std::string id_in_json_lines(const std::string& path) {
    Result<std::unique_ptr<JsonObjects>> lines = open_json_lines(path, UINT64_MAX);
    std::string_view text;
    if (!lines || !(*lines)->next(text)) {
        return {};  // what is wrong is told when it is read
    }
    return (*lines)->facts().id();
}

}  // namespace stepdb
