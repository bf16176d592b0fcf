// `projects`: a row a project.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "query/answer.h"

namespace stepdb {

namespace {

// As `stepdb retention` takes it: in the largest unit that leaves no rest.
std::string age_text(int64_t age_us) {
    struct Unit {
        std::string_view suffix;
        int64_t us;
    };
    constexpr std::array<Unit, 6> kUnits = {{{"d", 86'400'000'000},
                                             {"h", 3'600'000'000},
                                             {"m", 60'000'000},
                                             {"s", 1'000'000},
                                             {"ms", 1'000},
                                             {"us", 1}}};
    const auto fits = [&](const Unit& unit) { return age_us % unit.us == 0; };
    const Unit& unit = *std::ranges::find_if(kUnits, fits);
    return fmt::format("{}{}", age_us / unit.us, unit.suffix);
}

class ProjectsAnswer : public Answer {
  public:
    explicit ProjectsAnswer(ExecutionContext& context) : projects_(context.source.projects()) {
        columns_.emplace_back("project", ColumnType::kText);
        columns_.emplace_back("runs", ColumnType::kUint64);
        columns_.emplace_back("retention", ColumnType::kText);
        std::ranges::sort(projects_, [](const ProjectInfo& a, const ProjectInfo& b) {
            return natural_less(a.name, b.name);
        });
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 1; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        for (; at_ < projects_.size() && block.rows() < kResultBatchRows; ++at_) {
            const ProjectInfo& project = projects_[at_];
            block.column(0).append_text(project.name);
            block.column(1).append_uint64(project.runs);
            if (project.retention_us == 0) {
                block.column(2).append_null();
            } else {
                block.column(2).append_text(age_text(project.retention_us));
            }
        }
        co_return block.rows() > 0;
    }

  private:
    std::vector<ProjectInfo> projects_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_projects_answer(ExecutionContext& context) {
    return std::make_unique<ProjectsAnswer>(context);
}

}  // namespace stepdb
