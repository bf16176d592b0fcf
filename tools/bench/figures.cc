#include "tools/bench/figures.h"

#include <fmt/format.h>

#include <cmath>

namespace stepdb {

namespace {

// With as many digits as a measurement is worth, and blanks between thousands.
std::string shown_number(double number) {
    if (std::abs(number) < 1000) {
        return fmt::format("{:.4g}", number);
    }
    std::string digits = fmt::format("{:.0f}", number);
    const size_t first = digits.front() == '-' ? 1 : 0;
    for (size_t at = digits.size(); at > first + 3;) {
        at -= 3;
        digits.insert(at, 1, ' ');
    }
    return digits;
}

}  // namespace

Figures::Figure& Figures::add(std::string key, ColumnType type, std::string unit) {
    Figure& figure = figures_.emplace_back();
    figure.column = ResultColumn(std::move(key), type);
    figure.cell.emplace(type);
    figure.unit = std::move(unit);
    return figure;
}

void Figures::add_text(std::string key, std::string_view text) {
    Figure& figure = add(std::move(key), ColumnType::kText, "");
    figure.cell->append_text(text);
    figure.shown = text;
}

void Figures::add_count(std::string key, uint64_t count, std::string unit) {
    Figure& figure = add(std::move(key), ColumnType::kUint64, std::move(unit));
    figure.cell->append_uint64(count);
    figure.shown = shown_number(static_cast<double>(count));
}

void Figures::add_flag(std::string key, bool is_so) {
    Figure& figure = add(std::move(key), ColumnType::kText, "");
    figure.flag = is_so;
    figure.shown = is_so ? "yes" : "no";
}

void Figures::add_number(std::string key, double number, std::string unit) {
    Figure& figure = add(std::move(key), ColumnType::kFloat64, std::move(unit));
    figure.cell->append_double(number);
    figure.shown = shown_number(number);
}

void Figures::add_number(std::string key, std::optional<double> number, std::string unit,
                         std::string_view absent) {
    if (number) {
        add_number(std::move(key), *number, std::move(unit));
        return;
    }
    Figure& figure = add(std::move(key), ColumnType::kFloat64, "");
    figure.cell->append_null();
    figure.shown = absent;
}

void Figures::print_table(const TextSink& sink) const {
    size_t key_width = 0;
    for (const Figure& figure : figures_) {
        key_width = std::max(key_width, figure.column.name.size());
    }
    for (const Figure& figure : figures_) {
        sink(fmt::format("{:<{}}  {}{}{}\n", figure.column.name, key_width, figure.shown,
                         figure.unit.empty() ? "" : " ", figure.unit));
    }
}

void Figures::print_json(const TextSink& sink) const {
    std::string line;
    for (const Figure& figure : figures_) {
        line += line.empty() ? "{" : ", ";
        line += member_of(figure);
    }
    sink(line + "}\n");
}

// "key": value
std::string Figures::member_of(const Figure& figure) {
    if (figure.flag) {
        return fmt::format("\"{}\": {}", figure.column.name, *figure.flag);
    }
    std::string object;
    const auto writer = make_result_writer(OutputFormat::kJsonl,
                                           [&object](std::string_view text) { object += text; });
    const std::vector<ResultColumn> columns = {figure.column};
    ResultBlock block(columns);
    block.column(0) = *figure.cell;
    writer->begin(columns);
    writer->block(block);
    writer->end();
    return object.substr(1, object.size() - 3);  // without braces and the line's end
}

}  // namespace stepdb
