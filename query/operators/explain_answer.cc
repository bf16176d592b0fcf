// `explain`: executes the query, drops its answer and tells what reading it took.
#include <string_view>

#include "query/answer.h"

namespace stepdb {

namespace {

class ExplainAnswer : public Answer {
  public:
    ExplainAnswer(ExecutionContext& context, std::unique_ptr<Answer> answered)
        : context_(context), answered_(std::move(answered)) {
        columns_.emplace_back("what", ColumnType::kText);
        columns_.emplace_back("count", ColumnType::kUint64);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 1; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        if (done_) {
            co_return false;
        }
        uint64_t rows = 0;
        ResultBlock dropped;
        while (true) {
            const Result<bool> more = co_await answered_->next(dropped);
            if (!more) {
                co_return more;
            }
            if (!*more) {
                break;
            }
            rows += dropped.rows();
        }
        done_ = true;
        const ReadCost cost = context_.source.cost();
        add(block, "runs", context_.bound.runs.size());
        add(block, "series", context_.selection.series.size());
        add(block, "pieces", cost.pieces);
        add(block, "chunks decoded", cost.chunks_decoded);
        add(block, "vectors decoded", cost.vectors_decoded);
        add(block, "values decoded", cost.values_decoded);
        add(block, "index nodes used", cost.nodes_used);
        add(block, "summaries used", cost.summaries_used);
        add(block, "bytes read", cost.bytes_read);
        add(block, "rows", rows);
        co_return true;
    }

  private:
    static void add(ResultBlock& block, std::string_view what, uint64_t count) {
        block.column(0).append_text(what);
        block.column(1).append_uint64(count);
    }

    ExecutionContext& context_;
    std::unique_ptr<Answer> answered_;
    std::vector<ResultColumn> columns_;
    bool done_ = false;
};

}  // namespace

std::unique_ptr<Answer> make_explain_answer(ExecutionContext& context,
                                            std::unique_ptr<Answer> answered) {
    return std::make_unique<ExplainAnswer>(context, std::move(answered));
}

}  // namespace stepdb
