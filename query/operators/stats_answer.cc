// `stats`: a row a fact about the store.
#include "query/answer.h"

namespace stepdb {

namespace {

class StatsAnswer : public Answer {
  public:
    explicit StatsAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("what", ColumnType::kText);
        columns_.emplace_back("value", ColumnType::kFloat64);
        columns_.emplace_back("reads_as", ColumnType::kText);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 1; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const std::vector<StoreFact>& facts = context_.bound.store;
        for (; at_ < facts.size(); ++at_) {
            const StoreFact& fact = facts[at_];
            block.column(0).append_text(fact.what);
            block.column(1).append_double(fact.value);
            if (fact.reads_as.empty()) {
                block.column(2).append_null();
            } else {
                block.column(2).append_text(fact.reads_as);
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

std::unique_ptr<Answer> make_stats_answer(ExecutionContext& context) {
    return std::make_unique<StatsAnswer>(context);
}

}  // namespace stepdb
