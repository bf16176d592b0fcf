// Cells of an answer as text for programs: exact, and the same wherever it is written.
#pragma once

#include <string>
#include <string_view>

#include "engine/model/result_columns.h"

namespace stepdb {

// A step that is an integer up to 2^53 without exponent, any other as format_value.
std::string format_step(double step);

// A cell as CSV has it, before quoting: floats in the shortest form that reads back bit for bit,
// times ISO-8601 UTC; empty if null. `text` is the row's entry of ColumnCells::texts() for a text
// column.
std::string exact_cell(const ColumnCells& cells, uint32_t row, std::string_view text);

// Appends a cell of CSV (RFC 4180), in quotes where it needs them.
void append_csv_text(std::string& line, std::string_view cell);

}  // namespace stepdb
