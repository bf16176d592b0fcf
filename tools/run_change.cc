#include "tools/run_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "engine/io/environment.h"
#include "tools/command.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

// Of an error of the query language: without the place and the query's lines.
std::string without_place(const std::string& message) {
    std::string line = message.substr(0, message.find('\n'));
    const size_t place = line.find("): ");
    return line.starts_with("column ") && place != std::string::npos ? line.substr(place + 3)
                                                                     : line;
}

std::string quoted(const RunName& name) {
    return "'" + name.path() + "'";  // ids have no quotes
}

// A regex that finds the runs of a project and no others.
std::string runs_of(const std::string& project) {
    std::string regex = "~\"^";
    for (const char c : project) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
        regex += is_plain ? std::string(1, c) : std::string{'\\', c};
    }
    return regex + "/\"";
}

std::vector<uint32_t> read_numbers(const std::string& text) {
    std::vector<uint32_t> numbers;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at < end) {
        uint32_t number = 0;
        const auto [stop, code] = std::from_chars(at, end, number);
        if (code == std::errc()) {
            numbers.push_back(number);
        }
        at = std::max(stop, at + 1);
    }
    return numbers;
}

// A command asks several questions; what a damaged store may have lost is said once.
void warn_of_damage(const std::vector<std::string>& notes) {
    static std::set<std::string> said;
    for (const std::string& note : notes) {
        if (note.starts_with("the store is damaged") && said.insert(note).second) {
            fmt::print(stderr, "stepdb: note: {}\n", note);
        }
    }
}

}  // namespace

Result<RunWriter> RunWriter::open(const ServerChoice& server, const RunName& name, uint8_t mode) {
    RunWriter writer;
    TRY_ASSIGN(writer.client_, connect_to(server, random_id()));
    Result<ClientRun> run = writer.client_->open_run(name.project, name.run, mode);
    if (!run && run.error().code() == ErrorCode::kNotFound) {
        return explain_missing_run(*writer.client_, name, run.error());
    }
    if (!run) {
        return run.error();
    }
    writer.run_ = *run;
    return writer;
}

Status RunWriter::send_one(Client& client, Bytes frame) {
    TRY_ASSIGN(const uint64_t ordinal, client.send_change(frame));
    static_cast<void>(ordinal);
    TRY_ASSIGN(const FlushReport report, client.flush());
    return report.refused_frames == 0 ? Status() : report.refused.front().error.to_error();
}

Result<std::vector<std::vector<std::string>>> ask_for_texts(Client& client,
                                                            const std::string& query) {
    std::vector<std::vector<std::string>> rows;
    std::vector<bool> is_text;
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& columns) {
        for (const ResultColumn& column : columns) {
            is_text.push_back(column.type == ColumnType::kText);
        }
    };
    handler.on_block = [&](const ResultBlock& block) {
        const size_t before = rows.size();
        rows.resize(before + block.rows());
        for (size_t column = 0; column < is_text.size(); ++column) {
            if (!is_text[column]) {
                continue;
            }
            const auto texts = block.column(column).texts();
            for (size_t row = 0; row < block.rows(); ++row) {
                rows[before + row].emplace_back(texts[row]);
            }
        }
        return true;
    };
    const Result<QueryEnd> end = client.query(query, handler);
    if (!end) {
        return Error(end.error().code(), without_place(end.error().message()));
    }
    warn_of_damage(end->notes);
    return rows;
}

Result<RunFacts> read_run_facts(Client& client, const RunName& name) {
    TRY_ASSIGN(const auto rows, ask_for_texts(client, "attributes " + quoted(name)));
    RunFacts facts;
    for (const std::vector<std::string>& row : rows) {
        const std::string& attribute = row.at(1);
        const std::string& value = row.at(3);
        if (attribute == "sys/state") {
            facts.state = value;
        } else if (attribute == "sys/attempt") {
            facts.newest = read_numbers(value).at(0);
        } else if (attribute == "sys/attempts") {
            facts.readable = read_numbers(value);
        } else if (attribute == "sys/discarded") {
            facts.discarded = read_numbers(value);
        }
    }
    if (facts.readable.empty()) {
        facts.readable.push_back(facts.newest);
    }
    return facts;
}

Error explain_missing_run(Client& client, const RunName& name, const Error& otherwise) {
    const Result<RunFacts> facts = read_run_facts(client, name);
    return !facts && facts.error().code() == ErrorCode::kNotFound ? facts.error() : otherwise;
}

namespace {

// What retention asks of a run.
struct Freshness {
    Freshness() = default;

    int64_t last_us = 0;
    bool is_kept = false;
    std::string parent;  // path, empty: none
};

// By path. Rows of one run come together.
std::map<std::string, Freshness> read_freshness(
    const std::vector<std::vector<std::string>>& attributes) {
    std::map<std::string, Freshness> runs;
    for (const std::vector<std::string>& row : attributes) {
        Freshness& run = runs[row.at(0)];
        const std::string& attribute = row.at(1);
        const std::string& value = row.at(3);
        if (attribute == "sys/created" || attribute == "sys/last_write") {
            run.last_us = std::max(run.last_us, parse_time(value).value_or(INT64_MAX));
        } else if (attribute == kTagsAttribute) {
            run.is_kept = fmt::format(", {}, ", value).find(", keep, ") != std::string::npos;
        } else if (attribute == "sys/parent") {
            run.parent = value.substr(0, value.find('#'));
        }
    }
    return runs;
}

}  // namespace

Result<std::vector<std::string>> find_older_than(Client& client, const std::string& project,
                                                 int64_t age_us) {
    const Result<std::vector<std::vector<std::string>>> rows =
        ask_for_texts(client, "attributes " + runs_of(project));
    if (!rows) {
        return rows.error();
    }
    const std::map<std::string, Freshness> runs = read_freshness(*rows);
    const int64_t oldest_us = SystemClock().now_us() - age_us;
    std::set<std::string> fresh;
    for (const auto& [path, run] : runs) {
        // A fork keeps what it reads, to any depth.
        for (auto at = runs.find(path); run.is_kept || run.last_us >= oldest_us;) {
            if (at == runs.end() || !fresh.insert(at->first).second) {
                break;
            }
            at = runs.find(at->second.parent);
        }
    }
    std::vector<std::string> expired;
    for (const auto& [path, run] : runs) {
        if (!fresh.contains(path)) {
            expired.push_back(path);
        }
    }
    return expired;
}

Result<std::vector<std::string>> find_forks(Client& client, const RunName& name) {
    TRY_ASSIGN(const auto rows, ask_for_texts(client, "attributes " + runs_of(name.project)));
    std::vector<std::string> forks;
    for (const std::vector<std::string>& row : rows) {
        const std::string& parent = row.at(3);
        const bool is_fork =
            row.at(1) == "sys/parent" &&
            (name.attempt ? parent == fmt::format("{}#{}", name.path(), *name.attempt)
                          : parent.starts_with(name.path() + "#"));
        if (is_fork) {
            forks.push_back(row.at(0));
        }
    }
    return forks;
}

}  // namespace stepdb
