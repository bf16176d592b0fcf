#include "tools/backup_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/text.h"
#include "net/backup_request.h"
#include "tools/answer_printer.h"
#include "tools/output/format_cell.h"
#include "tools/output/terminal.h"

namespace stepdb {

void BackupPrinter::progress(const BackupReport& report) {
    if (bar_ == nullptr) {
        ProgressOptions options;
        options.label = label_;
        options.unit = "bytes";
        options.total = report.bytes_new;
        options.terminal = is_terminal(STDERR_FILENO);
        options.width = terminal_size(STDERR_FILENO).width;
        const TextSink sink = [](std::string_view text) { fmt::print(stderr, "{}", text); };
        bar_ = std::make_unique<Progress>(std::move(options), sink, steady_us);
    }
    bar_->update(report.bytes_copied);
}

void BackupPrinter::print(const BackupReport& report, const std::string& done,
                          const std::string& directory, OutputFormat format) {
    bar_.reset();
    if (format != OutputFormat::kTable) {
        const std::unique_ptr<ResultWriter> writer = make_result_writer(format, write_to_stdout);
        writer->begin(backup_columns());
        writer->block(backup_row(report));
        writer->end();
        return;
    }
    fmt::print("{} {}: {} of {} new, {} copied to {}\n", done, count_of(report.runs, "run"),
               report.files_new, count_of(report.files, "file"), format_size(report.bytes_copied),
               safe_text(directory));
    if (report.damaged_blocks != 0) {
        fmt::print(
            "note: {} found damaged before, and copied as found; `stepdb verify {}` tells "
            "where\n",
            report.damaged_blocks == 1 ? "1 block was"
                                       : fmt::format("{} blocks were", report.damaged_blocks),
            safe_text(directory));
    }
}

void add_backup_format(CLI::App& app, std::string& format) {
    app.add_option("--format", format,
                   "How to print what was copied: table (a line for reading), csv, json (one "
                   "array) or jsonl (an object a line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
}

}  // namespace stepdb
