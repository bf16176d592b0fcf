// Where the engine answers otherwise than the language is meant, told and not settled yet: the
// evaluator does as the engine does while a line here says true. To be emptied.
#pragma once

namespace stepdb::plain {

// Behind another ranking equals stand in its order instead of the natural one.
inline constexpr bool kRankingsKeepOrder = true;
// `summary` behind `x` has x in min_step, max_step, first_step and last_step, a time as bits.
inline constexpr bool kSummariesHaveXForSteps = true;
// Of several points of one series at one x `across` and `group by` combine the last alone.
inline constexpr bool kCombinationsTakeOnePointOfASeries = true;
// `pivot` begins another row where a series comes again at one x, and others go on in that.
inline constexpr bool kPivotsSplitRows = true;

}  // namespace stepdb::plain
