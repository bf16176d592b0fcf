// A query as it was written: nothing in it is resolved against a store, a clock or a run. The
// parser makes it, bind (bind.h) gives it meaning. docs/query-language.md is the specification.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "query/diagnostic.h"
#include "query/expression_ast.h"
#include "query/pattern.h"
#include "query/stage_ast.h"

namespace stepdb {

// `project/run` or `project/run#K`, or `parent(...)` or `own(...)` of it.
struct RunPattern {
    enum class Of : uint8_t {
        kRun,
        kParent,  // what the run was forked from
        kOwn,     // the run without what it inherits from the runs it was forked from
    };

    Pattern path;                     // without the attempt
    std::optional<uint32_t> attempt;  // unset: the newest
    Of of = Of::kRun;
};

// A column of `show`.
struct ShowColumn {
    std::string name;  // given with `as`, else the expression as it was written
    Expression expression;
};

struct SortKey {
    std::string text;  // as it was written, to be found among the names of columns
    Expression expression;
    bool descending = false;
};

// `| show ... | sort ... | limit N`: what tables of runs and series show, in which order, and how
// many rows of it.
struct TableStages {
    std::vector<ShowColumn> show;  // none: the usual columns
    std::vector<SortKey> sort;     // none: natural order of names
    std::optional<uint64_t> limit;
};

struct SeriesQuery;

// What a term of a series query is made of: a tree, operands before what they are operands of.
struct TermNode {
    enum class Kind : uint8_t {
        kMetrics,  // the series that a pattern selects
        kNumber,
        kHold,      // the operand's last value, carried on
        kOperator,  // of two operands
        kQuery,     // a query in parentheses
    };

    Kind kind = Kind::kMetrics;
    SourceSpan span;
    Pattern metrics;
    double number = 0;
    Operator op = Operator::kAdd;
    std::vector<uint32_t> operands;  // nodes
    std::shared_ptr<SeriesQuery> query;
};

// One of the series, or of those that are calculated, of a query.
struct Term {
    std::vector<TermNode> nodes;
    uint32_t root = 0;
    SourceSpan span;
    std::string name;  // given with `as`

    // Of a term that is a pattern and nothing else.
    const Pattern* pattern() const {
        const bool is_pattern = nodes.size() == 1 && nodes[0].kind == TermNode::Kind::kMetrics;
        return is_pattern ? &nodes[0].metrics : nullptr;
    }
};

// `terms @ runs where condition | stage | stage`. Without runs all of its operands are queries.
struct SeriesQuery {
    std::vector<Term> terms;
    std::vector<RunPattern> runs;
    std::optional<Expression> where;  // of runs
    SeriesStages then;
    size_t scope = 0;  // its number among the series queries of the text
};

// Calls `visit` with every series query in the parentheses of one, in the order of their runs in
// the text, and with the query itself.
template <typename Visit>
void for_each_query(const SeriesQuery& query, const Visit& visit) {
    for (const Term& term : query.terms) {
        for (const TermNode& node : term.nodes) {
            if (node.query != nullptr) {
                for_each_query(*node.query, visit);
            }
        }
    }
    visit(query);
}

// `runs PATTERN, ... where condition | show ...`
struct RunsQuery {
    std::vector<RunPattern> runs;
    std::optional<Expression> where;
    TableStages table;
};

// `attributes PATTERN, ... where condition`, and `notes` likewise
struct AttributesQuery {
    bool notes_alone = false;  // as rows of their own kind
    std::vector<RunPattern> runs;
    std::optional<Expression> where;
};

// `metrics PATTERN, ... @ runs where condition | show ...`
struct MetricsQuery {
    std::vector<Pattern> metrics;
    std::vector<RunPattern> runs;
    std::optional<Expression> where;  // of series
    TableStages table;
};

// `projects`
struct ProjectsQuery {
    std::vector<RunPattern> runs;  // none
};

// `stats`
struct StatsQuery {
    std::vector<RunPattern> runs;  // none
};

struct Query {
    std::string text;      // as given, for messages
    bool explain = false;  // tell how it is answered instead of answering
    std::variant<SeriesQuery, RunsQuery, AttributesQuery, MetricsQuery, ProjectsQuery, StatsQuery>
        what;
};

}  // namespace stepdb
