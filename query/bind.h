// From a query to the runs it needs: the step that looks at the catalog, before a snapshot of just
// these runs is taken.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/rights.h"
#include "engine/snapshot.h"
#include "query/ast.h"
#include "query/known_runs.h"
#include "query/name_matcher.h"
#include "query/store_facts.h"

namespace stepdb {

// A run as one attempt reads it. `label` is what the answer calls it: "gpt/run-1", or
// "gpt/run-1#0" if the query named the attempt, "own(gpt/run-1)" without what it inherits.
struct SelectedRun {
    static constexpr uint32_t kNoPlace = UINT32_MAX;

    std::shared_ptr<const Run> run;
    uint32_t attempt = 0;
    bool own = false;
    std::string label;
    size_t order = 0;               // in which the query named it
    uint32_t place = kNoPlace;      // in the bound query's list
    std::vector<Capture> captures;  // of its pattern

    RunView view() const { return {*run, attempt, own}; }
};

// The runs of one series query of the text, or of a query of another kind.
struct RunScope {
    size_t first = 0;
    size_t count = 0;
};

struct BoundQuery {
    Query query;
    // Scope after scope, in each in natural order of their labels, each once. They lie in `list`
    // and `found`: a list of a hundred thousand is not copied for each query that is about it.
    std::vector<const SelectedRun*> runs;
    std::shared_ptr<const RunList> list;  // of those that have a place; null: none has
    std::vector<std::shared_ptr<const std::vector<SelectedRun>>> found;
    std::vector<RunScope> scopes;          // by SeriesQuery::scope; of other queries one
    std::vector<std::string> notes;        // for the user: patterns that matched nothing
    std::vector<StoreFact> store;          // for `stats`, from whoever has the engine
    std::optional<double> fork_step;       // see resolve_fork
    std::shared_ptr<const Rights> rights;  // of who asks; null: to everything

    bool wants_store() const { return std::holds_alternative<StatsQuery>(query.what); }
    // For Engine::snapshot; each once.
    std::vector<uint64_t> run_ids() const;
};

// kNotFound, with the place and the nearest spelling, for a run or attempt that is named and not
// there; kInvalidArgument for a pattern that cannot be one.
Result<BoundQuery> bind_query(Query query, const Catalog::RunMap& runs);
// The same of a catalog's runs; of many it looks into `known` first, and leaves them there. What
// `rights` does not let its holder read is not there: named, it is kNotFound as what does not
// exist is, and no message or note tells of it. kPermissionDenied if the query is about the store
// and the holder may not ask.
Result<BoundQuery> bind_query(Query query, const std::shared_ptr<const Catalog>& catalog,
                              KnownRuns& known, std::shared_ptr<const Rights> rights = nullptr);

// Finds what `fork` stands for, if the query asks: the fork step of the first run named that has
// one, among those that the query is about. kFailedPrecondition at its place if none has.
Status resolve_fork(BoundQuery& bound);

}  // namespace stepdb
