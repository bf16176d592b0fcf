#include "tests/query/query_script.h"

#include <gtest/gtest.h>

#include <charconv>
#include <sstream>

#include "engine/base/float_bits.h"
#include "query/literals.h"

namespace stepdb {

namespace {

std::vector<std::string> split_words(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
}

Error wrong(const std::string& statement, std::string_view why) {
    return make_error(ErrorCode::kInvalidArgument, "'{}': {}", statement, why);
}

struct RunName {
    std::string project;
    std::string run;
};

RunName split_run(const std::string& path) {
    const size_t slash = path.find('/');
    CHECK(slash != std::string::npos, "'{}' is no PROJECT/RUN", path);
    return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<ScriptRow> parse_row(const std::string& statement, const std::vector<std::string>& words) {
    ScriptRow row;
    const RunName name = split_run(words[1]);
    row.project = name.project;
    row.run = name.run;
    for (size_t i = 2; i < words.size(); ++i) {
        const size_t equals = words[i].rfind('=');
        if (equals == std::string::npos) {
            return wrong(statement, "expected NAME=VALUE");
        }
        const std::string key = words[i].substr(0, equals);
        const std::string value = words[i].substr(equals + 1);
        if (key == "time") {
            TRY_ASSIGN(row.time_us, parse_moment(value));
            continue;
        }
        const std::optional<double> number = parse_value(value);
        if (!number) {
            return wrong(statement, "expected a number after " + key);
        }
        if (key == "step") {
            row.step = *number;
        } else {
            row.values.emplace_back(key, *number);
        }
    }
    return row;
}

// As `stepdb set` reads it, but that quotes make a text of anything.
void parse_attribute(const std::string& text, AttributeValue& value) {
    int64_t integer = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, integer);
    if (text == "null") {
        return;
    }
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        value.emplace<std::string>(text.substr(1, text.size() - 2));
    } else if (text == "true" || text == "false") {
        value.emplace<bool>(text == "true");
    } else if (code == std::errc() && stop == end) {
        value.emplace<int64_t>(integer);
    } else if (const std::optional<double> number = parse_value(text)) {
        value.emplace<double>(*number);
    } else if (const Result<int64_t> time = parse_moment(text)) {
        value.emplace<Datetime>(*time);
    } else {
        value.emplace<std::string>(text);
    }
}

Result<std::vector<AttributeChange>> parse_set(const std::string& statement,
                                               const std::vector<std::string>& words) {
    std::vector<AttributeChange> changes;
    for (size_t i = 2; i < words.size(); ++i) {
        const size_t equals = words[i].find('=');
        if (equals == std::string::npos) {
            return wrong(statement, "expected NAME=VALUE");
        }
        // Filled in place: g++ 12 warns of moved values.
        AttributeChange& change = changes.emplace_back();
        change.name = words[i].substr(0, equals);
        parse_attribute(words[i].substr(equals + 1), change.value);
    }
    return changes;
}

std::vector<AttributeChange> parse_tags(const std::vector<std::string>& words) {
    std::vector<AttributeChange> changes(1);
    changes[0].kind = AttributeChange::Kind::kAddToSet;
    changes[0].name = kTagsAttribute;
    changes[0].value.emplace<StringSet>(words.begin() + 2, words.end());
    return changes;
}

// note RUN step=STEP TEXT, or time=TIME
Result<std::vector<AttributeChange>> parse_note(const std::vector<std::string>& words) {
    std::vector<AttributeChange> changes(1);
    changes[0].kind = AttributeChange::Kind::kAddToSet;
    const std::string at = words[2].substr(words[2].find('=') + 1);
    if (words[2].starts_with("time=")) {
        TRY_ASSIGN(const int64_t time_us, parse_moment(at));
        changes[0].name = fmt::format("{}{}", kNoteAtTimePrefix, time_us);
    } else {
        changes[0].name = std::string(kNoteAtStepPrefix) + at;
    }
    std::string text = words[3];
    for (size_t word = 4; word < words.size(); ++word) {
        text += " " + words[word];
    }
    changes[0].value.emplace<StringSet>(StringSet{text});
    return changes;
}

std::string join_lines(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + "\n";
    }
    return text;
}

}  // namespace

Result<std::vector<ScriptStatement>> parse_script(std::string_view script) {
    std::istringstream stream{std::string(script)};
    std::vector<ScriptStatement> statements;
    size_t line_number = 0;
    std::string line;
    while (std::getline(stream, line)) {
        ++line_number;
        if (line.empty() || line.front() == '#') {
            continue;
        }
        ScriptStatement statement;
        statement.line = line_number;
        statement.text = line;
        statement.is_query = line.rfind("query", 0) == 0;
        if (statement.is_query) {
            statement.text = line.substr(std::min<size_t>(line.size(), 6));
            while (std::getline(stream, line) && ++line_number > 0 && line != "----") {
                statement.text += (statement.text.empty() ? "" : "\n") + line;
            }
            if (line != "----") {
                return make_error(ErrorCode::kInvalidArgument, "line {}: no ---- after the query",
                                  statement.line);
            }
            while (std::getline(stream, line) && ++line_number > 0 && !line.empty()) {
                statement.expected.push_back(line);
            }
        }
        statements.push_back(std::move(statement));
    }
    return statements;
}

void ScriptRunner::run(const std::string& file, const std::vector<ScriptStatement>& statements) {
    for (const ScriptStatement& statement : statements) {
        const std::string place = fmt::format("{}:{}", file, statement.line);
        if (statement.is_query) {
            check_query(place, statement);
        } else {
            const Status done = execute(statement.text);
            ASSERT_TRUE(done.has_value()) << place << ": " << done.error().to_string();
        }
    }
}

Status ScriptRunner::execute(const std::string& statement) {
    const std::vector<std::string> words = split_words(statement);
    if (words.size() == 1 && words[0] == "flush") {
        return store_.flush();
    }
    if (words.size() == 1 && words[0] == "reopen") {
        return store_.reopen();
    }
    if (words.size() == 2 && words[0] == "now") {
        TRY_ASSIGN(now_us_, parse_moment(words[1]));
        return {};
    }
    if (words.size() > 1 && words[0] == "param") {
        return add_parameter(statement);
    }
    if (words.size() == 2 && (words[0] == "finish" || words[0] == "fail")) {
        const RunName name = split_run(words[1]);
        return store_.finish(name.project, name.run,
                             words[0] == "fail" ? RunState::kFailed : RunState::kFinished);
    }
    if (words.size() > 2 && (words[0] == "set" || words[0] == "tag")) {
        const RunName name = split_run(words[1]);
        if (words[0] == "tag") {
            return store_.set_attributes(name.project, name.run, parse_tags(words));
        }
        TRY_ASSIGN(const std::vector<AttributeChange> changes, parse_set(statement, words));
        return store_.set_attributes(name.project, name.run, changes);
    }
    if (words.size() > 3 && words[0] == "note") {
        const RunName name = split_run(words[1]);
        TRY_ASSIGN(const std::vector<AttributeChange> changes, parse_note(words));
        return store_.set_attributes(name.project, name.run, changes);
    }
    if (words.size() > 2 && words[0] == "row") {
        TRY_ASSIGN(const ScriptRow row, parse_row(statement, words));
        return store_.add_row(row);
    }
    if (words.size() == 5 && words[0] == "fill") {
        TRY_ASSIGN(const double first, parse_number(words[3]));
        TRY_ASSIGN(const double last, parse_number(words[4]));
        for (double step = first; step <= last; ++step) {
            TRY_ASSIGN(ScriptRow row, parse_row(statement, {words[0], words[1]}));
            row.step = step;
            row.values.emplace_back(words[2], step);
            TRY(store_.add_row(row));
        }
        return {};
    }
    return wrong(statement, "no such statement");
}

// `param NAME VALUE`, where VALUE may be empty and have blanks.
Status ScriptRunner::add_parameter(const std::string& statement) {
    const std::string_view rest = std::string_view(statement).substr(std::string("param ").size());
    const size_t blank = std::min(rest.find(' '), rest.size());
    return parameters_.add(rest.substr(0, blank), rest.substr(std::min(blank + 1, rest.size())));
}

void ScriptRunner::check_query(const std::string& place, const ScriptStatement& statement) {
    const Result<AnswerLines> answer = store_.ask(QueryText(statement.text, parameters_), now_us_);
    parameters_ = QueryParameters();
    const std::string got = answer ? join_lines(*answer) : answer.error().to_string();
    if (!statement.expected.empty() && statement.expected[0].rfind("error ", 0) == 0) {
        for (const std::string& line : statement.expected) {
            const std::string piece = line.substr(std::min<size_t>(line.size(), 6));
            EXPECT_TRUE(!answer && got.find(piece) != std::string::npos)
                << place << ": " << statement.text << "\nexpected the error: " << piece
                << "\ngot: " << got;
        }
        return;
    }
    EXPECT_EQ(got, join_lines(statement.expected)) << place << ": " << statement.text;
}

}  // namespace stepdb
