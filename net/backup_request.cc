#include "net/backup_request.h"

#include <atomic>
#include <optional>
#include <utility>

namespace stepdb {

namespace {

// A number of the report that a column tells.
struct BackupColumn {
    const char* name;
    uint64_t BackupReport::*number;
};

constexpr BackupColumn kBackupColumns[] = {
    {"sequence", &BackupReport::sequence},
    {"runs", &BackupReport::runs},
    {"files", &BackupReport::files},
    {"files_new", &BackupReport::files_new},
    {"bytes", &BackupReport::bytes},
    {"bytes_new", &BackupReport::bytes_new},
    {"bytes_copied", &BackupReport::bytes_copied},
    {"damaged_blocks", &BackupReport::damaged_blocks},
};

// What there is to tell. Net side only; it outlives the handle where news are on their way.
class BackupNews {
  public:
    explicit BackupNews(ResultSink& sink) : sink_(&sink) {}

    void give_up() { sink_ = nullptr; }
    void begin() {
        if (sink_ != nullptr) {
            sink_->on_columns(backup_columns());
        }
    }
    void want(uint32_t blocks) {
        wanted_ += blocks;
        tell();
    }
    void progress(const BackupReport& report) {
        news_ = report;
        tell();
    }
    void end(Result<BackupReport> outcome) {
        outcome_.emplace(std::move(outcome));
        tell();
    }

  private:
    void tell() {
        if (sink_ == nullptr) {
            return;
        }
        if (outcome_ && !outcome_->has_value()) {
            std::exchange(sink_, nullptr)->on_error(outcome_->error());
            return;
        }
        if (outcome_) {
            news_ = **outcome_;
        }
        if (!news_ || wanted_ == 0) {
            return;
        }
        --wanted_;
        ++rows_;
        sink_->on_block(backup_row(*std::exchange(news_, std::nullopt)));
        if (outcome_ && sink_ != nullptr) {
            QueryEnd end;
            end.rows = rows_;
            std::exchange(sink_, nullptr)->on_end(std::move(end));
        }
    }

    ResultSink* sink_;  // null once it has ended or was given up
    uint32_t wanted_ = 0;
    uint64_t rows_ = 0;
    std::optional<BackupReport> news_;
    std::optional<Result<BackupReport>> outcome_;
};

class RunningBackup final : public RunningQuery {
  public:
    RunningBackup(Executor& net_side, std::shared_ptr<BackupNews> news,
                  std::shared_ptr<std::atomic<bool>> cancelled)
        : net_side_(net_side), news_(std::move(news)), cancelled_(std::move(cancelled)) {}
    ~RunningBackup() override {
        news_->give_up();
        cancelled_->store(true, std::memory_order_relaxed);
    }
    RunningBackup(const RunningBackup&) = delete;
    RunningBackup& operator=(const RunningBackup&) = delete;

    void want(uint32_t blocks) override {
        net_side_.post([news = news_, blocks] { news->want(blocks); });
    }

  private:
    Executor& net_side_;
    std::shared_ptr<BackupNews> news_;
    std::shared_ptr<std::atomic<bool>> cancelled_;
};

}  // namespace

std::vector<ResultColumn> backup_columns() {
    std::vector<ResultColumn> columns;
    for (const BackupColumn& column : kBackupColumns) {
        columns.emplace_back(column.name, ColumnType::kUint64);
    }
    return columns;
}

ResultBlock backup_row(const BackupReport& report) {
    const std::vector<ResultColumn> columns = backup_columns();
    ResultBlock block(columns);
    for (size_t at = 0; at < columns.size(); ++at) {
        block.column(at).append_uint64(report.*kBackupColumns[at].number);
    }
    return block;
}

Result<BackupReport> read_backup_row(const ResultBlock& block) {
    BackupReport report;
    if (block.rows() == 0 || block.width() < std::size(kBackupColumns)) {
        return make_error(ErrorCode::kInvalidArgument, "{} rows of {} columns tell of no backup",
                          block.rows(), block.width());
    }
    for (size_t at = 0; at < std::size(kBackupColumns); ++at) {
        report.*kBackupColumns[at].number = block.column(at).uint64s().back();
    }
    return report;
}

std::unique_ptr<RunningQuery> start_backup(Engine& engine, Executor& engine_side,
                                           Executor& net_side, std::string directory,
                                           ResultSink& sink) {
    auto news = std::make_shared<BackupNews>(sink);
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    BackupOptions options;
    options.directory = std::move(directory);
    options.cancelled = cancelled;
    options.on_progress = [news, &net_side](const BackupReport& report) {
        net_side.post([news, report] { news->progress(report); });
    };
    net_side.post([news] { news->begin(); });
    engine_side.post([&engine, &net_side, news, options = std::move(options)]() mutable {
        start(engine.backup(std::move(options)), [&net_side, news](Result<BackupReport> outcome) {
            net_side.post(
                [news, outcome = std::move(outcome)]() mutable { news->end(std::move(outcome)); });
        });
    });
    return std::make_unique<RunningBackup>(net_side, std::move(news), std::move(cancelled));
}

}  // namespace stepdb
