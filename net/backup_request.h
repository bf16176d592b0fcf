// A backup that a client has asked for. It is made on the engine's side; how it comes on is told
// on the net side in rows of a few numbers, whenever the client has read the last.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/io/executor.h"
#include "net/query_service.h"

namespace stepdb {

// The columns that tell of a backup, as docs/protocol.md names them.
std::vector<ResultColumn> backup_columns();
// A row of these.
ResultBlock backup_row(const BackupReport& report);
// What the last row of a block says; kInvalidArgument if it is none of a backup.
Result<BackupReport> read_backup_row(const ResultBlock& block);

// Engine and executors outlive the backup, which goes on for a while after its handle is gone: the
// engine must be closed before they end.
std::unique_ptr<RunningQuery> start_backup(Engine& engine, Executor& engine_side,
                                           Executor& net_side, std::string directory,
                                           ResultSink& sink);

}  // namespace stepdb
