// Runs every tests/query/*.qt script, and the examples of docs/query-language.md, on every store.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include "tests/query/engine_store.h"
#include "tests/query/map_store.h"
#include "tests/query/query_script.h"

namespace stepdb::script_test {

struct StoreKind {
    std::string name;
    std::function<std::unique_ptr<ScriptStore>()> make;
};

std::vector<StoreKind> store_kinds() {
    return {
        {"map by one", [] { return std::make_unique<MapStore>(1); }},
        {"map by three", [] { return std::make_unique<MapStore>(3); }},
        {"map by thousands", [] { return std::make_unique<MapStore>(5000); }},
        {"engine", [] { return std::make_unique<EngineStore>(Reopening::kClose); }},
        {"engine and crashes", [] { return std::make_unique<EngineStore>(Reopening::kCrash); }},
        {"engine, merged", [] { return std::make_unique<EngineStore>(Reopening::kMerge); }},
    };
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

void run_on_every_store(const std::string& name, const std::string& script) {
    const Result<std::vector<ScriptStatement>> statements = parse_script(script);
    ASSERT_TRUE(statements.has_value()) << name << ": " << statements.error().to_string();
    for (const StoreKind& kind : store_kinds()) {
        const std::unique_ptr<ScriptStore> store = kind.make();
        ScriptRunner runner(*store);
        runner.run(fmt::format("{} on {}", name, kind.name), *statements);
    }
}

// The fenced blocks of a document that are ours, as a script with the document's line numbers:
// ```data holds statements, ```query a query, ---- and its answer.
std::string script_of_document(const std::string& document) {
    std::istringstream stream(document);
    std::string script;
    bool in_data = false;
    bool in_query = false;
    for (std::string line; std::getline(stream, line);) {
        if (line == "```query" || line == "```data") {
            in_query = line == "```query";
            in_data = !in_query;
            line = in_query ? "query" : "";
        } else if (line.rfind("```", 0) == 0 || (!in_data && !in_query)) {
            in_data = false;
            in_query = false;
            line = "";
        }
        script += line + "\n";
    }
    return script;
}

TEST(QueryScripts, AnswerAsWrittenOnEveryStore) {
    std::vector<std::filesystem::path> scripts;
    for (const auto& entry : std::filesystem::directory_iterator(STEPDB_QUERY_SCRIPTS)) {
        if (entry.path().extension() == ".qt") {
            scripts.push_back(entry.path());
        }
    }
    std::sort(scripts.begin(), scripts.end());
    ASSERT_GE(scripts.size(), 5U);
    for (const auto& path : scripts) {
        run_on_every_store(path.filename().string(), read_file(path));
    }
}

TEST(QueryLanguageDocument, EveryExampleAnswersAsPrinted) {
    const std::string document = read_file(STEPDB_QUERY_DOCUMENT);
    const std::string script = script_of_document(document);
    const Result<std::vector<ScriptStatement>> statements = parse_script(script);
    ASSERT_TRUE(statements.has_value()) << statements.error().to_string();
    const auto queries = std::count_if(statements->begin(), statements->end(),
                                       [](const ScriptStatement& each) { return each.is_query; });
    ASSERT_GE(queries, 10);
    run_on_every_store("docs/query-language.md", script);
}

}  // namespace stepdb::script_test
