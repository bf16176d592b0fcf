#include "tools/import/mlflow_run.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "tools/import/byte_source.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

using Yaml = std::map<std::string, std::string, std::less<>>;

// 'it''s' and "a \"b\"" without their quotes.
std::string unquoted(std::string_view text) {
    const char quote = text.size() >= 2 && text.front() == text.back() ? text.front() : '\0';
    if (quote != '\'' && quote != '"') {
        return std::string(text);
    }
    const char escape = quote == '\'' ? '\'' : '\\';
    const std::string_view inner = text.substr(1, text.size() - 2);
    std::string plain;
    for (size_t at = 0; at < inner.size(); ++at) {
        const bool is_escape = inner[at] == escape && at + 1 < inner.size();
        plain += inner[is_escape ? ++at : at];
    }
    return plain;
}

// The whole of a small file; beyond what an attribute may have it is cut, and then refused as one.
Result<std::string> read_small_file(const std::string& path) {
    TRY_ASSIGN(const ByteSource source, open_file(path, kAttributeTextBytesMax + 1));
    std::string text;
    std::vector<std::byte> buffer(4096);
    for (;;) {
        TRY_ASSIGN(const size_t got, source(buffer));
        if (got == 0) {
            return text;
        }
        text += as_text(Bytes(buffer).first(got));
    }
}

// The files below a folder, by their paths within it; none if it is not there.
Result<std::vector<std::pair<std::string, std::string>>> files_below(const fs::path& folder) {
    std::vector<std::pair<std::string, std::string>> files;
    std::error_code failed;
    if (!fs::is_directory(folder, failed)) {
        return files;
    }
    fs::recursive_directory_iterator at(folder, failed);
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        std::error_code ignored;
        if (at->is_regular_file(ignored)) {
            files.emplace_back(at->path().lexically_relative(folder).generic_string(),
                               at->path().native());
        }
    }
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot list {}: {}", folder.native(),
                          failed.message());
    }
    std::ranges::sort(files,
                      [](const auto& a, const auto& b) { return natural_less(a.first, b.first); });
    return files;
}

Result<Yaml> read_meta(const fs::path& directory) {
    const fs::path path = directory / "meta.yaml";
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) {
        return Yaml();
    }
    TRY_ASSIGN(const std::string text, read_small_file(path.native()));
    return parse_flat_yaml(text);
}

// Of numbers and names, as files and clients write them.
std::optional<RunState> state_of(std::string_view status) {
    if (status == "3" || status == "FINISHED") {
        return RunState::kFinished;
    }
    if (status == "4" || status == "FAILED" || status == "5" || status == "KILLED") {
        return RunState::kFailed;
    }
    return std::nullopt;
}

// Calls `take` for name and value of each file below a folder.
template <typename Take>
Status for_each_value(const fs::path& folder, const Take& take) {
    TRY_ASSIGN(const auto files, files_below(folder));
    for (const auto& [name, path] : files) {
        TRY_ASSIGN(std::string value, read_small_file(path));
        if (value.ends_with('\n')) {
            value.pop_back();
        }
        take(name, value);
    }
    return {};
}

}  // namespace

void take_mlflow_meta(const Yaml& meta, LogFacts& facts) {
    const auto text = [&](std::string_view key, std::string_view name) {
        const auto at = meta.find(key);
        if (at != meta.end() && !at->second.empty()) {
            facts.set_text(name, at->second);
        }
    };
    const auto time = [&](std::string_view key, std::string_view name) {
        const auto at = meta.find(key);
        const std::optional<int64_t> us = at == meta.end() ? std::nullopt : parse_time(at->second);
        if (us) {
            facts.set_datetime(name, *us);
        }
    };
    text("run_uuid", "mlflow/run_id");
    text("run_id", "mlflow/run_id");
    text("experiment_id", "mlflow/experiment_id");
    text("run_name", kNameAttribute);
    text("user_id", kOwnerAttribute);
    time("start_time", "mlflow/start_time");
    time("end_time", "mlflow/end_time");
    const auto stage = meta.find("lifecycle_stage");
    if (stage != meta.end() && stage->second != "active") {
        facts.set_text("mlflow/lifecycle_stage", stage->second);
    }
    const auto status = meta.find("status");
    const std::optional<RunState> state =
        status == meta.end() ? std::nullopt : state_of(status->second);
    if (state) {
        facts.set_state(*state);
    }
}

void take_mlflow_tag(const std::string& name, const std::string& value, LogFacts& facts) {
    if (name == "mlflow.runName") {
        facts.set_text(kNameAttribute, value);
    } else if (name == "mlflow.user") {
        facts.set_text(kOwnerAttribute, value);
    } else {
        facts.set_text("tags/" + name, value);
    }
}

Yaml parse_flat_yaml(std::string_view text) {
    Yaml values;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const size_t colon = line.find(':');
        const bool is_member =
            colon != std::string_view::npos && colon > 0 &&
            std::string_view(" \t#-").find(line.front()) == std::string_view::npos;
        if (!is_member) {
            continue;
        }
        const std::string_view value = trim(line.substr(colon + 1), kLineBlanks);
        if (value != "null" && value != "~" && !value.empty()) {
            values.insert_or_assign(unquoted(trim(line.substr(0, colon), kLineBlanks)),
                                    unquoted(value));
        }
    }
    return values;
}

bool is_mlflow_run(const std::string& directory) {
    const Result<Yaml> meta = read_meta(directory);
    if (meta && !meta->empty()) {
        return meta->contains("run_id") || meta->contains("run_uuid");
    }
    std::error_code ignored;
    return fs::is_directory(fs::path(directory) / "metrics", ignored);
}

Result<std::vector<std::pair<std::string, std::string>>> find_mlflow_metrics(
    const std::string& directory) {
    return files_below(fs::path(directory) / "metrics");
}

Result<LogFacts> read_mlflow_facts(const std::string& directory) {
    LogFacts facts;
    TRY_ASSIGN(const Yaml meta, read_meta(directory));
    take_mlflow_meta(meta, facts);
    TRY_ASSIGN(const Yaml experiment, read_meta(fs::path(directory) / ".."));
    const auto name = experiment.find("name");
    if (name != experiment.end() && experiment.contains("experiment_id")) {
        facts.set_text("mlflow/experiment", name->second);
    }
    const fs::path folder(directory);
    TRY(for_each_value(folder / "params", [&](const std::string& param, const std::string& value) {
        facts.set_typed("config/" + param, value);
    }));
    TRY(for_each_value(folder / "tags", [&](const std::string& tag, const std::string& value) {
        take_mlflow_tag(tag, value, facts);
    }));
    return facts;
}

}  // namespace stepdb
