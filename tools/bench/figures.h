// What was measured, in one flat list: a table for people, or one JSON object with stable keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/result_columns.h"
#include "tools/output/result_writer.h"

namespace stepdb {

class Figures {
  public:
    // `key` is part of the interface (docs/benchmarks.md); `unit` is for the table alone.
    void add_text(std::string key, std::string_view text);
    void add_count(std::string key, uint64_t count, std::string unit = "");
    void add_flag(std::string key, bool is_so);
    void add_number(std::string key, double number, std::string unit = "");
    // Without a number: null, and in the table `absent`.
    void add_number(std::string key, std::optional<double> number, std::string unit = "",
                    std::string_view absent = "not measured");

    // A line each: what, value, unit.
    void print_table(const TextSink& sink) const;
    void print_json(const TextSink& sink) const;

  private:
    struct Figure {
        Figure() = default;

        ResultColumn column;
        std::optional<ColumnCells> cell;
        std::optional<bool> flag;  // instead of a cell
        std::string shown;
        std::string unit;
    };
    Figure& add(std::string key, ColumnType type, std::string unit);
    static std::string member_of(const Figure& figure);

    std::vector<Figure> figures_;
};

}  // namespace stepdb
