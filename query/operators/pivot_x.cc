// `pivot x`: a row for each series, with a column for each x. Of layers in buckets that is a heat
// map.
#include <algorithm>

#include "engine/base/float_bits.h"
#include "engine/model/limits.h"
#include "engine/query_memory.h"
#include "query/operators/collected_rows.h"
#include "query/operators/row_answers.h"

namespace stepdb {

namespace {

class PivotXAnswer : public Answer {
  public:
    PivotXAnswer(ExecutionContext& context, std::unique_ptr<Answer> inner, LongForm form)
        : context_(context),
          inner_(std::move(inner)),
          form_(form),
          rows_(inner_->columns(), context.memory),
          charge_(context.memory) {}

    // Reads everything, and finds the columns.
    Task<Status> prepare(SourceSpan span) {
        Status done = find_value(span);
        ResultBlock block;
        while (done) {
            const Result<bool> more = co_await inner_->next(block);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            done = rows_.add(block);
        }
        if (done) {
            done = find_places();
        }
        if (done) {
            done = make_columns(span);
        }
        co_return done;
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return form_.labels; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        while (at_ < rows_.rows() && block.rows() < kResultBatchRows) {
            const Status appended = append_line(block);
            if (!appended) {
                co_return appended.error();
            }
        }
        co_return block.rows() > 0;
    }

  private:
    // What is combined of series tells a count beside the value that was asked for.
    Status find_value(SourceSpan span) {
        const std::vector<ResultColumn>& from = inner_->columns();
        const size_t first = form_.labels + form_.xs;
        std::vector<size_t> values;
        for (size_t at = first; at < from.size(); ++at) {
            const bool is_beside = !form_.is_of_series && from[at].name == "count";
            if (!is_beside || from.size() == first + 1) {
                values.push_back(at);
            }
        }
        if (values.size() == 1) {
            value_column_ = values.front();
            return {};
        }
        return query_error(context_.bound.query.text, span,
                           "`pivot x` shows one value for each x: name one, as in `buckets 200 "
                           "mean`");
    }

    // In the order of x.
    int64_t place_of(uint32_t row) const {
        return rows_.type(form_.labels) == ColumnType::kTime
                   ? rows_.time(form_.labels, row)
                   : ordered_image(rows_.number(form_.labels, row));
    }

    Status find_places() {
        TRY(charge_query_memory(charge_, rows_.rows() * sizeof(int64_t)));
        places_.reserve(rows_.rows());
        for (uint32_t row = 0; row < rows_.rows(); ++row) {
            places_.push_back(place_of(row));
        }
        std::ranges::sort(places_);
        places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
        return {};
    }

    size_t column_of(uint32_t row) const {
        const auto at = std::ranges::lower_bound(places_, place_of(row));
        return static_cast<size_t>(at - places_.begin());
    }

    Status make_columns(SourceSpan span) {
        if (places_.size() > kPivotColumnsMax) {
            return query_error(context_.bound.query.text, span,
                               fmt::format("`pivot x` would make {} columns, and {} is the most; "
                                           "ask for fewer buckets",
                                           places_.size(), kPivotColumnsMax));
        }
        const std::vector<ResultColumn>& from = inner_->columns();
        columns_.assign(from.begin(), from.begin() + static_cast<ptrdiff_t>(form_.labels));
        columns_.resize(form_.labels + places_.size());
        for (uint32_t row = 0; row < rows_.rows(); ++row) {
            ResultColumn& column = columns_[form_.labels + column_of(row)];
            if (column.name.empty()) {
                column = ResultColumn(rows_.shown(form_.labels, row), from[value_column_].type);
            }
        }
        return {};
    }

    bool is_of_same_line(uint32_t a, uint32_t b) const {
        for (size_t i = 0; i < form_.labels; ++i) {
            if (rows_.is_null(i, a) != rows_.is_null(i, b) ||
                rows_.text_number(i, a) != rows_.text_number(i, b)) {
                return false;
            }
        }
        return true;
    }

    // The rows of a series follow each other.
    Status append_line(ResultBlock& block) {
        const uint32_t first = at_;
        std::vector<std::optional<uint32_t>> cells(places_.size());
        for (; at_ < rows_.rows() && is_of_same_line(first, at_); ++at_) {
            std::optional<uint32_t>& cell = cells[column_of(at_)];
            if (cell) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "a series has several points where x is {}, and `pivot x` shows "
                                  "one: put `buckets` or `every` before it",
                                  rows_.shown(form_.labels, at_));
            }
            cell = at_;
        }
        for (size_t i = 0; i < form_.labels; ++i) {
            rows_.append_cell(block.column(i), i, first);
        }
        for (size_t i = 0; i < cells.size(); ++i) {
            ColumnCells& column = block.column(form_.labels + i);
            if (cells[i]) {
                rows_.append_cell(column, value_column_, *cells[i]);
            } else {
                column.append_null();
            }
        }
        return {};
    }

    ExecutionContext& context_;
    std::unique_ptr<Answer> inner_;
    LongForm form_;
    CollectedRows rows_;
    size_t value_column_ = 0;
    MemoryCharge charge_;  // for places_
    std::vector<int64_t> places_;
    std::vector<ResultColumn> columns_;
    uint32_t at_ = 0;  // next row
};

}  // namespace

Task<Result<std::unique_ptr<Answer>>> make_pivot_x_answer(ExecutionContext& context,
                                                          std::unique_ptr<Answer> inner,
                                                          LongForm form, SourceSpan span) {
    auto answer = std::make_unique<PivotXAnswer>(context, std::move(inner), form);
    const Status prepared = co_await answer->prepare(span);
    if (!prepared) {
        co_return prepared.error();
    }
    co_return Result<std::unique_ptr<Answer>>(std::move(answer));
}

}  // namespace stepdb
