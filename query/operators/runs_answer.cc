// `runs`: a row a run.
#include <algorithm>
#include <map>

#include "engine/model/frame.h"
#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/run_state.h"

namespace stepdb {

namespace {

class RunsAnswer : public Answer {
  public:
    explicit RunsAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("state", ColumnType::kText);
        columns_.emplace_back("created", ColumnType::kTime);
        columns_.emplace_back("attempts", ColumnType::kUint64);
        columns_.emplace_back("metrics", ColumnType::kUint64);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const auto& runs = context_.bound.runs;
        for (; at_ < runs.size() && block.rows() < kResultBatchRows; ++at_) {
            const Run& run = *runs[at_].run;
            block.column(0).append_text(runs[at_].label);
            block.column(1).append_text(
                shown_state(run, context_.source.activity(run), context_.now_us));
            run.is_creation_known() ? block.column(2).append_time(run.created_us)
                                    : block.column(2).append_null();
            block.column(3).append_uint64(run.attempts.size());
            const auto damage = context_.source.damage(runs[at_].view());
            if (damage) {
                block.column(4).append_null();
                note_damage(runs[at_].label, *damage);
            } else {
                block.column(4).append_uint64(context_.source.metrics(runs[at_].view()).size());
            }
        }
        if (block.rows() == 0) {
            append_notes();
        }
        co_return block.rows() > 0;
    }

  private:
    // Forks of many parents may each have a reason of its own.
    static constexpr size_t kNotesMax = 20;

    // The runs whose metrics cannot be counted, by the damage.
    struct Uncounted {
        std::string first_run;
        size_t runs = 0;
    };

    void note_damage(const std::string& label, const Error& damage) {
        Uncounted& uncounted = uncounted_[damage.message()];
        uncounted.first_run = uncounted.runs == 0 ? label : uncounted.first_run;
        ++uncounted.runs;
    }

    void append_notes() {
        size_t notes = 0;
        size_t left_out = 0;
        for (const auto& [damage, uncounted] : uncounted_) {
            if (++notes > kNotesMax) {
                left_out += uncounted.runs;
                continue;
            }
            const size_t others = uncounted.runs - 1;
            context_.notes.push_back(fmt::format(
                "the metrics of run {}{} cannot be counted: {}", uncounted.first_run,
                others == 0 ? "" : fmt::format(" and {} other{}", others, others == 1 ? "" : "s"),
                damage));
        }
        if (left_out != 0) {
            context_.notes.push_back(
                fmt::format("nor can those of {} more runs, for like reasons", left_out));
        }
        uncounted_.clear();
    }

    ExecutionContext& context_;
    std::map<std::string, Uncounted> uncounted_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_runs_answer(ExecutionContext& context) {
    return std::make_unique<RunsAnswer>(context);
}

}  // namespace stepdb
