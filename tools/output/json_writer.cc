#include <cmath>

#include "engine/base/json_text.h"
#include "engine/model/cell_text.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

// Whether the cell is written without quotes: JSON knows finite numbers only.
bool is_json_number(const ColumnCells& cells, uint32_t row) {
    switch (cells.type()) {
        case ColumnType::kUint64:
            return true;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            return std::isfinite(cells.doubles()[row]);
        case ColumnType::kText:
        case ColumnType::kTime:
            return false;
    }
    return false;
}

class JsonWriter : public ResultWriter {
  public:
    JsonWriter(TextSink sink, bool lines) : sink_(std::move(sink)), lines_(lines) {}

    void begin(std::span<const ResultColumn> columns) override {
        for (const ResultColumn& column : columns) {
            std::string name;
            append_json_text(name, column.name);
            names_.push_back(name + ": ");
        }
        if (!lines_) {
            sink_("[");
        }
    }

    void block(const ResultBlock& block) override {
        std::vector<std::vector<std::string_view>> texts;
        for (size_t column = 0; column < block.width(); ++column) {
            texts.push_back(block.column(column).texts());
        }
        std::string out;
        for (uint32_t row = 0; row < block.rows(); ++row) {
            if (!lines_) {
                out += first_ ? "\n  " : ",\n  ";
            }
            first_ = false;
            out += '{';
            for (size_t column = 0; column < block.width(); ++column) {
                out += column == 0 ? "" : ", ";
                out += names_[column];
                append_cell(out, block.column(column), row,
                            texts[column].empty() ? std::string_view() : texts[column][row]);
            }
            out += lines_ ? "}\n" : "}";
        }
        sink_(out);
    }

    void end() override {
        if (!lines_) {
            sink_(first_ ? "]\n" : "\n]\n");
        }
    }

  private:
    static void append_cell(std::string& out, const ColumnCells& cells, uint32_t row,
                            std::string_view text) {
        if (cells.is_null(row)) {
            out += "null";
            return;
        }
        const std::string cell = exact_cell(cells, row, text);
        if (is_json_number(cells, row)) {
            out += cell;
        } else {
            append_json_text(out, cell);
        }
    }

    TextSink sink_;
    bool lines_;
    bool first_ = true;
    std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<ResultWriter> make_json_writer(TextSink sink, bool lines) {
    return std::make_unique<JsonWriter>(std::move(sink), lines);
}

}  // namespace stepdb
