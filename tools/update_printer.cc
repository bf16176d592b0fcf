#include "tools/update_printer.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "tools/output/terminal.h"

namespace stepdb {

namespace {

class WholePrinter final : public UpdatePrinter {
  public:
    WholePrinter(PrintOptions options, QueryText query, std::string heading)
        : options_(options), query_(std::move(query)), heading_(std::move(heading)) {}

    Status update(const std::vector<ResultColumn>& columns, const std::vector<ResultBlock>& blocks,
                  const ResultUpdate& update) override {
        const std::vector<ResultColumn> of_answer(columns.begin() + 2, columns.end());
        if (rows_.columns() != of_answer) {
            rows_.set_columns(of_answer);
        }
        TRY(rows_.apply(blocks, update.is_reset, update.rows));
        // In one piece: a screen that is cleared long before it is full again flickers.
        std::string text = is_terminal(STDOUT_FILENO) ? "\x1b[H\x1b[2J" + heading_ : "";
        AnswerPrinter printer(options_, query_, [&text](std::string_view piece) { text += piece; });
        printer.columns(of_answer);
        if (rows_.rows().rows() > 0) {
            printer.block(rows_.rows());
        }
        QueryEnd end;
        end.rows = update.rows;
        if (notes_ != update.notes || is_terminal(STDOUT_FILENO)) {
            notes_ = end.notes = update.notes;
        }
        TRY(printer.end(end));
        write_to_stdout(text);
        std::fflush(stdout);
        return {};
    }

  private:
    PrintOptions options_;
    QueryText query_;
    std::string heading_;
    WatchedRows rows_;
    std::vector<std::string> notes_;  // that were told last
};

class ChangePrinter final : public UpdatePrinter {
  public:
    explicit ChangePrinter(OutputFormat format) : format_(format) {}

    Status update(const std::vector<ResultColumn>& columns, const std::vector<ResultBlock>& blocks,
                  const ResultUpdate& update) override {
        if (writer_ == nullptr || columns_ != columns) {
            columns_ = columns;
            writer_ = make_result_writer(format_, write_to_stdout);
            writer_->begin(columns);
        }
        if (update.is_reset) {
            writer_->block(reset_row());
        }
        for (const ResultBlock& block : blocks) {
            writer_->block(block);
        }
        std::fflush(stdout);
        if (notes_ != update.notes) {
            notes_ = update.notes;
            for (const std::string& note : notes_) {
                fmt::print(stderr, "note: {}\n", note);
            }
        }
        return {};
    }

  private:
    // Says that all rows before it are void.
    ResultBlock reset_row() const {
        ResultBlock block(columns_);
        block.column(0).append_text("reset");
        for (size_t column = 1; column < block.width(); ++column) {
            block.column(column).append_null();
        }
        return block;
    }

    OutputFormat format_;
    std::vector<ResultColumn> columns_;
    std::unique_ptr<ResultWriter> writer_;
    std::vector<std::string> notes_;
};

}  // namespace

Result<std::unique_ptr<UpdatePrinter>> UpdatePrinter::create(PrintOptions options, QueryText query,
                                                             std::string heading) {
    if (options.has_format && options.format == OutputFormat::kJson) {
        return Error(ErrorCode::kInvalidArgument,
                     "json is one array, and a watch has no end; use the format jsonl");
    }
    const bool is_piped = !is_terminal(STDOUT_FILENO) && !options.has_format && !options.chart;
    const OutputFormat format = is_piped ? OutputFormat::kJsonl : options.format;
    if (format != OutputFormat::kTable) {
        return std::unique_ptr<UpdatePrinter>(std::make_unique<ChangePrinter>(format));
    }
    return std::unique_ptr<UpdatePrinter>(
        std::make_unique<WholePrinter>(options, std::move(query), std::move(heading)));
}

}  // namespace stepdb
