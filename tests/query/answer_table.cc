#include "tests/query/answer_table.h"

#include "engine/base/float_bits.h"
#include "engine/model/limits.h"
#include "query/literals.h"

namespace stepdb {

namespace {

std::string cell_text(const ColumnCells& cells, const std::vector<std::string_view>& texts,
                      uint32_t row) {
    if (cells.is_null(row)) {
        return {};
    }
    switch (cells.type()) {
        case ColumnType::kText:
            return std::string(texts[row]);
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            return format_value(cells.doubles()[row]);
        case ColumnType::kTime:
            return format_moment(cells.times()[row]);
        case ColumnType::kUint64:
            return fmt::format("{}", cells.uint64s()[row]);
    }
    return "?";
}

}  // namespace

void append_lines(AnswerLines& lines, const ResultBlock& block) {
    std::vector<std::vector<std::string_view>> texts;
    for (size_t column = 0; column < block.width(); ++column) {
        texts.push_back(block.column(column).texts());
    }
    for (uint32_t row = 0; row < block.rows(); ++row) {
        std::string line;
        for (size_t column = 0; column < block.width(); ++column) {
            line += (column == 0 ? "" : ",") + cell_text(block.column(column), texts[column], row);
        }
        lines.push_back(std::move(line));
    }
}

Task<Result<AnswerLines>> collect_lines(QueryExecution& execution) {
    AnswerLines lines(1);
    const Status prepared = co_await execution.prepare();
    if (!prepared) {
        co_return prepared.error();
    }
    for (const ResultColumn& column : execution.columns()) {
        lines[0] += (lines[0].empty() ? "" : ",") + column.name;
    }
    ResultBlock block;
    while (true) {
        const Result<bool> more = co_await execution.next(block);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            break;
        }
        CHECK(block.is_complete() && block.rows() > 0 && block.rows() <= kResultBatchRows,
              "a block of {} rows", block.rows());
        append_lines(lines, block);
    }
    for (const std::string& note : execution.notes()) {
        lines.push_back("note " + note);
    }
    co_return lines;
}

}  // namespace stepdb
