// Copies a segment, byte for byte. All that is under a checksum is verified between being read and
// being written, so that what is written is what had been; values are not decoded.
#pragma once

#include "engine/base/task.h"
#include "engine/io/paced_writer.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

// Reads `from`, which is the segment's file, about a piece (kSegmentWriteBytes) or a strip at a
// time, and puts the whole file. kCorruption naming file, block and checksum. A block that is known
// as damaged is copied as it is: its bytes as they were found have a checksum too. Padding, which
// has none, is written as zeros.
Task<Status> copy_segment(File& from, const SegmentMeta& segment, PacedWriter& to);

}  // namespace stepdb
