#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/float_bits.h"
#include "engine/model/cell_text.h"
#include "tools/output/format_cell.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

// The table is laid out by so many rows; later ones are fitted to them, so that an answer of any
// length is printed as it comes and in bounded memory.
constexpr size_t kLayoutRows = 1000;
constexpr int kSignificantDigits = 6;
constexpr int kDecimalsMax = 9;
constexpr std::string_view kGap = "  ";

// How the floats of one column are written: with at most the same decimals, so that points stand
// under each other, as long as that shows each value to a few digits.
struct FloatLayout {
    bool fixed = false;
    int decimals = 0;
};

bool exact_at(double value, int decimals) {
    return parse_value(fmt::format("{:.{}f}", value, decimals)) == value;
}

FloatLayout layout_of(const std::vector<double>& values) {
    double smallest = INFINITY;
    double largest = 0;
    for (const double value : values) {
        if (std::isfinite(value) && value != 0) {
            smallest = std::min(smallest, std::fabs(value));
            largest = std::max(largest, std::fabs(value));
        }
    }
    if (largest == 0) {
        return {true, 0};
    }
    if (largest >= 1e12 || smallest < 1e-5) {
        return {};
    }
    const int for_largest =
        kSignificantDigits - 1 - static_cast<int>(std::floor(std::log10(largest)));
    const int for_smallest = 3 - static_cast<int>(std::floor(std::log10(smallest)));
    int decimals = std::clamp(std::max(for_largest, for_smallest), 0, kDecimalsMax);
    const auto all_exact_at = [&](int fewer) {
        return std::all_of(values.begin(), values.end(), [&](double value) {
            return !std::isfinite(value) || exact_at(value, fewer);
        });
    };
    while (decimals > 0 && all_exact_at(decimals - 1)) {
        --decimals;
    }
    return {true, decimals};
}

std::string format_float(double value, const FloatLayout& layout) {
    if (!std::isfinite(value)) {
        return format_value(value);
    }
    const double size = std::fabs(value);
    const bool shows = value == 0 || (size < 1e15 && size >= std::pow(10.0, -layout.decimals));
    if (layout.fixed && shows) {
        std::string text = fmt::format("{:.{}f}", value, layout.decimals);
        if (parse_value(text) == value) {
            // Zeros that nobody logged are blanks.
            const size_t width = text.size();
            text = without_trailing_zeros(std::move(text));
            text.resize(width, ' ');
        }
        return text;
    }
    return fmt::format("{:.{}g}", value, kSignificantDigits);
}

class TableWriter : public ResultWriter {
  public:
    explicit TableWriter(TextSink sink) : sink_(std::move(sink)) {}

    void begin(std::span<const ResultColumn> columns) override {
        columns_.assign(columns.begin(), columns.end());
    }

    void block(const ResultBlock& block) override {
        rows_ += block.rows();
        if (laid_out_) {
            write_rows(block);
            return;
        }
        waiting_.push_back(block);
        if (rows_ >= kLayoutRows) {
            lay_out();
        }
    }

    void end() override {
        if (!laid_out_) {
            lay_out();
        }
        sink_(fmt::format("({} {})\n", rows_, rows_ == 1 ? "row" : "rows"));
    }

  private:
    using Cells = std::vector<std::vector<std::string>>;  // by column, by row

    void lay_out() {
        laid_out_ = true;
        for (size_t column = 0; column < columns_.size(); ++column) {
            floats_.push_back(layout_of(floats_of(column)));
        }
        std::vector<Cells> formatted;
        for (const ResultColumn& column : columns_) {
            widths_.push_back(display_width(column.name));
        }
        for (const ResultBlock& block : waiting_) {
            formatted.push_back(format_cells(block));
            for (size_t column = 0; column < columns_.size(); ++column) {
                for (const std::string& cell : formatted.back()[column]) {
                    widths_[column] = std::max(widths_[column], display_width(cell));
                }
            }
        }
        waiting_.clear();
        write_header();
        for (const Cells& cells : formatted) {
            write_cells(cells);
        }
    }

    std::vector<double> floats_of(size_t column) const {
        std::vector<double> values;
        if (columns_[column].type != ColumnType::kFloat64) {
            return values;
        }
        for (const ResultBlock& block : waiting_) {
            const ColumnCells& cells = block.column(column);
            for (uint32_t row = 0; row < block.rows(); ++row) {
                if (!cells.is_null(row)) {
                    values.push_back(cells.doubles()[row]);
                }
            }
        }
        return values;
    }

    Cells format_cells(const ResultBlock& block) const {
        Cells formatted(columns_.size());
        for (size_t column = 0; column < columns_.size(); ++column) {
            const ColumnCells& cells = block.column(column);
            const std::vector<std::string_view> texts = cells.texts();
            for (uint32_t row = 0; row < block.rows(); ++row) {
                std::string cell;
                if (cells.type() == ColumnType::kFloat64 && !cells.is_null(row)) {
                    cell = format_float(cells.doubles()[row], floats_[column]);
                } else {
                    cell = exact_cell(cells, row, texts.empty() ? std::string_view() : texts[row]);
                }
                formatted[column].push_back(safe_text(cell));
            }
        }
        return formatted;
    }

    void write_rows(const ResultBlock& block) { write_cells(format_cells(block)); }

    void append_cell(std::string& line, size_t column, std::string_view cell) const {
        const size_t width = display_width(cell);
        const size_t padding = widths_[column] - std::min(widths_[column], width);
        const bool left = columns_[column].type == ColumnType::kText;
        line += column == 0 ? std::string_view() : kGap;
        line.append(left ? 0 : padding, ' ');
        line += cell;
        line.append(left && column + 1 < columns_.size() ? padding : 0, ' ');
    }

    void write_header() {
        std::string line;
        std::string rule;
        for (size_t column = 0; column < columns_.size(); ++column) {
            append_cell(line, column, columns_[column].name);
            rule += column == 0 ? std::string_view() : kGap;
            for (size_t width = 0; width < widths_[column]; ++width) {
                rule += "─";
            }
        }
        sink_(line + "\n" + rule + "\n");
    }

    void write_cells(const Cells& cells) {
        std::string lines;
        const size_t rows = cells.empty() ? 0 : cells.front().size();
        for (size_t row = 0; row < rows; ++row) {
            std::string line;
            for (size_t column = 0; column < columns_.size(); ++column) {
                append_cell(line, column, cells[column][row]);
            }
            line.erase(line.find_last_not_of(' ') + 1);
            lines += line + "\n";
        }
        sink_(lines);
    }

    TextSink sink_;
    std::vector<ResultColumn> columns_;
    std::vector<ResultBlock> waiting_;  // until the table is laid out
    std::vector<FloatLayout> floats_;
    std::vector<size_t> widths_;
    uint64_t rows_ = 0;
    bool laid_out_ = false;
};

}  // namespace

std::unique_ptr<ResultWriter> make_table_writer(TextSink sink) {
    return std::make_unique<TableWriter>(std::move(sink));
}

}  // namespace stepdb
