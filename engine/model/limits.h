// Every limit and tunable of StepDB, each with unit and reason. Limits of the data model come from
// docs/protocol.md and may not shrink; tunables may change with a measurement.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stepdb {

// --- Data model (fixed; docs/protocol.md, "Limits") ---

inline constexpr size_t kIdBytesMax = 128;              // project and run ids
inline constexpr size_t kMetricBytesMax = 1024;         // one metric path
inline constexpr uint32_t kSchemaMetricsMax = 1 << 20;  // metrics a row; ten times the widest seen
inline constexpr uint32_t kLineageDepthMax = 4096;      // attempts and forks above a run

// Attributes of one run altogether, in memory; one string of them.
inline constexpr size_t kRunAttributesBytesMax = 4U << 20U;
inline constexpr size_t kAttributeTextBytesMax = 1U << 20U;
// A running run without a row or heartbeat for so long shows as stale.
inline constexpr int64_t kStaleAfterUs = int64_t{5} * 60 * 1'000'000;

// --- Wire (fixed per protocol version; told in hello) ---

// One frame. A row of 2^20 float64 values is 8 MiB; a batch may hold several.
inline constexpr uint32_t kFrameBytesMax = 32U << 20U;
// A schema's canonical encoding: the log keeps a schema as one frame, however it was sent.
inline constexpr uint32_t kSchemaBytesMax = kFrameBytesMax - 4096;
inline constexpr uint32_t kFrameRowsMax = 1U << 16U;  // rows in one frame
inline constexpr uint32_t kQueryTextBytesMax = 64U << 10U;
inline constexpr uint32_t kBackupPathBytesMax = 4096;  // as of the kernel: PATH_MAX

// --- Server ---

// Received but not yet handed back by the engine, over all connections; reading of sockets stops
// above it.
inline constexpr size_t kReceiveBytesMax = 256U << 20U;
// The same for one connection: one flooding writer leaves room for the others.
inline constexpr size_t kConnectionReceiveBytesMax = 64U << 20U;
inline constexpr size_t kConnectionsMax = 16384;  // below the usual limit of descriptors
inline constexpr uint32_t kRunsOpenPerConnectionMax = 1U << 17U;
inline constexpr uint32_t kQueriesPerConnectionMax = 256;

// --- Log ---

// A group is closed at this size; above 1 MiB the time of a synced write grows linearly
// (LIMITS: 0.44 ms for 1 MiB, 1.55 ms for 4 MiB).
inline constexpr size_t kLogGroupBytesMax = 1U << 20U;
// A group below this waits while another is in flight, so that small frames share a sync.
inline constexpr size_t kLogGroupBytesEager = 256U << 10U;
inline constexpr uint32_t kLogGroupsInFlightMax = 4;  // four hide the round trip (LIMITS section 2)
inline constexpr uint64_t kLogFileBytes = 64U << 20U;  // recycled unit
inline constexpr uint32_t kLogFilesSpareMax = 8;       // recycled files kept instead of removed
// Kept on the disk for deletes (engine/disk_reserve.h): a log file, and as much for a merge.
inline constexpr uint64_t kReserveBytes = 2 * kLogFileBytes;
// Live log: what replays within the restart target of 2 s at the disk's 1.4 GB/s with applying.
inline constexpr uint64_t kLogLiveBytesMax = 512U << 20U;
// Likewise in rows, which narrow ones are short of bytes for: 150 ns each, sealing included.
inline constexpr uint64_t kLogLiveRowsMax = 8U << 20U;

// --- Tails and blocks ---

inline constexpr uint32_t kTailRowsMax = 512;  // a tail is sealed here: while in cache
// Or here: a vector of values of 100,000 metrics, whose rows are 400 KB.
inline constexpr size_t kTailBytesMax = 100U << 20U;
inline constexpr uint32_t kVectorValues = 256;  // values a codec vector: unit of random access
// Rows of a block at most: what a reader allocates for a declared count stays small.
inline constexpr uint32_t kBlockRowsMax = 1U << 20U;
// Large buffers that were given back and are kept.
inline constexpr size_t kKeptBuffersBytesMax = 256U << 20U;
// Tails and sealed blocks in memory; a flush starts above it.
inline constexpr size_t kMemoryBlocksBytesMax = 384U << 20U;

// --- Segments ---

// Chunks share one checksum up to this size: the unit of reading and verifying.
inline constexpr size_t kStripBytes = 16U << 10U;
inline constexpr size_t kSegmentWriteBytes = 1U << 20U;  // piece of a segment write

// --- Compaction ---

// Memory of a merge at most, whatever it merges, and the rows and values of a merged block that
// this allows: large enough that a series is in few pieces, small enough that a query with the
// least
// --memory loads several that overlap (64 bytes a row).
inline constexpr size_t kMergeBytesMax = 64U << 20U;
inline constexpr uint32_t kMergedRowsMax = 64U << 10U;
inline constexpr size_t kMergedValuesMax = 2U << 20U;
// Segments are merged up to about this size: what a merge takes of the disk while it works.
inline constexpr uint64_t kMergedBytesMax = 1U << 30U;

// --- Query ---

inline constexpr uint32_t kBucketsMax = 1U << 20U;
// A query ends then, so that its snapshot does not pin memory for ever.
inline constexpr int64_t kQueryTimeMaxUs = int64_t{600} * 1'000'000;
// What a result block aims at: the one reads it while the other makes the next, and both in cache.
inline constexpr uint32_t kResultBatchRows = 8192;
inline constexpr uint32_t kResultBatchBytes = 128U << 10U;  // of numbers, if many are asked for
// Rows of a result block that a client must take, since a batch may end a little late.
inline constexpr uint32_t kResultBlockRowsMax = 1U << 16U;
inline constexpr uint32_t kReadsInFlightMax = 64;  // reads a query keeps in the ring

}  // namespace stepdb
