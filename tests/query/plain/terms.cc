// Metrics, and what is calculated from them.
#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "tests/query/plain/expressions.h"
#include "tests/query/plain/numbers.h"
#include "tests/query/plain/stages.h"

namespace stepdb::plain {

namespace {

std::vector<std::string> split(const std::string& path) {
    std::vector<std::string> pieces(1);
    for (const char c : path) {
        if (c == '/') {
            pieces.emplace_back();
        } else {
            pieces.back() += c;
        }
    }
    return pieces;
}

// One segment, with at most one `*` or `{name}`.
bool matches_segment(const std::string& glob, const std::string& name,
                     std::map<std::string, std::string>& captures) {
    const size_t open = glob.find_first_of("*{");
    if (open == std::string::npos) {
        return glob == name;
    }
    const size_t close = glob[open] == '*' ? open : glob.find('}');
    const std::string tail = glob.substr(close + 1);
    if (name.size() < open + tail.size() || !name.starts_with(glob.substr(0, open)) ||
        !name.ends_with(tail)) {
        return false;
    }
    const std::string middle = name.substr(open, name.size() - open - tail.size());
    if (glob[open] == '{') {
        const std::string capture = glob.substr(open + 1, close - open - 1);
        captures[capture] = middle;
    }
    return true;
}

struct Operand {
    std::optional<double> number;
    bool held = false;
    std::vector<Series> series;
};

class TermReader {
  public:
    TermReader(const World& world, const Query& query)
        : world_(world), runs_(select_runs(world, query, &captures_)) {}

    std::vector<Series> read_pattern(const std::string& glob) const;
    Operand read(const Term& term) const;

  private:
    Operand combine(const Term& term) const;

    const World& world_;
    std::vector<std::map<std::string, std::string>> captures_;  // of each run
    std::vector<const Run*> runs_;
};

std::vector<Series> TermReader::read_pattern(const std::string& glob) const {
    std::vector<Series> found;
    for (size_t number = 0; number < runs_.size(); ++number) {
        const Run& run = *runs_[number];
        for (const auto* all : {&run.stepped, &run.timed}) {
            for (const auto& [metric, points] : *all) {
                Series series;
                series.captures = captures_[number];
                if (matches(glob, metric, series.captures)) {
                    series.run = run.label;
                    series.source = static_cast<size_t>(&run - world_.runs().data());
                    series.metric = metric;
                    series.timed = all == &run.timed;
                    series.points = points;
                    found.push_back(std::move(series));
                }
            }
        }
    }
    if (found.empty()) {
        throw Undecidable{"a pattern that matches nothing"};
    }
    return found;
}

Operand TermReader::read(const Term& term) const {
    Operand operand;
    switch (term.kind) {
        case Term::Kind::kPattern:
            operand.series = read_pattern(term.text);
            break;
        case Term::Kind::kNumber:
            operand.number = term.number;
            break;
        case Term::Kind::kHold:
            operand = read(term.operands[0]);
            operand.held = true;
            for (Series& series : operand.series) {
                series.metric = fmt::format("hold({})", series.metric);
            }
            break;
        case Term::Kind::kQuery:
            operand.series = evaluate_series(world_, *term.query).series;
            break;
        case Term::Kind::kOperator:
            return combine(term);
    }
    return operand;
}

double key_of(const Series& series, const Point& point) {
    return series.timed ? static_cast<double>(point.time_us) : point.step;
}

// The point at the key, or the last one before it if it is held.
const Point* point_at(const Series& series, double key, bool held) {
    const Point* found = nullptr;
    for (const Point& point : series.points) {
        const double at = key_of(series, point);
        if (at == key || (held && at < key)) {
            found = &point;
        }
    }
    return found;
}

std::vector<Point> join(const Operand& a, const Series& x, const Operand& b, const Series& y,
                        const std::string& op) {
    std::set<double> keys;
    const bool both_held = a.held && b.held;
    for (const Point& point : x.points) {
        if (!a.held || both_held) {
            keys.insert(key_of(x, point));
        }
    }
    for (const Point& point : y.points) {
        if (a.held || both_held) {
            keys.insert(key_of(y, point));
        }
    }
    std::vector<Point> joined;
    for (const double key : keys) {
        const Point* p = point_at(x, key, a.held);
        const Point* q = point_at(y, key, b.held);
        if (p == nullptr || q == nullptr) {
            continue;
        }
        Point point = *p;
        point.step = x.timed ? kNan : key;
        point.time_us = x.timed ? static_cast<int64_t>(key) : std::max(p->time_us, q->time_us);
        point.value = calculate(p->value, op, q->value);
        joined.push_back(point);
    }
    return joined;
}

bool go_together(const Series& a, const Series& b) {
    return a.run == b.run && std::ranges::all_of(a.captures, [&](const auto& capture) {
               const auto at = b.captures.find(capture.first);
               return at == b.captures.end() || at->second == capture.second;
           });
}

std::vector<std::pair<size_t, size_t>> pair_up(const Operand& a, const Operand& b) {
    std::vector<std::pair<size_t, size_t>> pairs;
    const bool single = a.series.size() == 1 || b.series.size() == 1;
    for (size_t i = 0; i < a.series.size(); ++i) {
        for (size_t j = 0; j < b.series.size(); ++j) {
            if (single || go_together(a.series[i], b.series[j])) {
                pairs.emplace_back(i, j);
            }
        }
    }
    for (const auto& [i, j] : pairs) {
        const auto lefts = std::ranges::count(pairs, j, &std::pair<size_t, size_t>::second);
        const auto rights = std::ranges::count(pairs, i, &std::pair<size_t, size_t>::first);
        if (lefts > 1 && rights > 1) {
            throw Undecidable{"many to many is an error"};
        }
    }
    return pairs;
}

bool is_sum(const Term& term) {
    return term.text == "+" || term.text == "-";
}

// The name of an operand within that of the whole: in parentheses where it would be read otherwise.
std::string inner_name(const Term& whole, bool is_right, const std::string& name) {
    const Term& term = whole.operands[is_right ? 1 : 0];
    const bool is_calculated = term.kind == Term::Kind::kOperator;
    const bool binds_looser = is_sum(term) && !is_sum(whole);
    const bool binds_alike = is_sum(term) == is_sum(whole);
    return is_calculated && (binds_looser || (is_right && binds_alike)) ? "(" + name + ")" : name;
}

Series with_number(const Term& term, const Operand& numbered, const Series& series, bool is_left) {
    Series made = series;
    const Number number{*numbered.number, 0};
    const std::string written = print(*numbered.number);
    const std::string name = inner_name(term, is_left, series.metric);
    made.metric = is_left ? fmt::format("{} {} {}", written, term.text, name)
                          : fmt::format("{} {} {}", name, term.text, written);
    for (Point& point : made.points) {
        point.value = is_left ? calculate(number, term.text, point.value)
                              : calculate(point.value, term.text, number);
    }
    return made;
}

Operand TermReader::combine(const Term& term) const {
    const Operand a = read(term.operands[0]);
    const Operand b = read(term.operands[1]);
    Operand made;
    if (a.number || b.number) {
        for (const Series& series : a.number ? b.series : a.series) {
            made.series.push_back(
                with_number(term, a.number ? a : b, series, a.number.has_value()));
        }
        return made;
    }
    for (const auto& [i, j] : pair_up(a, b)) {
        const Series& x = a.series[i];
        const Series& y = b.series[j];
        if (x.timed != y.timed) {
            throw Undecidable{"two axes are an error"};
        }
        Series series = a.series.size() == 1 && b.series.size() > 1 ? y : x;
        if (x.run != y.run && a.series.size() == 1 && b.series.size() == 1) {
            series.run = fmt::format("{} {} {}", x.run, term.text, y.run);
            series.source = kNoSource;
        }
        series.captures = x.captures;
        series.captures.insert(y.captures.begin(), y.captures.end());
        series.metric = fmt::format("{} {} {}", inner_name(term, false, x.metric), term.text,
                                    inner_name(term, true, y.metric));
        series.points = join(a, x, b, y, term.text);
        made.series.push_back(std::move(series));
    }
    return made;
}

void rename(std::vector<Series>& series, const std::string& as) {
    for (Series& each : series) {
        each.metric = as;
        for (const auto& [capture, value] : each.captures) {
            const std::string written = "{" + capture + "}";
            if (const size_t at = each.metric.find(written); at != std::string::npos) {
                each.metric.replace(at, written.size(), value);
            }
        }
    }
    std::vector<bool> is_double(series.size());
    for (size_t i = 0; i < series.size(); ++i) {
        is_double[i] = std::ranges::count_if(series, [&](const Series& other) {
                           return other.run == series[i].run && other.metric == series[i].metric;
                       }) > 1;
    }
    for (size_t i = 0; i < series.size(); ++i) {
        if (is_double[i]) {
            if (series[i].captures.size() != 1) {
                throw Undecidable{"one name for several series"};
            }
            series[i].metric += "[" + series[i].captures.begin()->second + "]";
        }
    }
}

}  // namespace

bool matches(const std::string& glob, const std::string& name,
             std::map<std::string, std::string>& captures) {
    if (glob == "**") {
        return true;
    }
    const std::vector<std::string> pieces = split(glob);
    const std::vector<std::string> names = split(name);
    if (pieces.size() != names.size()) {
        return false;
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
        if (!matches_segment(pieces[i], names[i], captures)) {
            return false;
        }
    }
    return true;
}

bool comes_before(const Series& a, const Series& b) {
    return a.run != b.run ? natural_less(a.run, b.run) : natural_less(a.metric, b.metric);
}

std::vector<const Run*> select_runs(const World& world, const Query& query,
                                    std::vector<std::map<std::string, std::string>>* captures) {
    std::vector<const Run*> selected;
    std::vector<const Run*> named;
    for (const Run& run : world.runs()) {
        for (const std::string& pattern : query.runs) {
            const bool exact = pattern == run.label;
            std::map<std::string, std::string> captured;
            if (!exact && (run.is_older_attempt() || !matches(pattern, run.label, captured))) {
                continue;
            }
            named.push_back(&run);
            Subject subject;
            subject.world = &world;
            subject.run = &run;
            if (!query.where || holds(*query.where, subject)) {
                selected.push_back(&run);
                captures->push_back(std::move(captured));
            }
            break;
        }
    }
    if (query.where) {
        check_names(*query.where, named);
    }
    if (selected.empty() && !query.runs.empty()) {
        throw Undecidable{"no run"};
    }
    return selected;
}

std::vector<Series> evaluate_terms(const World& world, const Query& query) {
    const TermReader reader(world, query);
    std::vector<Series> all;
    std::set<std::pair<std::string, std::string>> plain;
    for (const Term& term : query.terms) {
        std::vector<Series> found = reader.read(term).series;
        if (!term.as.empty()) {
            rename(found, term.as);
        }
        for (Series& series : found) {
            const bool is_plain = term.kind == Term::Kind::kPattern && term.as.empty();
            if (!is_plain || plain.emplace(series.run, series.metric).second) {
                all.push_back(std::move(series));
            }
        }
    }
    std::ranges::stable_sort(all, comes_before);
    return all;
}

}  // namespace stepdb::plain
