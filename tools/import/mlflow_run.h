// A run of an MLflow file store: the directory EXPERIMENT/RUN with
//
//   metrics/NAME   lines `timestamp_ms value step`; a name with `/` is a file in folders
//   params/NAME    a value
//   tags/NAME      a value
//   meta.yaml      lines `key: value`: run_name, status, start_time and others
//
// of which only metrics/ or meta.yaml must be there. EXPERIMENT/meta.yaml names the experiment.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_facts.h"

namespace stepdb {

// Whether it is one: it has a meta.yaml that names a run, or none and metrics/.
bool is_mlflow_run(const std::string& directory);

// (name, path) of its metrics, in natural order of the names. kIoError if they cannot be listed.
Result<std::vector<std::pair<std::string, std::string>>> find_mlflow_metrics(
    const std::string& directory);

// Params are config/NAME, typed; tags are tags/NAME, texts, but mlflow.runName is the run's name
// and mlflow.user its owner; of meta.yaml run and experiment, start and end are mlflow/NAME, and
// the status is the state. kIoError if a file cannot be read.
Result<LogFacts> read_mlflow_facts(const std::string& directory);

// The parts of it that a database has too: what members of meta.yaml say (columns of its table of
// runs), and a tag.
void take_mlflow_meta(const std::map<std::string, std::string, std::less<>>& meta, LogFacts& facts);
void take_mlflow_tag(const std::string& name, const std::string& value, LogFacts& facts);

// The `key: value` lines of a YAML file, without quotes; of nested values and lists nothing. What
// is null is left out.
std::map<std::string, std::string, std::less<>> parse_flat_yaml(std::string_view text);

}  // namespace stepdb
