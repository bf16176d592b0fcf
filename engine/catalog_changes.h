// What frames do to the catalog: first whether they may, judged by the accepted catalog when they
// arrive, then what they change, by the same function when they are accepted, published and
// replayed.
#pragma once

#include <vector>

#include "engine/base/result.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/run_activity.h"
#include "engine/model/life_frame.h"
#include "engine/wal/log_format.h"

namespace stepdb {

// --- May it? Errors name the run and what stands in the way ---

// `known` is null if the run does not exist yet.
Status check_fork(const Catalog& catalog, const OpenRunFrame& open,
                  const std::shared_ptr<const Run>& known);
// Ok too where the attempt is open already with the same step: everybody may send the same restart.
Status check_restart(const Catalog& catalog, const Run& run, const RestartRunFrame& restart);
Status check_attributes(const Run& run, const SetAttributesFrame& set);
Status check_discard(const Catalog& catalog, const Run& run, const DiscardAttemptFrame& discard);
// `what` is about to be deleted: refused while forks of the run exist, with their names.
Status check_no_forks(const Catalog& catalog, const Run& run, std::string_view what);
// Rows of this attempt are taken: it is open and not discarded.
Status check_attempt(const Run& run, uint32_t attempt);

// --- What it changes ---

// False where applying it would change nothing, so that a catalog which readers share need not be
// copied.
bool changes_catalog(const Catalog& catalog, const RecordHeader& header, Bytes frame);

// `frame` is any changing frame but rows, verified. kCorruption or kInvalidArgument if it cannot be
// what it claims.
Status apply_to_catalog(Catalog& catalog, const RecordHeader& header, Bytes frame);

// --- Retention ---

// Runs that have outlived the retention of their project, forks before their parents. A parent is
// as fresh as its freshest descendant; what is tagged `keep` stays, and so does what it reads.
std::vector<uint64_t> expired_runs(const Catalog& catalog, const RunActivities& activities,
                                   int64_t now_us);

}  // namespace stepdb
