#include "engine/model/cell_text.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/base/civil_time.h"
#include "engine/base/float_bits.h"

namespace stepdb {

std::string format_step(double step) {
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    if (std::trunc(step) == step && std::fabs(step) <= kExactIntegers) {
        return fmt::format("{:.0f}", step == 0 ? 0.0 : step);
    }
    return format_value(step);
}

std::string exact_cell(const ColumnCells& cells, uint32_t row, std::string_view text) {
    if (cells.is_null(row)) {
        return {};
    }
    switch (cells.type()) {
        case ColumnType::kText:
            return std::string(text);
        case ColumnType::kFloat64:
            return format_value(cells.doubles()[row]);
        case ColumnType::kStep:
            return format_step(cells.doubles()[row]);
        case ColumnType::kTime:
            return format_time(cells.times()[row]);
        case ColumnType::kUint64:
            return fmt::format("{}", cells.uint64s()[row]);
    }
    return {};
}

void append_csv_text(std::string& line, std::string_view cell) {
    if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
        line += cell;
        return;
    }
    line += '"';
    for (const char byte : cell) {
        line += byte;
        if (byte == '"') {
            line += '"';
        }
    }
    line += '"';
}

}  // namespace stepdb
