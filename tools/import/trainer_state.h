// The trainer_state.json that Hugging Face's Trainer leaves in every checkpoint: one object, in
// which `log_history` is the list of what was logged, an object each, and the other members tell of
// the run. The list is walked entry by entry, so the file may be of any size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "tools/import/json_objects.h"
#include "tools/import/log_source.h"

namespace stepdb {

// The entries of log_history. Facts: the other members that are numbers, texts or truth values, as
// config/NAME if they are settings and as trainer/NAME else; those of trial_params as config/NAME;
// trial_name as the run's name.
Result<std::unique_ptr<JsonObjects>> open_trainer_state_objects(const std::string& path,
                                                                uint64_t bytes_max);

// The same as a log (json_log.h).
Result<std::unique_ptr<LogSource>> open_trainer_state(const std::string& path,
                                                      const LogOptions& options,
                                                      uint64_t bytes_max = UINT64_MAX);

}  // namespace stepdb
