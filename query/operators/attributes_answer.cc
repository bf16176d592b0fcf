// `attributes`: a row for each attribute of each run, those that the system keeps among them.
#include <fmt/format.h>

#include <string>

#include "engine/base/civil_time.h"
#include "engine/base/float_bits.h"
#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/run_state.h"

namespace stepdb {

namespace {

std::string join(const StringSet& members) {
    std::string text;
    for (const std::string& member : members) {
        text += (text.empty() ? "" : ", ") + member;
    }
    return text;
}

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

// As it is typed in `stepdb set`; numbers so that they read back bit for bit.
std::string value_text(const AttributeValue& value) {
    switch (attribute_type(value)) {
        case AttributeType::kNull:
            return "null";
        case AttributeType::kBool:
            return std::get<bool>(value) ? "true" : "false";
        case AttributeType::kInt64:
            return std::to_string(std::get<int64_t>(value));
        case AttributeType::kFloat64:
            return format_value(std::get<double>(value));
        case AttributeType::kString:
            return std::get<std::string>(value);
        case AttributeType::kDatetime:
            return format_time(std::get<Datetime>(value).us);
        case AttributeType::kStringSet:
            return join(std::get<StringSet>(value));
    }
    return "";
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

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const auto& runs = context_.bound.runs;
        for (; at_ < runs.size() && block.rows() < kResultBatchRows; ++at_) {
            for (const auto& [name, value] : all_of(runs[at_])) {
                block.column(0).append_text(runs[at_].label);
                block.column(1).append_text(name);
                block.column(2).append_text(type_word(attribute_type(value)));
                block.column(3).append_text(value_text(value));
            }
        }
        co_return block.rows() > 0;
    }

  private:
    // Which can be read and which cannot any more, of a run that was restarted.
    static void add_attempts(const Run& run, Attributes& all) {
        std::string readable;
        std::string discarded;
        for (const Attempt& attempt : run.attempts) {
            std::string& numbers = attempt.discarded ? discarded : readable;
            numbers += fmt::format("{}{}", numbers.empty() ? "" : ", ", attempt.number);
        }
        if (run.attempts.size() > 1) {
            all["sys/attempts"] = readable;
        }
        if (!discarded.empty()) {
            all["sys/discarded"] = discarded;
        }
    }

    // The user's and the system's.
    Attributes all_of(const SelectedRun& selected) const {
        const Run& run = *selected.run;
        const RunActivity activity = context_.source.activity(run);
        Attributes all = run.all_attributes();
        all["sys/state"] = std::string(shown_state(run, activity, context_.now_us));
        if (run.is_creation_known()) {
            all["sys/created"].emplace<Datetime>(run.created_us);
        }
        all["sys/attempt"] = static_cast<int64_t>(selected.attempt);
        add_attempts(run, all);
        all["sys/writers"] = static_cast<int64_t>(activity.writers);
        if (activity.last_write_us != 0) {
            all["sys/last_write"].emplace<Datetime>(activity.last_write_us);
        }
        if (const uint64_t parent = run.fork_parent(); parent != 0) {
            const std::shared_ptr<const Run> of = context_.source.find_run(parent);
            all["sys/parent"] =
                fmt::format("{}#{}", of == nullptr ? std::string("(deleted)") : of->path(),
                            run.attempts.front().parent_attempt);
            if (const std::optional<double> step = fork_step(run, selected.attempt)) {
                all["sys/fork_step"].emplace<double>(*step);
            }
        }
        return all;
    }

    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_attributes_answer(ExecutionContext& context) {
    return std::make_unique<AttributesAnswer>(context);
}

}  // namespace stepdb
