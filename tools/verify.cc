// `stepdb verify`: a whole store checked without a server.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "engine/io/environment.h"
#include "engine/verify.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"
#include "tools/output/progress.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

struct Options {
    std::string directory;
    std::string format = "table";
};

uint64_t problem_count(const VerifyReport& report) {
    return report.problems.size() + report.problems_left_out;
}

std::string verdict(const VerifyReport& report) {
    return report.good() ? "all good" : count_of(problem_count(report), "problem");
}

bool is_known(const Id128& store) {
    return store != Id128();
}

void print_text(const VerifyReport& report) {
    for (const StoreProblem& problem : report.problems) {
        const std::string at = problem.offset ? fmt::format(" byte {}", *problem.offset) : "";
        fmt::print("{}{}: {}\n    {}\n", safe_text(problem.file), at, safe_text(problem.what),
                   problem.remedy);
    }
    if (report.problems_left_out != 0) {
        fmt::print("and {}\n", count_of(report.problems_left_out, "more problem"));
    }
    for (const StoreNote& note : report.notes) {
        fmt::print("note: {}: {}\n", safe_text(note.file), safe_text(note.what));
        if (!note.remedy.empty()) {
            fmt::print("    {}\n", note.remedy);
        }
    }
    fmt::print("store {}: {}, {}, {}, {}, {}: {}\n",
               is_known(report.store) ? report.store.to_hex() : "of an unknown id",
               count_of(report.files, "file"), count_of(report.bytes, "byte"),
               count_of(report.runs, "run"), count_of(report.rows, "row"),
               count_of(report.points, "point"), verdict(report));
    if (report.deleted_rows != 0) {
        fmt::print("{} of deleted runs still {} space\n", count_of(report.deleted_rows, "row"),
                   report.deleted_rows == 1 ? "takes" : "take");
    }
}

// A row for every problem and note, and one that sums up.
void print_rows(const VerifyReport& report, OutputFormat format) {
    const std::vector<ResultColumn> columns = {
        {"kind", ColumnType::kText},      {"file", ColumnType::kText},
        {"byte", ColumnType::kUint64},    {"what", ColumnType::kText},
        {"remedy", ColumnType::kText},    {"store", ColumnType::kText},
        {"files", ColumnType::kUint64},   {"bytes", ColumnType::kUint64},
        {"runs", ColumnType::kUint64},    {"rows", ColumnType::kUint64},
        {"points", ColumnType::kUint64},  {"deleted_rows", ColumnType::kUint64},
        {"problems", ColumnType::kUint64}};
    constexpr size_t kStore = 5;
    constexpr size_t kTotals = 6;  // the first column of the sums
    ResultBlock block(columns);
    const auto put = [&](std::string_view kind, const std::string* file,
                         std::optional<uint64_t> offset, std::string_view what,
                         std::string_view remedy) {
        block.column(0).append_text(kind);
        file != nullptr ? block.column(1).append_text(*file) : block.column(1).append_null();
        offset ? block.column(2).append_uint64(*offset) : block.column(2).append_null();
        block.column(3).append_text(what);
        block.column(4).append_text(remedy);
    };
    for (const StoreProblem& problem : report.problems) {
        put("problem", &problem.file, problem.offset, problem.what, problem.remedy);
    }
    for (const StoreNote& note : report.notes) {
        put("note", &note.file, std::nullopt, note.what, note.remedy);
    }
    const uint32_t before = block.column(0).rows();
    put("summary", nullptr, std::nullopt, verdict(report), "");
    if (before != 0) {
        block.column(kStore).append_null(before);
    }
    is_known(report.store) ? block.column(kStore).append_text(report.store.to_hex())
                           : block.column(kStore).append_null();
    size_t column = kTotals;
    for (const uint64_t total : {report.files, report.bytes, report.runs, report.rows,
                                 report.points, report.deleted_rows, problem_count(report)}) {
        if (before != 0) {
            block.column(column).append_null(before);
        }
        block.column(column++).append_uint64(total);
    }
    const std::unique_ptr<ResultWriter> writer = make_result_writer(format, write_to_stdout);
    writer->begin(columns);
    writer->block(block);
    writer->end();
}

std::unique_ptr<Progress> make_progress(uint64_t total) {
    ProgressOptions options;
    options.label = "verifying";
    options.unit = "bytes";
    options.total = total;
    options.terminal = is_terminal(STDERR_FILENO);
    options.width = terminal_size(STDERR_FILENO).width;
    const TextSink sink = [](std::string_view text) { fmt::print(stderr, "{}", text); };
    return std::make_unique<Progress>(std::move(options), sink, steady_us);
}

Status verify(const Options& options, OutputFormat format) {
    TRY_ASSIGN(const auto io, IoEnvironment::create());
    std::unique_ptr<Progress> progress;
    VerifyOptions verify_options;
    verify_options.directory = options.directory;
    verify_options.on_progress = [&](uint64_t done, uint64_t total) {
        progress = progress != nullptr ? std::move(progress) : make_progress(total);
        progress->update(done);
    };
    const Result<VerifyReport> report =
        block_on(io->loop(), verify_store(io->files(), std::move(verify_options)));
    progress.reset();
    if (!report) {
        if (report.error().code() == ErrorCode::kFailedPrecondition) {
            return make_error(report.error().code(),
                              "{}. A server that has the store open must end before it is verified",
                              report.error().message());
        }
        return report.error();
    }
    if (format == OutputFormat::kTable) {
        print_text(*report);
    } else {
        print_rows(*report, format);
    }
    if (!report->good()) {
        return make_error(ErrorCode::kCorruption, "{}: {}", options.directory, verdict(*report));
    }
    return {};
}

}  // namespace

Command add_verify(CLI::App& stepdb) {
    auto options = std::make_shared<Options>();
    CLI::App* app = stepdb.add_subcommand(
        "verify", "Check every checksum and every rule of a store that no server has open");
    app->add_option("DIR", options->directory, "The store's directory")
        ->type_name("DIR")
        ->required();
    app->add_option("--format", options->format,
                    "How to print: table (for reading), csv, json (one array) or jsonl (an object "
                    "a line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
    add_examples(
        *app, {"stepdb verify ./store", "stepdb verify ./store --format jsonl"},
        "Every problem is listed with its file, byte and what to do about it; the exit\n"
        "status is 1 if there is any. What keeps nothing from being read or written, such\n"
        "as damage in padding, in the header of a log file or in a log that is not needed\n"
        "any more, is only noted. Nothing is changed.");
    return {app, [=]() -> Status {
                TRY_ASSIGN(const OutputFormat format, read_output_format(options->format));
                return verify(*options, format);
            }};
}

}  // namespace stepdb
