// `attributes`: a row for each attribute of each run, those that the system keeps among them.
#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/run_attributes.h"

namespace stepdb {

namespace {

std::string_view type_word(AttributeType type) {
    switch (type) {
        case AttributeType::kNull:
            return "null";
        case AttributeType::kBool:
            return "bool";
        case AttributeType::kInt64:
            return "int64";
        case AttributeType::kFloat64:
            return "float64";
        case AttributeType::kString:
            return "string";
        case AttributeType::kDatetime:
            return "datetime";
        case AttributeType::kStringSet:
            return "string set";
    }
    return "unknown";
}

class AttributesAnswer : public Answer {
  public:
    explicit AttributesAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("attribute", ColumnType::kText);
        columns_.emplace_back("type", ColumnType::kText);
        columns_.emplace_back("value", ColumnType::kText);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 2; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const auto& runs = context_.bound.runs;
        for (; at_ < runs.size() && block.rows() < kResultBatchRows; ++at_) {
            for (const auto& [name, value] :
                 all_attributes(*runs[at_], context_.source, context_.now_us)) {
                block.column(0).append_text(runs[at_]->label);
                block.column(1).append_text(name);
                block.column(2).append_text(type_word(attribute_type(value)));
                block.column(3).append_text(Value::of_attribute(value).to_text());
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

std::unique_ptr<Answer> make_attributes_answer(ExecutionContext& context) {
    return std::make_unique<AttributesAnswer>(context);
}

}  // namespace stepdb
