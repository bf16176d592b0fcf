// `stepdb export`: points out again, as tables that `stepdb import` reads.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>

#include "tools/ask.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"
#include "tools/output/progress.h"
#include "tools/output/result_writer.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

struct ExportOptions {
    TypedQuery query;
    Asked asked;
    std::string output;
    OutputFormat format = OutputFormat::kCsv;
};

// Where the table goes: the standard output, or a file that has its name only once all is in it.
class Destination {
  public:
    explicit Destination(std::string path) : path_(std::move(path)) {}
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;
    ~Destination() {
        if (file_ != nullptr) {
            std::fclose(file_);
            std::error_code ignored;
            std::filesystem::remove(unfinished(), ignored);
        }
    }

    Status open() {
        if (path_.empty()) {
            return {};
        }
        file_ = std::fopen(unfinished().c_str(), "wb");
        return file_ != nullptr ? Status() : Status(error("create", unfinished()));
    }

    void write(std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), path_.empty() ? stdout : file_);
    }

    bool has_failed() const { return std::ferror(path_.empty() ? stdout : file_) != 0; }

    Status finish() {
        if (path_.empty()) {
            // Whether it got there is asked at the end of every command.
            return {};
        }
        const bool is_written =
            !has_failed() && std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
        if (!is_written) {
            return error("write", unfinished());
        }
        if (std::rename(unfinished().c_str(), path_.c_str()) != 0) {
            return error("rename", unfinished());
        }
        std::fclose(file_);
        file_ = nullptr;
        return {};
    }

  private:
    std::string unfinished() const { return path_ + ".unfinished"; }
    static Error error(std::string_view doing, const std::string& path) {
        const int number = errno;
        return make_error(ErrorCode::kIoError, "cannot {} {}: {}", doing, path,
                          std::generic_category().message(number));
    }

    std::string path_;
    std::FILE* file_ = nullptr;
};

// The columns of points as they are.
bool are_points(const std::vector<ResultColumn>& columns) {
    std::vector<ResultColumn> wanted = {{"run", ColumnType::kText}, {"metric", ColumnType::kText}};
    if (columns.size() == 5) {
        wanted.emplace_back("step", ColumnType::kStep);
    }
    wanted.emplace_back("time", ColumnType::kTime);
    wanted.emplace_back("value", ColumnType::kFloat64);
    return columns == wanted;
}

class Export {
  public:
    explicit Export(const ExportOptions& options)
        : options_(options), destination_(options.output), progress_(make_progress()) {}

    Status run() {
        TRY_ASSIGN(const auto asker, Asker::open(options_.asked));
        TRY(destination_.open());
        const Status outcome = write_answer(*asker);
        progress_->finish();
        TRY(asker->close());
        TRY(outcome);
        TRY(destination_.finish());
        if (!options_.output.empty()) {
            fmt::print("{} of {} and {} written to {}\n", count_of(points_, "point"),
                       fmt::format("{} series", series_), count_of(runs_.size(), "run"),
                       options_.output);
        }
        return {};
    }

  private:
    Status write_answer(Asker& asker) {
        AnswerHandler handler;
        bool has_points = true;
        handler.on_columns = [&](const std::vector<ResultColumn>& columns) {
            has_points = are_points(columns);
            if (has_points) {
                writer_ = make_result_writer(
                    options_.format, [this](std::string_view text) { destination_.write(text); });
                writer_->begin(columns);
            }
        };
        handler.on_block = [&](const ResultBlock& block) {
            if (has_points) {
                take(block);
            }
            return has_points && !destination_.has_failed();
        };
        TRY_ASSIGN(QueryText query, read_query(options_.query));
        query.text += "\n| stamped";
        const Result<QueryEnd> end = asker.ask(query, handler);
        if (!has_points) {
            return make_error(ErrorCode::kInvalidArgument,
                              "points as they are can be exported, METRICS @ RUNS and stages that "
                              "choose among them; `stepdb query --format csv` prints any answer");
        }
        if (!end) {
            // Of what is stopped because it cannot be written that is told.
            return destination_.has_failed() ? destination_.finish() : Status(explain(end.error()));
        }
        writer_->end();
        for (const std::string& note : end->notes) {
            fmt::print(stderr, "note: {}\n", note);
        }
        return {};
    }

    // Nobody has typed the last stage.
    static Error explain(const Error& error) {
        const std::string& message = error.message();
        const bool is_of_stage = message.find("`stamped`") != std::string::npos ||
                                 message.find("'stamped'") != std::string::npos;
        return is_of_stage ? Error(error.code(), error.message() +
                                                     "\n`stepdb export` adds this last stage; it "
                                                     "takes METRICS @ RUNS and stages that choose "
                                                     "among points")
                           : error;
    }

    void take(const ResultBlock& block) {
        writer_->block(block);
        points_ += block.rows();
        progress_->update(points_);
        // Series come one after the other.
        const std::vector<std::string_view> runs = block.column(0).texts();
        const std::vector<std::string_view> metrics = block.column(1).texts();
        for (uint32_t row = 0; row < block.rows(); ++row) {
            if (series_ == 0 || metrics[row] != metric_ || runs[row] != run_) {
                ++series_;
                run_ = runs[row];
                metric_ = metrics[row];
                runs_.insert(run_);
            }
        }
    }

    std::unique_ptr<Progress> make_progress() const {
        ProgressOptions progress;
        progress.label = "exporting";
        progress.unit = "points";
        // Beside the table itself there is no room for it.
        progress.terminal =
            is_terminal(STDERR_FILENO) && (!options_.output.empty() || !is_terminal(STDOUT_FILENO));
        progress.width = terminal_size(STDERR_FILENO).width;
        const TextSink sink = [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stderr);
            std::fflush(stderr);
        };
        return std::make_unique<Progress>(std::move(progress), sink, steady_us);
    }

    const ExportOptions& options_;
    Destination destination_;
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<ResultWriter> writer_;
    uint64_t points_ = 0;
    uint64_t series_ = 0;
    std::set<std::string> runs_;
    std::string run_;     // of the last point
    std::string metric_;  // of the last point
};

// As it was asked for, else by the file's name.
Status choose_format(const std::string& asked, ExportOptions& options) {
    const bool is_lines = options.output.ends_with(".jsonl") || options.output.ends_with(".ndjson");
    options.format =
        asked == "jsonl" || (asked.empty() && is_lines) ? OutputFormat::kJsonl : OutputFormat::kCsv;
    TRY(read_query(options.query));
    return check_asked(options.asked);
}

}  // namespace

Command add_export(CLI::App& stepdb) {
    auto options = std::make_shared<ExportOptions>();
    auto format = std::make_shared<std::string>();
    CLI::App* app = stepdb.add_subcommand("export", "Write points as a table that import reads");
    add_query_options(*app, options->query, "Which points: METRICS @ RUNS | STAGE | ...");
    add_source_options(*app, options->asked);
    app->add_option(
           "--format", *format,
           "csv or jsonl (an object a line); the default is csv, but for an --output whose "
           "name ends with .jsonl or .ndjson")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"csv", "jsonl"}));
    app->add_option("--output", options->output,
                    "Write to this file, which is there once all is in it; the default is the "
                    "standard output")
        ->type_name("FILE");
    add_examples(
        *app,
        {"stepdb export '** @ demo/tiny' --output tiny.csv",
         "stepdb export '** @ demo/*' --output demo.jsonl",
         "stepdb export 'train/loss @ demo/tiny | steps 100..200'",
         "stepdb export '** @ demo/tiny' --data ./store"},
        "A line is a point: run, metric, step (empty for what is logged by time alone), time "
        "and\nvalue, each so that it reads back bit for bit. `stepdb import csv` and "
        "`jsonl` make the\nsame points of it, in runs of the same ids. Attributes and tags "
        "are not part of it, nor\nare attempts but the one that is asked for: RUN is the "
        "newest, RUN#K an older one.");
    return {app, [=]() -> Status { return Export(*options).run(); },
            [=]() -> Status { return choose_format(*format, *options); }};
}

}  // namespace stepdb
