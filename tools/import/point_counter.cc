#include "tools/import/point_counter.h"

#include <array>
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

Result<uint64_t> count_points(Client& client, std::string_view project, std::string_view run,
                              const std::set<std::string>& metrics) {
    const std::string path = query_literal(fmt::format("{}/{}", project, run));
    TRY_ASSIGN(const auto found, find_metrics(client, path, metrics));
    uint64_t points = 0;
    for (const std::vector<std::string>& names : found) {
        std::string batch;
        for (size_t i = 0; i < names.size(); ++i) {
            batch += (batch.empty() ? "" : ", ") + query_literal(names[i]);
            if (i + 1 == names.size() || batch.size() > kNamesBytesMax) {
                TRY_ASSIGN(const uint64_t some,
                           sum_counts(client, fmt::format("{} @ {} | buckets 1 count, nan, pinf, "
                                                          "ninf",
                                                          batch, path)));
                points += some;
                batch.clear();
            }
        }
    }
    return points;
}

}  // namespace stepdb
