// The answer to a query by the plainest means: vectors of points, everything looked up by a scan.
// Written from docs/query-language.md.
#pragma once

#include <string>
#include <vector>

#include "tests/query/plain/query.h"
#include "tests/query/plain/world.h"

namespace stepdb::plain {

struct Cell {
    enum class Kind : uint8_t { kEmpty, kText, kNumber, kTime };
    Kind kind = Kind::kEmpty;
    std::string text;
    Number number;  // of kTime microseconds

    static Cell of_text(std::string text) { return {Kind::kText, std::move(text), {}}; }
    static Cell of_number(Number number) { return {Kind::kNumber, {}, number}; }
    static Cell of_time(double time_us) { return {Kind::kTime, {}, {time_us, 0}}; }
    static Cell of(const std::optional<Number>& number) {
        return number ? of_number(*number) : Cell();
    }
};

struct Table {
    std::vector<std::string> columns;
    std::vector<std::vector<Cell>> rows;
};

// Throws Undecidable.
Table evaluate(const World& world, const Query& query);

}  // namespace stepdb::plain
