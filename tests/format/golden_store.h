// A store as a version of the format writes it: every kind of file, all that a client can do to a
// run. Its files lie beside this under golden/, one folder for each format that was ever released
// or relied on, with what they read as in words.
#pragma once

#include <string>

#include "tests/support/sim_disk.h"
#include "tests/support/sim_store.h"

namespace stepdb {

// Of the format of today, in the directory "store".
SimDisk make_golden_store();

// The options with which it is written and read.
EngineOptions golden_options();

// Everything that an open store shows, a line for each point and each fact; values as their bits.
std::string list_store(SimStore& store);

}  // namespace stepdb
