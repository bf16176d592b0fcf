// `stepdb inspect`: what is in a file of a store.
#include "engine/inspect.h"
#include "engine/model/cell_text.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "engine/io/environment.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

struct Options {
    std::vector<std::string> paths;
    std::optional<uint64_t> block;
    std::string format = "table";
};

// For reading: a heading over each part, a part of one row as a list of its fields.
class TextPrinter final : public InspectSink {
  public:
    void part(std::string_view name, bool is_record, std::vector<ResultColumn> columns,
              const ResultBlock& rows) override {
        if (is_record) {
            fmt::print("\n{}\n", name);
            print_fields(columns, rows);
            return;
        }
        fmt::print("\n{} ({})\n", name, rows.rows());
        if (rows.rows() == 0) {
            return;
        }
        const std::string indent = "  ";
        std::string text = indent;
        const TextSink sink = [&](std::string_view piece) { text += piece; };
        const auto writer = make_result_writer(OutputFormat::kTable, sink);
        writer->begin(columns);
        writer->block(rows);
        writer->end();
        print_indented(text, indent);
    }

  private:
    static void print_fields(const std::vector<ResultColumn>& columns, const ResultBlock& rows) {
        size_t width = 0;
        for (const ResultColumn& column : columns) {
            width = std::max(width, column.name.size());
        }
        for (size_t i = 0; i < columns.size(); ++i) {
            const ColumnCells& cells = rows.column(i);
            const auto texts = cells.texts();
            const std::string_view text = texts.empty() ? std::string_view() : texts[0];
            fmt::print("  {:<{}}  {}\n", columns[i].name, width,
                       safe_text(exact_cell(cells, 0, text)));
        }
    }

    // Without the writer's count of rows, which the heading has.
    static void print_indented(std::string_view text, std::string_view indent) {
        text.remove_prefix(indent.size());
        while (!text.empty()) {
            const size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = text.substr(0, end);
            if (!line.empty() && line.front() != '(') {
                fmt::print("{}{}\n", indent, line);
            }
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }
};

// An object a row, which says its file and part first. The rows of all files are one answer.
class JsonPrinter final : public InspectSink {
  public:
    explicit JsonPrinter(bool lines) : lines_(lines) {}
    void begin() {
        if (!lines_) {
            fmt::print("[");
        }
    }
    void set_file(const std::string& file) { file_ = file; }
    void end() {
        if (!lines_) {
            fmt::print("{}]\n", first_ ? "" : "\n");
        }
    }

    void part(std::string_view name, bool /*is_record*/, std::vector<ResultColumn> columns,
              const ResultBlock& rows) override {
        if (rows.rows() == 0) {
            return;
        }
        std::vector<ResultColumn> head = {{"file", ColumnType::kText}, {"part", ColumnType::kText}};
        head.insert(head.end(), columns.begin(), columns.end());
        for (ResultColumn& column : head) {
            std::replace(column.name.begin(), column.name.end(), ' ', '_');
        }
        ResultBlock block(head);
        block.column(0).append_text(file_, rows.rows());
        block.column(1).append_text(name, rows.rows());
        for (size_t i = 0; i < columns.size(); ++i) {
            block.column(i + 2) = rows.column(i);
        }
        const TextSink sink = [&](std::string_view piece) { print_lines(piece); };
        const auto writer = make_result_writer(OutputFormat::kJsonl, sink);
        writer->begin(head);
        writer->block(block);
        writer->end();
    }

  private:
    void print_lines(std::string_view text) {
        while (!text.empty()) {
            const size_t end = std::min(text.find('\n'), text.size());
            const std::string_view before = lines_ ? "" : first_ ? "\n  " : ",\n  ";
            fmt::print("{}{}{}", before, text.substr(0, end), lines_ ? "\n" : "");
            first_ = false;
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

    bool lines_;
    bool first_ = true;
    std::string file_;
};

Task<Result<std::vector<std::byte>>> read_whole(FileSystem& files, std::string path) {
    const Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    std::vector<std::byte> bytes((*file)->size());
    const Status read = co_await (*file)->read(0, bytes);
    if (!read) {
        co_return read.error();
    }
    co_return bytes;
}

Status inspect_one(IoEnvironment& io, const std::string& path, const Options& options,
                   InspectSink& sink) {
    TRY_ASSIGN(const std::vector<std::byte> bytes,
               block_on(io.loop(), read_whole(io.files(), path)));
    InspectOptions inspect_options;
    inspect_options.block = options.block;
    inspect_options.name = std::filesystem::path(path).filename();
    const Status status = inspect_file(bytes, inspect_options, sink);
    return status ? Status() : Status(status.error().within(path));
}

// The files one after the other; a bad one does not keep the others from being shown.
Status inspect(const Options& options, OutputFormat format) {
    TRY_ASSIGN(const auto io, IoEnvironment::create());
    TextPrinter text;
    JsonPrinter json(format == OutputFormat::kJsonl);
    const bool as_text = format == OutputFormat::kTable;
    if (!as_text) {
        json.begin();
    }
    std::vector<Error> errors;
    for (const std::string& path : options.paths) {
        if (as_text && options.paths.size() > 1) {
            fmt::print("{}== {} ==\n", path == options.paths.front() ? "" : "\n", safe_text(path));
        }
        json.set_file(path);
        InspectSink& sink = as_text ? static_cast<InspectSink&>(text) : json;
        const Status status = inspect_one(*io, path, options, sink);
        if (!status) {
            errors.push_back(status.error());
        }
    }
    if (!as_text) {
        json.end();
    }
    std::fflush(stdout);
    // The caller prints the last one.
    for (size_t i = 0; i + 1 < errors.size(); ++i) {
        fmt::print(stderr, "stepdb inspect: error: {}\n", errors[i].message());
    }
    return errors.empty() ? Status() : Status(errors.back());
}

}  // namespace

Command add_inspect(CLI::App& stepdb) {
    auto options = std::make_shared<Options>();
    CLI::App* app = stepdb.add_subcommand("inspect", "Print what is in a file of a store");
    app->add_option("FILE", options->paths,
                    "CURRENT, a manifest, log, catalog or segment; told apart by how it begins")
        ->type_name("FILE")
        ->required();
    app->add_option("--block", options->block,
                    "Of a segment: show this block alone, its columns, encodings and sizes")
        ->type_name("N");
    app->add_option("--format", options->format,
                    "How to print: table (for reading), json (one array) or jsonl (an object a "
                    "line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "json", "jsonl"}))
        ->capture_default_str();
    add_examples(
        *app,
        {"stepdb inspect ./store/CURRENT", "stepdb inspect ./store/log-000003",
         "stepdb inspect ./store/segment-000005 --block 0",
         "stepdb inspect ./store/manifest-* --format jsonl"},
        "Needs the file alone: whether what is damaged is still needed, and whether a log was\n"
        "cut off or damaged at its end, `stepdb verify` tells, which sees the whole store. A "
        "damaged one is printed as far as it can be read; the\n"
        "error names the byte, what was found there and what was expected, and the exit\n"
        "status is 1. Of a segment every block is checked, and those with damage are\n"
        "listed. What loses nothing, such as padding that is not zero, is told in the\n"
        "part `notes`, and the exit status is 0. docs/format.md explains the parts.");
    return {app, [=]() -> Status {
                TRY_ASSIGN(const OutputFormat format, read_output_format(options->format));
                return inspect(*options, format);
            }};
}

}  // namespace stepdb
