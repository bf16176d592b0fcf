// What can be known of runs and schemas whose catalog is lost: segments carry the names of theirs,
// and rows tell which attempts there were. Engine executor only.
#pragma once

#include "engine/segment/segment_reader.h"
#include "engine/store_state.h"

namespace stepdb {

// Takes a segment's runs, attempts and schemas into the catalog, as far as it does not have them.
void take_segment_names(PublishedCatalog& published, const SegmentMeta& segment,
                        const SegmentNames& names);

// Rows alone tell of an attempt: the run, if it is there, gets it. It reads all of the attempt
// before it, because nobody knows up to which step it did.
void guess_attempt(PublishedCatalog& published, uint64_t run, uint32_t number);

// A restart in the log knows better than such a guess, about its attempt and all later ones.
// Nothing happens for other records.
void forget_guessed_attempts(PublishedCatalog& published, const RecordHeader& record, Bytes frame);

}  // namespace stepdb
