#include "query/operators/row_answers.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <map>
#include <numeric>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "query/operators/collected_rows.h"
#include "query/sort_in_turns.h"

namespace stepdb {

namespace {

// What a collected row costs besides, in values looked at.
constexpr uint64_t kCollectedRowWork = 8;

class SortedAnswer : public Answer {
  public:
    struct Key {
        size_t column = 0;
        bool descending = false;
    };

    SortedAnswer(ExecutionContext& context, std::unique_ptr<Answer> inner, std::vector<Key> keys,
                 std::optional<uint64_t> limit)
        : context_(context),
          inner_(std::move(inner)),
          keys_(std::move(keys)),
          limit_(limit.value_or(std::numeric_limits<uint64_t>::max())),
          rows_(inner_->columns(), context.memory) {}

    const std::vector<ResultColumn>& columns() const override { return inner_->columns(); }
    size_t key_columns() const override { return inner_->key_columns(); }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (!is_read_) {
            const Status read = co_await read_all();
            if (!read) {
                co_return read.error();
            }
            is_read_ = true;
        }
        block = ResultBlock(columns());
        for (; at_ < order_.size() && block.rows() < kResultBatchRows; ++at_) {
            for (size_t column = 0; column < block.width(); ++column) {
                rows_.append_cell(block.column(column), column, order_[at_]);
            }
        }
        co_return block.rows() > 0;
    }

  private:
    Task<Status> read_all() {
        ResultBlock block;
        while (true) {
            const Result<bool> more = co_await inner_->next(block);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            const Status added = rows_.add(block);
            if (!added) {
                co_return added;
            }
            co_await context_.turns.after(block.rows() * kCollectedRowWork);
            // What cannot be among the first rows any more goes, once it is most of them.
            if (rows_.rows() / 2 > limit_ && rows_.rows() > 4 * kResultBatchRows) {
                co_await sort();
                rows_.keep(order_);
            }
        }
        co_await sort();
        co_return Status();
    }

    Task<void> sort() {
        order_.resize(rows_.rows());
        std::iota(order_.begin(), order_.end(), 0);
        const auto before = [this](uint32_t a, uint32_t b) {
            for (const Key& key : keys_) {
                const std::weak_ordering order = rows_.order(key.column, a, b, key.descending);
                if (std::is_neq(order)) {
                    return std::is_lt(order);
                }
            }
            return false;
        };
        co_await sort_in_turns(context_.turns, order_, before);
        order_.resize(std::min<uint64_t>(order_.size(), limit_));
    }

    ExecutionContext& context_;
    std::unique_ptr<Answer> inner_;
    std::vector<Key> keys_;
    uint64_t limit_;
    CollectedRows rows_;
    std::vector<uint32_t> order_;
    size_t at_ = 0;  // next of order_
    bool is_read_ = false;
};

class LimitedAnswer : public Answer {
  public:
    LimitedAnswer(std::unique_ptr<Answer> inner, uint64_t rows)
        : inner_(std::move(inner)), left_(rows) {}

    const std::vector<ResultColumn>& columns() const override { return inner_->columns(); }
    size_t key_columns() const override { return inner_->key_columns(); }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (left_ == 0) {
            co_return false;
        }
        const Result<bool> more = co_await inner_->next(block);
        if (!more || !*more) {
            co_return more;
        }
        if (block.rows() > left_) {
            CollectedRows rows(columns(), nullptr);
            const Status added = rows.add(block);
            if (!added) {
                co_return added.error();
            }
            block = ResultBlock(columns());
            for (uint32_t row = 0; row < left_; ++row) {
                for (size_t column = 0; column < block.width(); ++column) {
                    rows.append_cell(block.column(column), column, row);
                }
            }
        }
        left_ -= block.rows();
        co_return true;
    }

  private:
    std::unique_ptr<Answer> inner_;
    uint64_t left_;
};

class PivotAnswer : public Answer {
  public:
    PivotAnswer(ExecutionContext& context, std::unique_ptr<Answer> inner, LongForm form)
        : inner_(std::move(inner)), form_(form), rows_(inner_->columns(), context.memory) {}

    // Reads everything, and finds the columns.
    Task<Status> prepare(ExecutionContext& context, SourceSpan span) {
        ResultBlock block;
        while (true) {
            const Result<bool> more = co_await inner_->next(block);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            const Status added = rows_.add(block);
            if (!added) {
                co_return added;
            }
            find_lines();
            co_await context.turns.after(block.rows() * kCollectedRowWork);
        }
        const size_t width = lines_.size() * values();
        if (width > kPivotColumnsMax) {
            co_return query_error(
                context.bound.query.text, span,
                fmt::format("`pivot` would make {} columns of {} series, and {} is the most; ask "
                            "for fewer series or statistics",
                            width, lines_.size(), kPivotColumnsMax));
        }
        make_columns();
        co_await sort(context.turns);
        co_return Status();
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 1; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        std::vector<std::optional<uint32_t>> row(lines_.size());
        while (at_ < order_.size() && block.rows() < kResultBatchRows) {
            std::ranges::fill(row, std::nullopt);
            const uint32_t first = order_[at_];
            while (at_ < order_.size() && repeats_[first] == repeats_[order_[at_]] &&
                   same_x(first, order_[at_])) {
                row[line_of_[order_[at_]]] = order_[at_];
                ++at_;
            }
            append_row(block, first, row);
        }
        co_return block.rows() > 0;
    }

  private:
    size_t values() const { return inner_->columns().size() - form_.labels - form_.xs; }
    size_t first_value() const { return form_.labels + form_.xs; }

    // Which series the rows are of that were collected since, in the order in which they came.
    void find_lines() {
        auto row = static_cast<uint32_t>(line_of_.size());
        line_of_.resize(rows_.rows());
        std::vector<uint64_t> label(2 * form_.labels);
        for (; row < rows_.rows(); ++row) {
            for (size_t i = 0; i < form_.labels; ++i) {
                label[2 * i] = rows_.is_null(i, row) ? 1 : 0;
                label[2 * i + 1] = rows_.text_number(i, row);
            }
            const auto [at, is_new] =
                numbers_.try_emplace(label, static_cast<uint32_t>(lines_.size()));
            if (is_new) {
                lines_.push_back(row);
            }
            line_of_[row] = at->second;
        }
    }

    // Whether not all series have the same there.
    bool varies(size_t column) const {
        return std::ranges::any_of(lines_, [&](uint32_t row) {
            return rows_.shown(column, row) != rows_.shown(column, lines_.front());
        });
    }

    std::string name_line(uint32_t row) const {
        std::vector<std::string> parts;
        if (form_.is_of_series) {
            const bool is_of_runs = varies(0);
            if (is_of_runs) {
                parts.push_back(rows_.shown(0, row));
            }
            if (!is_of_runs || varies(1)) {
                parts.push_back(rows_.shown(1, row));
            }
            return fmt::format("{}", fmt::join(parts, " "));
        }
        for (size_t i = 0; i < form_.labels; ++i) {
            parts.push_back(fmt::format("{}={}", inner_->columns()[i].name, rows_.shown(i, row)));
        }
        return fmt::format("{}", fmt::join(parts, ", "));
    }

    void make_columns() {
        const std::vector<ResultColumn>& from = inner_->columns();
        columns_.assign(from.begin() + static_cast<ptrdiff_t>(form_.labels),
                        from.begin() + static_cast<ptrdiff_t>(first_value()));
        for (const uint32_t line : lines_) {
            const std::string name = name_line(line);
            for (size_t i = first_value(); i < from.size(); ++i) {
                const bool is_alone = values() == 1 && !name.empty();
                columns_.emplace_back(is_alone       ? name
                                      : name.empty() ? from[i].name
                                                     : fmt::format("{} {}", name, from[i].name),
                                      from[i].type);
            }
        }
    }

    bool same_x(uint32_t a, uint32_t b) const {
        for (size_t i = form_.labels; i < first_value(); ++i) {
            if (std::is_neq(rows_.order(i, a, b, false))) {
                return false;
            }
        }
        return true;
    }

    // A series that has an x several times has as many rows there.
    Task<void> count_repeats(Turns& turns) {
        repeats_.resize(rows_.rows());
        std::vector<std::optional<uint32_t>> last(lines_.size());
        for (uint32_t row = 0; row < rows_.rows(); ++row) {
            std::optional<uint32_t>& before = last[line_of_[row]];
            repeats_[row] = before && same_x(*before, row) ? repeats_[*before] + 1 : 0;
            before = row;
            if (row % kResultBatchRows == kResultBatchRows - 1) {
                co_await turns.after(kResultBatchRows);
            }
        }
    }

    Task<void> sort(Turns& turns) {
        co_await count_repeats(turns);
        order_.resize(rows_.rows());
        std::iota(order_.begin(), order_.end(), 0);
        const auto before = [this](uint32_t a, uint32_t b) {
            for (size_t i = form_.labels; i < first_value(); ++i) {
                const std::weak_ordering order = rows_.order(i, a, b, false);
                if (std::is_neq(order)) {
                    return std::is_lt(order);
                }
            }
            return repeats_[a] < repeats_[b];
        };
        co_await sort_in_turns(turns, order_, before);
    }

    void append_row(ResultBlock& block, uint32_t first,
                    const std::vector<std::optional<uint32_t>>& row) const {
        size_t column = 0;
        for (size_t i = form_.labels; i < first_value(); ++i) {
            rows_.append_cell(block.column(column++), i, first);
        }
        for (const std::optional<uint32_t>& of_line : row) {
            for (size_t i = 0; i < values(); ++i) {
                ColumnCells& cells = block.column(column++);
                if (of_line) {
                    rows_.append_cell(cells, first_value() + i, *of_line);
                } else {
                    cells.append_null();
                }
            }
        }
    }

    std::unique_ptr<Answer> inner_;
    LongForm form_;
    CollectedRows rows_;
    std::vector<ResultColumn> columns_;
    std::map<std::vector<uint64_t>, uint32_t> numbers_;  // of lines, by their labels
    std::vector<uint32_t> lines_;                        // the first row of each
    std::vector<uint32_t> line_of_;                      // by row
    std::vector<uint32_t> repeats_;  // by row: how often its line had its x before
    std::vector<uint32_t> order_;    // rows by x
    size_t at_ = 0;                  // next of order_
};

}  // namespace

Task<Result<std::unique_ptr<Answer>>> make_pivot_answer(ExecutionContext& context,
                                                        std::unique_ptr<Answer> inner,
                                                        LongForm form, SourceSpan span) {
    auto answer = std::make_unique<PivotAnswer>(context, std::move(inner), form);
    const Status prepared = co_await answer->prepare(context, span);
    if (!prepared) {
        co_return prepared.error();
    }
    co_return Result<std::unique_ptr<Answer>>(std::move(answer));
}

Result<std::unique_ptr<Answer>> make_sorted_answer(ExecutionContext& context,
                                                   std::unique_ptr<Answer> inner,
                                                   const RowStages& stages) {
    std::vector<std::string> names;
    for (const ResultColumn& column : inner->columns()) {
        names.push_back(column.name);
    }
    std::vector<SortedAnswer::Key> keys;
    for (const ColumnKey& key : stages.sort) {
        const auto at = std::ranges::find(names, key.column);
        if (at == names.end()) {
            return query_error(context.bound.query.text, key.span,
                               fmt::format("expected a column of this answer ({}), found '{}'{}",
                                           fmt::join(names, ", "), printable(key.column, 80),
                                           did_you_mean(key.column, names)));
        }
        keys.push_back({static_cast<size_t>(at - names.begin()), key.descending});
    }
    return std::unique_ptr<Answer>(
        std::make_unique<SortedAnswer>(context, std::move(inner), std::move(keys), stages.limit));
}

std::unique_ptr<Answer> make_limited_answer(std::unique_ptr<Answer> inner, uint64_t rows) {
    return std::make_unique<LimitedAnswer>(std::move(inner), rows);
}

}  // namespace stepdb
