// Columns of an answer that hold the values of expressions.
#pragma once

#include "engine/model/result_columns.h"
#include "query/expression.h"
#include "query/value.h"

namespace stepdb {

// Which kinds of values a column has.
struct KindsSeen {
    bool integer = false;
    bool inexact_integer = false;  // beyond 2^53
    bool negative_integer = false;
    bool number = false;
    bool time = false;
    bool other = false;

    void see(const Value& value);
    // The narrowest that shows all of them without loss; text if there is none.
    ColumnType type() const;
};

// Of what is known without a row; kAny depends on the rows.
ColumnType column_type(ValueType type);

void append_value(ColumnCells& cells, const Value& value);

}  // namespace stepdb
