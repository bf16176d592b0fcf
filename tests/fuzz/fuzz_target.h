// A fuzz target is one function over bytes that were chosen to break it. Every target is linked
// twice: with libFuzzer, which makes the bytes up (tests/fuzz/run), and with replay.cc, which takes
// them from the committed corpus, so that every finding stays a plain test of every build.
//
// A target fails by a sanitizer, a CHECK, or by taking more time or memory than the runner allows.
// Checksums would keep made-up bytes away from what lies below them: targets put them right first
// (fix_checksums.h).
#pragma once

#include "engine/base/bytes.h"
#include "engine/base/coding.h"

namespace stepdb {

// Each target's file defines it.
void fuzz_one(Bytes input);

}  // namespace stepdb
