#include "query/operators/value_column.h"

namespace stepdb {

namespace {

constexpr int64_t kExactIntegerMax = int64_t{1} << 53U;

}  // namespace

void KindsSeen::see(const Value& value) {
    switch (value.kind) {
        case Value::Kind::kMissing:
        case Value::Kind::kNull:
            break;
        case Value::Kind::kInteger:
            integer = true;
            inexact_integer = inexact_integer || value.integer > kExactIntegerMax ||
                              value.integer < -kExactIntegerMax;
            negative_integer = negative_integer || value.integer < 0;
            break;
        case Value::Kind::kNumber:
            number = true;
            break;
        case Value::Kind::kTime:
            time = true;
            break;
        default:
            other = true;
    }
}

ColumnType KindsSeen::type() const {
    const bool numeric = integer || number;
    if (other || (time && numeric) || (!time && !numeric)) {
        return ColumnType::kText;
    }
    if (time) {
        return ColumnType::kTime;
    }
    if (!inexact_integer) {
        return ColumnType::kFloat64;
    }
    return number || negative_integer ? ColumnType::kText : ColumnType::kUint64;
}

// Of what is known without a row; kAny depends on the rows.
ColumnType column_type(ValueType type) {
    switch (type) {
        case ValueType::kNumber:
            return ColumnType::kFloat64;
        case ValueType::kCount:
            return ColumnType::kUint64;
        case ValueType::kStep:
            return ColumnType::kStep;
        case ValueType::kTime:
            return ColumnType::kTime;
        default:
            return ColumnType::kText;
    }
}

void append_value(ColumnCells& cells, const Value& value) {
    if (!value.is_there()) {
        cells.append_null();
        return;
    }
    switch (cells.type()) {
        case ColumnType::kText:
            cells.append_text(value.to_text());
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            cells.append_double(value.as_double());
            break;
        case ColumnType::kTime:
            cells.append_time(value.integer);
            break;
        case ColumnType::kUint64:
            cells.append_uint64(static_cast<uint64_t>(value.integer));
            break;
    }
}

}  // namespace stepdb
