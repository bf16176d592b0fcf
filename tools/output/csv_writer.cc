#include "engine/model/cell_text.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

class CsvWriter : public ResultWriter {
  public:
    explicit CsvWriter(TextSink sink) : sink_(std::move(sink)) {}

    void begin(std::span<const ResultColumn> columns) override {
        std::string line;
        for (const ResultColumn& column : columns) {
            if (&column != columns.data()) {
                line += ',';
            }
            append_csv_text(line, column.name);
        }
        sink_(line + "\n");
    }

    void block(const ResultBlock& block) override {
        std::vector<std::vector<std::string_view>> texts;
        for (size_t column = 0; column < block.width(); ++column) {
            texts.push_back(block.column(column).texts());
        }
        std::string lines;
        for (uint32_t row = 0; row < block.rows(); ++row) {
            for (size_t column = 0; column < block.width(); ++column) {
                if (column != 0) {
                    lines += ',';
                }
                const std::string_view text =
                    texts[column].empty() ? std::string_view() : texts[column][row];
                append_csv_text(lines, exact_cell(block.column(column), row, text));
            }
            lines += '\n';
        }
        sink_(lines);
    }

    void end() override {}

  private:
    TextSink sink_;
};

}  // namespace

std::unique_ptr<ResultWriter> make_csv_writer(TextSink sink) {
    return std::make_unique<CsvWriter>(std::move(sink));
}

}  // namespace stepdb
