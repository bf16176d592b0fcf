// `stepdb repair`: of a damaged store one that is whole, with everything that can be read.
#include "engine/repair.h"

#include <fmt/format.h>

#include <memory>

#include "engine/base/text.h"
#include "engine/io/environment.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

struct RepairArguments {
    std::string directory;
    bool dry_run = false;
    std::string format = "table";
};

std::string repair_verdict(const RepairReport& report, bool dry_run) {
    if (!report.needed) {
        return "nothing to repair";
    }
    return dry_run ? "would be repaired" : "repaired";
}

std::string byte_range(const RepairFinding& finding) {
    if (!finding.bytes) {
        return "";
    }
    const auto& [begin, end] = *finding.bytes;
    return end > begin + 1 ? fmt::format(" bytes {} to {}", begin, end - 1)
                           : fmt::format(" byte {}", begin);
}

void print_report(const RepairReport& report, const std::string& directory, bool dry_run) {
    for (const RepairFinding& finding : report.findings) {
        fmt::print("{}: {}{}: {}\n", repair_kind_name(finding.kind), safe_text(finding.file),
                   byte_range(finding), safe_text(finding.what));
    }
    fmt::print("store {}: {}, {}: {} mended, {} kept as damaged, {} lost: {}\n",
               report.store.to_hex(), count_of(report.runs, "run"),
               count_of(report.segments, "segment"), report.count(RepairKind::kMended),
               report.count(RepairKind::kKept), report.count(RepairKind::kLost),
               repair_verdict(report, dry_run));
    if (report.written) {
        fmt::print(
            "{} written; {} as before, in {}/*{}\n    remove them when nothing of them is "
            "wanted any more\n",
            format_size(report.bytes_written),
            report.set_aside.size() == 1
                ? "1 file is kept"
                : fmt::format("{} files are kept", report.set_aside.size()),
            safe_text(directory), kBeforeRepairSuffix);
    }
}

// A row for every finding, and one that sums up.
void print_findings(const RepairReport& report, bool dry_run, OutputFormat format) {
    const std::vector<ResultColumn> columns = {
        {"kind", ColumnType::kText},       {"file", ColumnType::kText},
        {"byte", ColumnType::kUint64},     {"end", ColumnType::kUint64},
        {"what", ColumnType::kText},       {"store", ColumnType::kText},
        {"runs", ColumnType::kUint64},     {"segments", ColumnType::kUint64},
        {"mended", ColumnType::kUint64},   {"kept", ColumnType::kUint64},
        {"lost", ColumnType::kUint64},     {"bytes_written", ColumnType::kUint64},
        {"set_aside", ColumnType::kUint64}};
    constexpr size_t kStoreColumn = 5;
    ResultBlock block(columns);
    for (const RepairFinding& finding : report.findings) {
        block.column(0).append_text(repair_kind_name(finding.kind));
        block.column(1).append_text(finding.file);
        finding.bytes ? block.column(2).append_uint64(finding.bytes->first)
                      : block.column(2).append_null();
        finding.bytes ? block.column(3).append_uint64(finding.bytes->second)
                      : block.column(3).append_null();
        block.column(4).append_text(finding.what);
        for (size_t column = kStoreColumn; column < columns.size(); ++column) {
            block.column(column).append_null();
        }
    }
    block.column(0).append_text("summary");
    for (size_t column = 1; column < 4; ++column) {
        block.column(column).append_null();
    }
    block.column(4).append_text(repair_verdict(report, dry_run));
    block.column(kStoreColumn).append_text(report.store.to_hex());
    size_t column = kStoreColumn + 1;
    for (const uint64_t total : {report.runs, report.segments, report.count(RepairKind::kMended),
                                 report.count(RepairKind::kKept), report.count(RepairKind::kLost),
                                 report.bytes_written, uint64_t{report.set_aside.size()}}) {
        block.column(column++).append_uint64(total);
    }
    const std::unique_ptr<ResultWriter> writer = make_result_writer(format, write_to_stdout);
    writer->begin(columns);
    writer->block(block);
    writer->end();
}

Status repair(const RepairArguments& arguments, OutputFormat format) {
    TRY_ASSIGN(const auto io, IoEnvironment::create());
    RepairOptions options;
    options.directory = arguments.directory;
    options.dry_run = arguments.dry_run;
    options.now_us = io->clock().now_us();
    const Result<RepairReport> report =
        block_on(io->loop(), repair_store(io->files(), io->loop(), std::move(options)));
    if (!report) {
        if (report.error().code() == ErrorCode::kFailedPrecondition) {
            return make_error(report.error().code(),
                              "{}. A server that has the store open must end before it is repaired",
                              report.error().message());
        }
        return report.error();
    }
    if (format == OutputFormat::kTable) {
        print_report(*report, arguments.directory, arguments.dry_run);
    } else {
        print_findings(*report, arguments.dry_run, format);
    }
    return {};
}

}  // namespace

Command add_repair(CLI::App& stepdb) {
    auto arguments = std::make_shared<RepairArguments>();
    CLI::App* app = stepdb.add_subcommand(
        "repair", "Make a damaged store whole, of everything that can be read of it");
    app->add_option("DIR", arguments->directory, "The store's directory, which no server has open")
        ->type_name("DIR")
        ->required();
    app->add_flag("--dry-run", arguments->dry_run,
                  "Tell what would be done and lost, and change nothing");
    app->add_option("--format", arguments->format,
                    "How to print: table (for reading), csv, json (one array) or jsonl (an object "
                    "a line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
    add_examples(
        *app, {"stepdb repair ./store --dry-run", "stepdb repair ./store"},
        "Each line says what became of a damage: `mended` (nothing is lost), `kept` (cannot\n"
        "be read; its bytes are carried along, and queries that need them fail naming them)\n"
        "or `lost`. What is whole stays. All files that do not count any more are kept under\n"
        "names that end in .before-repair. Where there is a backup, restoring it may be\n"
        "better: docs/operating.md, \"Repairing a store\".");
    return {app, [=]() -> Status {
                TRY_ASSIGN(const OutputFormat format, read_output_format(arguments->format));
                return repair(*arguments, format);
            }};
}

}  // namespace stepdb
