// `across`, `group by` and `pivot`.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "engine/base/text.h"
#include "tests/query/plain/numbers.h"
#include "tests/query/plain/shapes.h"

namespace stepdb::plain {

namespace {

// A column of keys, and its value for a series; empty if it is missing.
struct Key {
    std::string name;
    enum class Kind : uint8_t { kRun, kMetric, kCapture, kAttribute } kind = Kind::kRun;
};

struct Group {
    std::vector<Cell> keys;
    std::vector<size_t> members;  // numbers of series
};

// One row: where it is, and what is combined there.
struct Row {
    double lo = 0;
    double hi = 0;
    std::vector<Number> values;  // finite ones
};

class Grouper {
  public:
    Grouper(const World& world, const Query& query, SeriesSet& set)
        : world_(world), query_(query), set_(set) {}

    Table show();

  private:
    void find_keys();
    Cell value_of(const Key& key, const Series& series) const;
    Cell attribute_of(const std::string& name, const Series& series) const;
    void add_glob(const GroupKey& key);
    std::vector<Group> make_groups() const;
    std::vector<Row> rows_of_points(const Group& group) const;
    std::vector<Row> rows_of_buckets(const Group& group,
                                     const std::vector<std::vector<Bucket>>& divided) const;

    const World& world_;
    const Query& query_;
    SeriesSet& set_;
    std::vector<Key> keys_;
};

Cell Grouper::attribute_of(const std::string& name, const Series& series) const {
    if (series.source == kNoSource) {
        throw Undecidable{"an attribute of several runs"};
    }
    const Run& run = world_.runs()[series.source];
    if (const auto at = run.numbers.find(name); at != run.numbers.end()) {
        return Cell::of_number({at->second, 0});
    }
    const auto at = run.texts.find(name);
    return at == run.texts.end() ? Cell() : Cell::of_text(at->second);
}

Cell Grouper::value_of(const Key& key, const Series& series) const {
    switch (key.kind) {
        case Key::Kind::kRun:
            return Cell::of_text(series.run);
        case Key::Kind::kMetric:
            return Cell::of_text(series.metric);
        case Key::Kind::kCapture: {
            const auto at = series.captures.find(key.name);
            return at == series.captures.end() ? Cell() : Cell::of_text(at->second);
        }
        case Key::Kind::kAttribute:
            return attribute_of(key.name, series);
    }
    return Cell();
}

bool is_same(const Cell& a, const Cell& b) {
    return a.kind == b.kind && a.text == b.text && a.number.value == b.number.value;
}

// Attributes that are not the same everywhere.
void Grouper::add_glob(const GroupKey& key) {
    std::set<std::string> names;
    for (const Series& series : set_.series) {
        if (series.source == kNoSource) {
            throw Undecidable{"an attribute of several runs"};
        }
        const Run& run = world_.runs()[series.source];
        for (const auto& [name, value] : run.numbers) {
            names.insert(name);
        }
        for (const auto& [name, value] : run.texts) {
            names.insert(name);
        }
    }
    for (const std::string& pattern : key.except) {
        std::map<std::string, std::string> ignored;
        if (std::ranges::none_of(
                names, [&](const std::string& name) { return matches(pattern, name, ignored); })) {
            throw Undecidable{"excepting what nobody has is an error"};
        }
    }
    for (const std::string& name : names) {
        std::map<std::string, std::string> ignored;
        const bool excepted = std::ranges::any_of(key.except, [&](const std::string& pattern) {
            return matches(pattern, name, ignored);
        });
        if (!matches(key.word, name, ignored) || excepted) {
            continue;
        }
        const Cell first = attribute_of(name, set_.series.front());
        const bool differs = std::ranges::any_of(set_.series, [&](const Series& series) {
            return !is_same(attribute_of(name, series), first);
        });
        if (differs) {
            keys_.push_back({name, Key::Kind::kAttribute});
        }
    }
}

void Grouper::find_keys() {
    for (const GroupKey& key : query_.group_by) {
        if (key.word.find('*') != std::string::npos) {
            add_glob(key);
        } else if (key.word == "run" || key.word == "metric") {
            keys_.push_back({key.word, key.word == "run" ? Key::Kind::kRun : Key::Kind::kMetric});
        } else {
            keys_.push_back({key.word, key.word.starts_with("c/") ? Key::Kind::kAttribute
                                                                  : Key::Kind::kCapture});
        }
    }
}

// What is there before what is missing; numbers as such, texts in natural order.
bool is_cell_less(const Cell& a, const Cell& b) {
    if (a.kind == Cell::Kind::kEmpty || b.kind == Cell::Kind::kEmpty) {
        return a.kind != Cell::Kind::kEmpty && b.kind == Cell::Kind::kEmpty;
    }
    return a.kind == Cell::Kind::kText ? natural_less(a.text, b.text)
                                       : a.number.value < b.number.value;
}

std::vector<Group> Grouper::make_groups() const {
    std::vector<Group> groups;
    for (size_t i = 0; i < set_.series.size(); ++i) {
        std::vector<Cell> keys;
        for (const Key& key : keys_) {
            keys.push_back(value_of(key, set_.series[i]));
        }
        const auto at = std::ranges::find_if(groups, [&](const Group& group) {
            return std::ranges::equal(group.keys, keys, is_same);
        });
        if (at == groups.end()) {
            groups.push_back({std::move(keys), {i}});
        } else {
            at->members.push_back(i);
        }
    }
    std::ranges::stable_sort(groups, [](const Group& a, const Group& b) {
        return std::ranges::lexicographical_compare(a.keys, b.keys, is_cell_less);
    });
    return groups;
}

std::vector<Row> Grouper::rows_of_points(const Group& group) const {
    std::map<double, Row> rows;
    for (const size_t member : group.members) {
        const Series& series = set_.series[member];
        // Of the points of a series at one place their mean.
        std::map<double, std::vector<Number>> of_series;
        for (const Point& point : series.points) {
            std::vector<Number>& values = of_series[place_of(series, point, set_.x)];
            if (std::isfinite(point.value.value)) {
                values.push_back(point.value);
            }
        }
        for (const auto& [at, values] : of_series) {
            Row& row = rows[at];
            row.lo = at;
            if (!values.empty()) {
                row.values.push_back(values.size() == 1 ? values.front() : mean_of(values));
            }
        }
    }
    std::vector<Row> ordered;
    ordered.reserve(rows.size());
    for (auto& [at, row] : rows) {
        ordered.push_back(std::move(row));
    }
    return ordered;
}

std::vector<Row> Grouper::rows_of_buckets(const Group& group,
                                          const std::vector<std::vector<Bucket>>& divided) const {
    const std::string name = query_.statistics.empty() ? "mean" : query_.statistics[0];
    std::vector<Row> rows(divided.empty() ? 0 : query_.buckets);
    for (size_t i = 0; i < rows.size(); ++i) {
        for (const size_t member : group.members) {
            const Bucket& bucket = divided[member][i];
            rows[i].lo = bucket.lo;
            rows[i].hi = bucket.hi;
            const std::optional<Number> value = statistic_of(bucket.points, name);
            if (value && std::isfinite(value->value)) {
                rows[i].values.push_back(*value);
            }
        }
    }
    return rows;
}

Cell combine(const std::vector<Number>& values, const std::string& name) {
    if (name == "count") {
        return Cell::of_number({static_cast<double>(values.size()), 0});
    }
    if (values.empty()) {
        return Cell();
    }
    if (name == "median" || (name[0] == 'p' && name != "pinf")) {
        double percent = 50;
        if (name != "median") {
            std::from_chars(name.data() + 1, name.data() + name.size(), percent);
        }
        return Cell::of_number(percentile_of(values, percent));
    }
    return Cell::of_number(name == "mean"  ? mean_of(values)
                           : name == "sum" ? sum_of(values)
                           : name == "std" ? deviation_of(values)
                           : name == "var" ? variance_of(values)
                                           : extreme_of(values, name == "min"));
}

Table Grouper::show() {
    if (set_.x == XKind::kOwn && set_.had_stepped && set_.had_timed) {
        throw Undecidable{"combinations of two axes"};
    }
    if (set_.series.empty()) {
        throw Undecidable{"no series to combine"};
    }
    find_keys();
    for (const Key& key : keys_) {
        if (std::ranges::all_of(set_.series, [&](const Series& series) {
                return value_of(key, series).kind == Cell::Kind::kEmpty;
            })) {
            throw Undecidable{"a key that nobody has is an error"};
        }
    }
    Table table;
    for (const Key& key : keys_) {
        table.columns.push_back(key.name);
    }
    const bool buckets = query_.shape == Query::Shape::kBuckets;
    if (buckets) {
        table.columns.insert(table.columns.end(), {"lo", "hi"});
    } else {
        table.columns.push_back(place_name(set_));
    }
    std::vector<std::string> names = query_.combinations;
    if (names.empty()) {
        names = {"mean"};
    }
    if (std::ranges::find(names, "count") == names.end()) {
        names.insert(names.begin(), "count");
    }
    table.columns.insert(table.columns.end(), names.begin(), names.end());
    const auto divided = buckets ? divide(query_, set_) : std::vector<std::vector<Bucket>>();
    for (const Group& group : make_groups()) {
        for (const Row& row : buckets ? rows_of_buckets(group, divided) : rows_of_points(group)) {
            std::vector<Cell> cells = group.keys;
            cells.push_back(place_cell(set_, row.lo));
            if (buckets) {
                cells.push_back(place_cell(set_, row.hi));
            }
            for (size_t i = cells.size() - (buckets ? 2 : 1); query_.is_log && i < cells.size();
                 ++i) {
                cells[i].number.error = kSlack * cells[i].number.value;
            }
            for (const std::string& name : names) {
                cells.push_back(combine(row.values, name));
            }
            table.rows.push_back(std::move(cells));
        }
    }
    return table;
}

// --- Pivot ---

std::string text_of(const Cell& cell) {
    if (cell.kind == Cell::Kind::kEmpty) {
        throw Undecidable{"the label of a group with a missing key"};
    }
    return cell.kind == Cell::Kind::kText ? cell.text : print(cell.number.value);
}

// Where the place begins among the columns; what stands before it names the series or group.
size_t place_column(const Table& table) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
        for (const char* name : {"lo", "step", "time", "x"}) {
            if (table.columns[i] == name) {
                return i;
            }
        }
    }
    throw Undecidable{"no place to pivot by"};
}

class Pivoter {
  public:
    Pivoter(const Query& query, const Table& table)
        : query_(query), table_(table), place_(place_column(table)) {}

    Table show();

  private:
    std::string label_of(const std::vector<Cell>& row) const;
    size_t ordinal_of(const std::vector<Cell>& row, const std::string& label);
    bool is_same_everywhere(size_t column) const {
        return std::ranges::all_of(table_.rows, [&](const auto& row) {
            return row[column].text == table_.rows.front()[column].text;
        });
    }

    const Query& query_;
    const Table& table_;
    size_t place_;
    std::map<std::pair<std::string, double>, size_t> seen_;  // rows of a label at a place
};

// Which of the rows at its place it goes to: the k-th of a label to the k-th.
size_t Pivoter::ordinal_of(const std::vector<Cell>& row, const std::string& label) {
    return seen_[{label, row[place_].number.value}]++;
}

std::string Pivoter::label_of(const std::vector<Cell>& row) const {
    if (query_.is_combined()) {
        std::string label;
        for (size_t i = 0; i < place_; ++i) {
            label += fmt::format("{}{}={}", i == 0 ? "" : ", ", table_.columns[i], text_of(row[i]));
        }
        return label;
    }
    if (is_same_everywhere(0)) {
        return row[1].text;
    }
    return is_same_everywhere(1) ? row[0].text : row[0].text + " " + row[1].text;
}

Table Pivoter::show() {
    if (place_ == 0 || table_.rows.empty()) {
        throw Undecidable{"nothing to pivot"};
    }
    const size_t places = table_.columns[place_] == "lo" ? 2 : 1;
    const size_t values = table_.columns.size() - place_ - places;
    std::vector<std::string> labels;
    // By place; where one label has several rows at a place, its k-th stands in the k-th row.
    std::map<std::pair<double, size_t>, std::vector<Cell>> rows;
    for (const std::vector<Cell>& row : table_.rows) {
        const std::string label = label_of(row);
        const double place = row[place_].number.value;
        const size_t ordinal = ordinal_of(row, label);
        size_t at = static_cast<size_t>(std::ranges::find(labels, label) - labels.begin());
        if (at == labels.size()) {
            labels.push_back(label);
        }
        std::vector<Cell>& into = rows[{place, ordinal}];
        if (into.empty()) {
            into.assign(row.begin() + static_cast<ptrdiff_t>(place_),
                        row.begin() + static_cast<ptrdiff_t>(place_ + places));
        }
        into.resize(std::max(into.size(), places + values * labels.size()));
        for (size_t i = 0; i < values; ++i) {
            into[places + at * values + i] = row[place_ + places + i];
        }
    }
    Table made;
    made.columns.assign(table_.columns.begin() + static_cast<ptrdiff_t>(place_),
                        table_.columns.begin() + static_cast<ptrdiff_t>(place_ + places));
    for (const std::string& label : labels) {
        for (size_t i = 0; i < values; ++i) {
            made.columns.push_back(values == 1 ? label
                                               : label + " " + table_.columns[place_ + places + i]);
        }
    }
    for (auto& [place, row] : rows) {
        row.resize(made.columns.size());
        made.rows.push_back(std::move(row));
    }
    return made;
}

}  // namespace

Table show_groups(const World& world, const Query& query, SeriesSet& set) {
    return Grouper(world, query, set).show();
}

Table pivot(const Query& query, const Table& table) {
    return Pivoter(query, table).show();
}

}  // namespace stepdb::plain
