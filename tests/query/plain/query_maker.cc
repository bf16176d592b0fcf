#include "tests/query/plain/query_maker.h"

#include <algorithm>
#include <array>
#include <span>

namespace stepdb::plain {

namespace {

using Names = std::span<const char* const>;

constexpr std::array<const char*, 8> kSteppedNames = {"loss",   "tok",   "s/1/a", "s/2/a",
                                                      "s/10/a", "s/1/b", "s/2/b", "s/10/b"};
constexpr std::array<const char*, 3> kTimedNames = {"t/1/u", "t/2/u", "t/1/v"};
constexpr std::array<const char*, 12> kStatistics = {
    "count", "nan", "pinf", "ninf", "min", "max", "mean", "sum", "std", "first", "var", "last"};
constexpr std::array<const char*, 10> kValueFields = {"count", "nan", "pinf", "ninf",  "min",
                                                      "max",   "sum", "mean", "first", "last"};
constexpr std::array<const char*, 10> kCombinations = {"count", "mean", "std",    "var", "min",
                                                       "max",   "sum",  "median", "p95", "p12.5"};

class QueryMaker {
  public:
    QueryMaker(SimRandom& random, const World& world) : random_(random), world_(world) {}

    Query run();

  private:
    uint64_t below(uint64_t bound) { return random_.below(bound); }
    bool one_in(uint64_t bound) { return random_.below(bound) == 0; }
    std::string pick(Names names) { return names[below(names.size())]; }
    std::string any_metric() { return timed_ ? pick(kTimedNames) : pick(kSteppedNames); }

    std::vector<std::string> runs();
    std::string pattern();
    std::vector<Term> terms();
    Term leaf();
    Term operand();
    Term calculation();
    Term difference_of_queries();
    Expression where();
    double quarter() { return (static_cast<double>(below(17)) - 8) / 4; }

    Stage stage();
    Stage smoothing();
    Stage range();
    Stage every();
    Stage x();
    Stage rank();
    Expression point_value();
    Expression point_condition(int depth);
    Expression rank_value(int depth);
    std::vector<Stage> stages(uint64_t most);

    void shape(Query& query);
    std::vector<std::string> several(Names names, uint64_t most);
    void combination(Query& query);
    void rows(Query& query);

    SimRandom& random_;
    const World& world_;
    bool timed_ = false;
    bool has_x_ = false;
    bool x_is_time_ = false;
    bool has_capture_ = false;
    bool has_run_capture_ = false;
};

Expression make(Expression::Kind kind, std::string name, std::vector<Expression> operands = {}) {
    Expression made;
    made.kind = kind;
    made.name = std::move(name);
    made.operands = std::move(operands);
    return made;
}

Expression number_of(double number) {
    Expression made;
    made.number = number;
    return made;
}

Term pattern_of(std::string text) {
    Term term;
    term.text = std::move(text);
    return term;
}

Term operator_of(std::string op, Term a, Term b) {
    Term term;
    term.kind = Term::Kind::kOperator;
    term.text = std::move(op);
    term.operands = {std::move(a), std::move(b)};
    return term;
}

// --- Runs and terms ---

std::vector<std::string> QueryMaker::runs() {
    const auto label = [&] { return world_.runs()[below(world_.runs().size())].label; };
    switch (below(6)) {
        case 0:
            return {label()};
        case 1: {
            std::vector<std::string> two = {label(), label()};
            return two;
        }
        case 2:
            has_run_capture_ = true;
            return {one_in(2) ? "p/{n}" : "p/r{n}"};
        case 3:
            return {one_in(2) ? "p/r1*" : "**"};
        default:
            return {"p/*"};
    }
}

std::string QueryMaker::pattern() {
    if (timed_) {
        constexpr std::array<const char*, 4> kGlobs = {"t/*/u", "t/{l}/u", "t/1/*", "t/{l}/v"};
        std::string made = one_in(3) ? pick(kTimedNames) : pick(kGlobs);
        has_capture_ = has_capture_ || made.find('{') != std::string::npos;
        return made;
    }
    constexpr std::array<const char*, 6> kGlobs = {"s/*/a",  "s/{l}/a", "s/{l}/b",
                                                   "s/1*/b", "s/1/*",   "s/1{l}/a"};
    std::string made = one_in(2) ? pick(kSteppedNames) : pick(kGlobs);
    has_capture_ = has_capture_ || made.find('{') != std::string::npos;
    return made;
}

Term QueryMaker::leaf() {
    Term term = pattern_of(pattern());
    const bool may_rename = term.text.find('*') == std::string::npos;
    if (may_rename && one_in(6)) {
        term.as = term.text.find('{') == std::string::npos || one_in(3) ? "renamed" : "m{l}/x";
    }
    return term;
}

Term QueryMaker::operand() {
    switch (below(8)) {
        case 0: {
            Term number;
            number.kind = Term::Kind::kNumber;
            number.number = static_cast<double>(1 + below(5)) / 2;
            return number;
        }
        case 1:
        case 2:
            return pattern_of(timed_ ? "t/{l}/u" : one_in(2) ? "s/{l}/a" : "s/{l}/b");
        default:
            return pattern_of(any_metric());
    }
}

Term hold_of(Term term) {
    Term made;
    made.kind = Term::Kind::kHold;
    made.operands = {std::move(term)};
    return made;
}

Term QueryMaker::calculation() {
    constexpr std::array<const char*, 7> kOperators = {"+", "-", "*", "/", "-", "/", "%"};
    has_capture_ = true;
    Term a = operand();
    Term b = operand();
    while (a.kind == Term::Kind::kNumber && b.kind == Term::Kind::kNumber) {
        b = operand();
    }
    const bool numbers = a.kind == Term::Kind::kNumber || b.kind == Term::Kind::kNumber;
    if (!numbers && one_in(5)) {
        a = hold_of(std::move(a));
    }
    if (!numbers && one_in(6)) {
        b = hold_of(std::move(b));
    }
    Term term = operator_of(pick(kOperators), std::move(a), std::move(b));
    if (one_in(4)) {
        Term c = operand();
        term = one_in(2) ? operator_of(pick(kOperators), std::move(term), std::move(c))
                         : operator_of(pick(kOperators), std::move(c), std::move(term));
    }
    if (!one_in(3)) {
        term.as = one_in(2) ? "ratio" : "of";
    }
    return term;
}

Term QueryMaker::difference_of_queries() {
    const std::string metric = any_metric();
    Term term;
    term.kind = Term::Kind::kOperator;
    term.text = one_in(3) ? "/" : "-";
    term.as = "difference";
    for (int side = 0; side < 2; ++side) {
        auto query = std::make_shared<Query>();
        query->terms = {pattern_of(one_in(4) ? any_metric() : metric)};
        query->runs = {world_.runs()[below(world_.runs().size())].label};
        const bool had_x = std::exchange(has_x_, true);  // none in operands
        query->stages = stages(2);
        has_x_ = had_x;
        Term operand;
        operand.kind = Term::Kind::kQuery;
        operand.query = std::move(query);
        term.operands.push_back(std::move(operand));
    }
    return term;
}

std::vector<Term> QueryMaker::terms() {
    const uint64_t kind = below(10);
    if (kind == 0) {
        return {difference_of_queries()};
    }
    if (kind < 4) {
        std::vector<Term> made = {calculation()};
        if (one_in(5)) {
            made.push_back(leaf());
        }
        return made;
    }
    std::vector<Term> made = {leaf()};
    if (one_in(4)) {
        made.push_back(leaf());
        made.back().as.clear();
    }
    return made;
}

Expression QueryMaker::where() {
    using Kind = Expression::Kind;
    if (one_in(2)) {
        return make(Kind::kCompare, one_in(2) ? "=" : "!=",
                    {make(Kind::kName, "c/opt"), make(Kind::kText, "adam")});
    }
    return make(Kind::kCompare, one_in(2) ? ">=" : "<",
                {make(Kind::kName, one_in(2) ? "c/lr" : "c/seed"),
                 number_of(static_cast<double>(below(4)) / 8)});
}

// --- Stages ---

Stage QueryMaker::range() {
    Stage made;
    const bool steps = !timed_ && !one_in(3);
    made.kind = steps ? Stage::Kind::kSteps : Stage::Kind::kTime;
    double from = static_cast<double>(below(45));
    double to = from + static_cast<double>(below(30));
    const double unit = steps ? world_.shape().step_unit : 1e6;
    from *= unit;
    to *= unit;
    if (!one_in(4)) {
        made.from = from;
    }
    if (!made.from || one_in(2)) {
        made.to = to;
    }
    return made;
}

Stage QueryMaker::smoothing() {
    constexpr std::array<const char*, 5> kMoving = {"mean", "median", "min", "max", "std"};
    constexpr std::array<double, 6> kWeights = {0, 0.25, 0.5, 0.9, 0.99, 0.6};
    Stage made;
    switch (below(6)) {
        case 0:
            made.kind = Stage::Kind::kEma;
            made.number = kWeights[below(kWeights.size())];
            break;
        case 1:
        case 2:
            made.kind = Stage::Kind::kMoving;
            made.word = pick(kMoving);
            made.number = static_cast<double>(1 + below(6));
            break;
        case 3:
            made.kind = Stage::Kind::kDiff;
            break;
        case 4:
            made.kind = Stage::Kind::kRate;
            made.word = one_in(3) ? "" : timed_ || one_in(2) ? "time" : "step";
            break;
        default:
            made.kind = Stage::Kind::kZscore;
            made.number = static_cast<double>(1 + below(6));
    }
    return made;
}

Stage QueryMaker::every() {
    constexpr std::array<double, 8> kWidths = {1, 2, 3, 5, 7, 10, 0.5, 2.5};
    Stage made;
    made.kind = Stage::Kind::kEvery;
    made.word = one_in(3) ? "" : pick(kValueFields);
    made.number = kWidths[below(kWidths.size())];
    made.is_duration = timed_ || x_is_time_;
    made.number *= made.is_duration ? 1e6 : (has_x_ ? 40 : 1) * world_.shape().step_unit;
    return made;
}

Stage QueryMaker::x() {
    using Kind = Expression::Kind;
    Stage made;
    made.kind = Stage::Kind::kX;
    has_x_ = true;
    const std::string metric = any_metric();
    switch (below(8)) {
        case 0:
            made.expression = make(Kind::kName, "elapsed");
            break;
        case 1:
            x_is_time_ = true;
            made.expression = make(Kind::kName, "time");
            break;
        case 2:
            has_x_ = timed_;
            made.expression = make(Kind::kName, timed_ ? "elapsed" : "step");
            break;
        case 3:
            made.expression = make(Kind::kCalculate, one_in(2) ? "*" : "+",
                                   {make(Kind::kName, timed_ ? "elapsed" : "step"),
                                    make(Kind::kName, one_in(2) ? "c/lr" : "c/seed")});
            break;
        case 4:
            made.expression = make(Kind::kCalculate, one_in(2) ? "/" : "-",
                                   {make(Kind::kName, timed_ ? metric : "tok"), number_of(8)});
            break;
        case 5:
            made.expression = make(Kind::kHold, timed_ ? metric : "tok");
            break;
        default:
            made.expression = make(Kind::kName, timed_ || one_in(4) ? metric : "tok");
    }
    return made;
}

Expression QueryMaker::rank_value(int depth) {
    using Kind = Expression::Kind;
    switch (below(depth > 0 ? 7 : 5)) {
        case 0: {
            Expression made = make(Kind::kOfMetric, pick(kStatistics));
            made.metric =
                has_capture_ && one_in(2) ? (timed_ ? "t/{l}/u" : "s/{l}/b") : any_metric();
            return made;
        }
        case 1:
            return make(Kind::kName, one_in(2) ? "c/lr" : "c/seed");
        case 2:
        case 3:
        case 4:
            return make(Kind::kStatistic, pick(kStatistics));
        default:
            return make(Kind::kCalculate, one_in(2) ? "-" : "*",
                        {rank_value(depth - 1), rank_value(depth - 1)});
    }
}

Stage QueryMaker::rank() {
    Stage made;
    made.kind = one_in(2) ? Stage::Kind::kTop : Stage::Kind::kBottom;
    made.number = static_cast<double>(1 + below(4));
    made.expression = rank_value(1);
    return made;
}

Expression QueryMaker::point_value() {
    using Kind = Expression::Kind;
    switch (below(8)) {
        case 0:
            return make(Kind::kName, any_metric());
        case 1:
            return make(Kind::kHold, any_metric());
        case 2:
            return make(Kind::kName, one_in(2) ? "c/lr" : "c/seed");
        case 3:
            return make(Kind::kName, timed_ ? "value" : "step");
        default:
            return make(Kind::kName, "value");
    }
}

Expression QueryMaker::point_condition(int depth) {
    using Kind = Expression::Kind;
    constexpr std::array<const char*, 6> kCompare = {"=", "!=", "<", "<=", ">", ">="};
    constexpr std::array<const char*, 5> kClasses = {"nan", "pinf", "ninf", "finite", "missing"};
    switch (below(depth > 0 ? 9 : 6)) {
        case 0: {
            Expression made = make(Kind::kIs, pick(kClasses), {point_value()});
            made.negated = one_in(2);
            return made;
        }
        case 1: {
            Expression moment = number_of(static_cast<double>(below(60)) * 1e6);
            moment.kind = Kind::kMoment;
            return make(Kind::kCompare,
                        one_in(2) ? "<" : ">=", {make(Kind::kName, "time"), std::move(moment)});
        }
        case 2:
            return make(
                Kind::kCompare, pick(kCompare),
                {make(Kind::kCalculate, one_in(2) ? "*" : "-", {point_value(), point_value()}),
                 number_of(quarter())});
        case 3:
        case 4:
        case 5:
            return make(Kind::kCompare, pick(kCompare), {point_value(), number_of(quarter())});
        case 6:
            return make(Kind::kNot, "", {point_condition(depth - 1)});
        default:
            return make(one_in(2) ? Kind::kAnd : Kind::kOr, "",
                        {point_condition(depth - 1), point_condition(depth - 1)});
    }
}

Stage QueryMaker::stage() {
    Stage made;
    switch (below(16)) {
        case 0:
        case 1:
        case 2:
            return range();
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            return smoothing();
        case 8:
        case 9:
            return every();
        case 10:
            return rank();
        case 11:
            return has_x_ || x_is_time_ ? smoothing() : x();
        case 12:
            made.kind = one_in(2) ? Stage::Kind::kFirst : Stage::Kind::kLast;
            made.number = static_cast<double>(1 + below(25));
            return made;
        default:
            made.kind = Stage::Kind::kWhen;
            made.expression = point_condition(2);
            return made;
    }
}

std::vector<Stage> QueryMaker::stages(uint64_t most) {
    std::vector<Stage> made;
    for (uint64_t left = below(most + 1); left > 0; --left) {
        made.push_back(stage());
    }
    return made;
}

// --- What becomes of the series ---

std::vector<std::string> QueryMaker::several(Names names, uint64_t most) {
    std::vector<std::string> made;
    for (uint64_t left = 1 + below(most); left > 0; --left) {
        const std::string name = pick(names);
        if (std::ranges::find(made, name) == made.end()) {
            made.push_back(name);
        }
    }
    return made;
}

void QueryMaker::shape(Query& query) {
    switch (below(8)) {
        case 0:
        case 1:
        case 2:
            query.shape = Query::Shape::kBuckets;
            query.buckets = static_cast<uint32_t>(1 + below(one_in(3) ? 40 : 6));
            query.is_log = !timed_ && !x_is_time_ && one_in(3);
            if (!one_in(3)) {
                query.statistics = several(kBucketFields, 4);
            }
            return;
        case 3:
            if (std::ranges::find(query.stages, Stage::Kind::kX, &Stage::kind) !=
                query.stages.end()) {
                return;  // it tells of steps and times
            }
            query.shape = Query::Shape::kSummary;
            if (one_in(2)) {
                query.statistics = several(kSummaryFields, 5);
            }
            return;
        case 4:
            query.shape = has_x_ || x_is_time_ ? Query::Shape::kPoints : Query::Shape::kStamped;
            return;
        default:
            return;
    }
}

void QueryMaker::combination(Query& query) {
    const bool buckets = query.shape == Query::Shape::kBuckets;
    if ((!buckets && query.shape != Query::Shape::kPoints) || one_in(2)) {
        return;
    }
    if (buckets) {
        query.statistics.clear();
        if (one_in(2)) {
            query.statistics = {pick(kValueFields)};
        }
    }
    if (one_in(2)) {
        query.is_across = true;
    } else {
        std::vector<const char*> keys = {"run", "metric", "c/lr", "c/opt", "c/*", "c/seed"};
        if (has_capture_) {
            keys.push_back("l");
        }
        if (has_run_capture_) {
            keys.push_back("n");
        }
        for (const std::string& word : several(keys, 2)) {
            query.group_by.push_back({word, {}});
            if (word == "c/*") {
                query.group_by.back().except =
                    several(std::array<const char*, 3>{"c/seed", "c/l*", "c/opt"}, 2);
            }
        }
        // No attribute twice.
        std::erase_if(query.group_by, [&](const GroupKey& key) {
            return key.word == "c/*" && query.group_by.size() > 1;
        });
    }
    if (!one_in(4)) {
        query.combinations = several(kCombinations, 4);
    }
}

void QueryMaker::rows(Query& query) {
    const bool may_pivot =
        (query.shape == Query::Shape::kBuckets || query.shape == Query::Shape::kPoints) &&
        !query.is_across;
    query.is_pivot = may_pivot && one_in(4);
    const bool points = query.shape == Query::Shape::kPoints && !query.is_combined();
    std::vector<const char*> columns;
    if (query.shape == Query::Shape::kBuckets) {
        columns.push_back("lo");
    } else if (query.shape == Query::Shape::kPoints) {
        columns.push_back(timed_ || x_is_time_ ? "time" : has_x_ ? "x" : "step");
    }
    if (!query.is_pivot && !query.is_combined()) {
        columns.insert(columns.end(), {"run", "metric"});
    }
    if (!query.is_pivot && (points || query.shape == Query::Shape::kStamped)) {
        columns.push_back("value");
    }
    if (!query.is_pivot && query.is_combined()) {
        columns.push_back("count");
    }
    std::vector<std::string> shown = query.is_combined() ? query.combinations : query.statistics;
    for (const std::string& column : shown) {
        if (!query.is_pivot) {
            columns.push_back(column.c_str());
        }
    }
    if (one_in(3)) {
        for (const std::string& column : several(columns, 2)) {
            query.sort.push_back({column, one_in(2)});
        }
    }
    if (one_in(4)) {
        query.limit = 1 + below(30);
    }
}

Query QueryMaker::run() {
    Query query;
    timed_ = one_in(7);
    query.runs = runs();
    query.terms = terms();
    if (query.terms[0].as == "difference") {
        query.runs.clear();
        has_run_capture_ = false;
    } else if (one_in(8)) {
        query.where = where();
    }
    query.stages = stages(one_in(3) ? 5 : 3);
    shape(query);
    combination(query);
    rows(query);
    return query;
}

}  // namespace

Query make_query(SimRandom& random, const World& world) {
    return QueryMaker(random, world).run();
}

}  // namespace stepdb::plain
