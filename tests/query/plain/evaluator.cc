#include "tests/query/plain/evaluator.h"

#include <algorithm>
#include <cmath>

#include "engine/base/text.h"
#include "tests/query/plain/numbers.h"
#include "tests/query/plain/shapes.h"
#include "tests/query/plain/stages.h"

namespace stepdb::plain {

namespace {

// What is there, then NaN, then what is missing.
int class_of(const Cell& cell) {
    const bool is_nan = cell.kind == Cell::Kind::kNumber && std::isnan(cell.number.value);
    return cell.kind == Cell::Kind::kEmpty ? 2 : is_nan ? 1 : 0;
}

bool sorts_before(const Cell& a, const Cell& b, bool descending) {
    if (class_of(a) != class_of(b)) {
        return class_of(a) < class_of(b);
    }
    if (class_of(a) != 0) {
        return false;
    }
    const Cell& x = descending ? b : a;
    const Cell& y = descending ? a : b;
    return a.kind == Cell::Kind::kText ? natural_less(x.text, y.text) : is_less(x.number, y.number);
}

void sort_rows(const Query& query, Table& table) {
    std::vector<size_t> columns;
    for (const SortKey& key : query.sort) {
        const auto at = std::ranges::find(table.columns, key.column);
        if (at == table.columns.end()) {
            throw Undecidable{"a column that is not there"};
        }
        columns.push_back(static_cast<size_t>(at - table.columns.begin()));
    }
    std::ranges::stable_sort(table.rows, [&](const auto& a, const auto& b) {
        for (size_t i = 0; i < columns.size(); ++i) {
            const Cell& x = a[columns[i]];
            const Cell& y = b[columns[i]];
            const bool descending = query.sort[i].descending;
            if (sorts_before(x, y, descending)) {
                return true;
            }
            if (sorts_before(y, x, descending)) {
                return false;
            }
        }
        return false;
    });
}

}  // namespace

Table evaluate(const World& world, const Query& query) {
    SeriesSet set = evaluate_series(world, query);
    Table table = query.is_combined() ? show_groups(world, query, set) : show_series(query, set);
    if (query.is_pivot) {
        table = pivot(query, table);
    }
    if (!query.sort.empty()) {
        sort_rows(query, table);
    }
    if (query.limit) {
        table.rows.resize(std::min<size_t>(table.rows.size(), *query.limit));
    }
    return table;
}

}  // namespace stepdb::plain
