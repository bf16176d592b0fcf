#include "tools/import/point_counter.h"

#include <array>
#include <span>
#include <vector>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

constexpr size_t kNamesBytesMax = kQueryTextBytesMax / 2;  // of one query

// Sums the counts of one query's answer.
Result<uint64_t> sum_counts(Client& client, const std::string& text) {
    uint64_t points = 0;
    AnswerHandler handler;
    handler.on_columns = [](const std::vector<ResultColumn>&) {};
    handler.on_block = [&](const ResultBlock& block) {
        for (size_t column = 0; column < block.width(); ++column) {
            if (block.column(column).type() == ColumnType::kUint64) {
                for (const uint64_t count : block.column(column).uint64s()) {
                    points += count;
                }
            }
        }
        return true;
    };
    TRY_ASSIGN(const QueryEnd end, client.query(text, handler));
    return points;
}

// The metrics of a run that are asked for, by axis.
Result<std::array<std::vector<std::string>, 2>> find_metrics(Client& client, const std::string& run,
                                                             const std::set<std::string>& wanted) {
    std::array<std::vector<std::string>, 2> found;
    AnswerHandler handler;
    handler.on_columns = [](const std::vector<ResultColumn>&) {};
    handler.on_block = [&](const ResultBlock& block) {
        const std::vector<std::string_view> names = block.column(1).texts();
        const std::vector<std::string_view> axes = block.column(2).texts();
        for (uint32_t row = 0; row < block.rows(); ++row) {
            std::string name(names[row]);
            if (wanted.contains(name)) {
                found[axes[row] == "stepped" ? 0 : 1].push_back(std::move(name));
            }
        }
        return true;
    };
    const Result<QueryEnd> end = client.query("metrics ** @ " + run, handler);
    if (!end && end.error().code() != ErrorCode::kNotFound) {
        return end.error();
    }
    return found;
}

struct CountedRun {
    std::string literal;
    std::string range;  // a stage of the query, or nothing
};

// Adds the points of these, in one query; where one of them is damaged, in halves, so that few
// queries find it.
Status count_some(Client& client, const CountedRun& run, std::span<const std::string> names,
                  PointCount& count) {
    std::string list;
    for (const std::string& name : names) {
        list += (list.empty() ? "" : ", ") + query_literal(name);
    }
    const Result<uint64_t> points = sum_counts(
        client,
        fmt::format("{} @ {}{} | buckets 1 count, nan, pinf, ninf", list, run.literal, run.range));
    if (points) {
        count.points += *points;
        return {};
    }
    if (points.error().code() != ErrorCode::kCorruption) {
        return points.error();
    }
    if (names.size() == 1) {
        if (count.uncounted == 0) {
            count.why = points.error().message();
        }
        ++count.uncounted;
        return {};
    }
    const size_t half = names.size() / 2;
    TRY(count_some(client, run, names.first(half), count));
    return count_some(client, run, names.subspan(half), count);
}

}  // namespace

std::string query_literal(std::string_view text) {
    std::string literal = "\"";
    for (const char c : text) {
        literal += c;
        if (c == '"') {
            literal += c;
        }
    }
    return literal + "\"";
}

Status count_points(Client& client, std::string_view project, std::string_view run,
                    const CountedPart& part, const std::set<std::string>& metrics,
                    PointCount& count) {
    CountedRun counted;
    counted.literal =
        query_literal(part.attempt ? fmt::format("{}/{}#{}", project, run, *part.attempt)
                                   : fmt::format("{}/{}", project, run));
    counted.range = part.first_step ? fmt::format(" | steps {}..", *part.first_step) : "";
    TRY_ASSIGN(auto found, find_metrics(client, counted.literal, metrics));
    if (part.first_step) {
        found[1].clear();
    }
    for (const std::vector<std::string>& names : found) {
        size_t begin = 0;
        size_t bytes = 0;
        for (size_t i = 0; i < names.size(); ++i) {
            bytes += query_literal(names[i]).size() + 2;
            if (i + 1 == names.size() || bytes > kNamesBytesMax) {
                TRY(count_some(client, counted, std::span(names).subspan(begin, i + 1 - begin),
                               count));
                begin = i + 1;
                bytes = 0;
            }
        }
    }
    return {};
}

}  // namespace stepdb
