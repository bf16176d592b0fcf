// What is in a backup on the simulated disk: it is verified, restored and read.
#pragma once

#include <string>

#include "engine/backup.h"
#include "tests/support/sim_store.h"

namespace stepdb {

// What verify_store finds wrong with the store in `directory`, which nobody has open; "" if all is
// well.
std::string verify_directory(SimDisk& disk, const std::string& directory);

// Restores the backup in `directory` to a directory of the same disk that is not there yet.
Result<BackupReport> restore_backup(SimDisk& disk, const std::string& directory,
                                    const std::string& to);

// What a store that is made of the backup reads as. The backup stays as it is.
Result<ReferenceModel::Contents> contents_of_backup(SimDisk disk, const std::string& directory);

}  // namespace stepdb
