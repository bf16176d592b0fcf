// `notes`: a row for each note of each run, those at a step in the order of their steps, then those
// at a time.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>

#include "engine/model/attribute.h"
#include "engine/model/limits.h"
#include "query/answer.h"

namespace stepdb {

namespace {

struct RunNote {
    std::optional<double> step;
    int64_t time_us = 0;  // if it is at none
    std::string_view text;

    auto place() const { return std::tuple(!step.has_value(), step.value_or(0), time_us, text); }
};

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
    Number number{};
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

// Where the attribute of that name is a note; what else begins like one is an attribute alone.
std::optional<RunNote> note_named(std::string_view name) {
    RunNote note;
    if (name.starts_with(kNoteAtStepPrefix)) {
        note.step = whole_number<double>(name.substr(kNoteAtStepPrefix.size()));
        return note.step && std::isfinite(*note.step) ? std::optional(note) : std::nullopt;
    }
    if (name.starts_with(kNoteAtTimePrefix)) {
        const auto time_us = whole_number<int64_t>(name.substr(kNoteAtTimePrefix.size()));
        note.time_us = time_us.value_or(0);
        return time_us ? std::optional(note) : std::nullopt;
    }
    return std::nullopt;
}

// `attributes` outlives them.
std::vector<RunNote> notes_of(const Attributes& attributes) {
    std::vector<RunNote> notes;
    for (const auto& [name, value] : attributes) {
        std::optional<RunNote> note = note_named(name);
        if (!note) {
            continue;
        }
        if (const auto* one = std::get_if<std::string>(&value)) {
            note->text = *one;
            notes.push_back(*note);
        } else if (const auto* several = std::get_if<StringSet>(&value)) {
            for (const std::string& text : *several) {
                note->text = text;
                notes.push_back(*note);
            }
        }
    }
    std::ranges::sort(notes, {}, &RunNote::place);
    return notes;
}

class NotesAnswer : public Answer {
  public:
    explicit NotesAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("step", ColumnType::kStep);
        columns_.emplace_back("time", ColumnType::kTime);
        columns_.emplace_back("note", ColumnType::kText);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 4; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const auto& runs = context_.bound.runs;
        for (; at_ < runs.size() && block.rows() < kResultBatchRows; ++at_) {
            const Attributes attributes = runs[at_]->run->all_attributes();
            for (const RunNote& note : notes_of(attributes)) {
                block.column(0).append_text(runs[at_]->label);
                if (note.step) {
                    block.column(1).append_double(*note.step);
                    block.column(2).append_null();
                } else {
                    block.column(1).append_null();
                    block.column(2).append_time(note.time_us);
                }
                block.column(3).append_text(note.text);
            }
        }
        co_return block.rows() > 0;
    }

  private:
    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_notes_answer(ExecutionContext& context) {
    return std::make_unique<NotesAnswer>(context);
}

}  // namespace stepdb
