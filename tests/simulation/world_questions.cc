// Queries while a world goes on, over connections as its clients have them: each answer is what was
// there at one moment after the question, nothing acknowledged before left out.
#include <algorithm>
#include <cmath>

#include "tests/simulation/world.h"

namespace stepdb {

namespace {

constexpr std::string_view kStages[] = {"", " | buckets 7", " | summary"};

// A column of all blocks, as the bits of its numbers; what is null is left out.
std::vector<uint64_t> numbers_of(const SimAnswer& answer, std::string_view name) {
    std::vector<uint64_t> numbers;
    for (size_t column = 0; column < answer.columns.size(); ++column) {
        if (answer.columns[column].name != name ||
            answer.columns[column].type == ColumnType::kText) {
            continue;
        }
        for (const ResultBlock& block : answer.blocks) {
            const ColumnCells& cells = block.column(column);
            for (uint32_t row = 0; row < cells.rows(); ++row) {
                if (cells.is_null(row)) {
                    continue;
                }
                switch (cells.type()) {
                    case ColumnType::kTime:
                        numbers.push_back(static_cast<uint64_t>(cells.times()[row]));
                        break;
                    case ColumnType::kUint64:
                        numbers.push_back(cells.uint64s()[row]);
                        break;
                    default:
                        numbers.push_back(bits_of(cells.doubles()[row]));
                        break;
                }
            }
        }
    }
    return numbers;
}

uint64_t sum_of(const SimAnswer& answer, std::string_view name) {
    uint64_t sum = 0;
    for (const uint64_t number : numbers_of(answer, name)) {
        sum += number;
    }
    return sum;
}

bool are_points(const SimAnswer& answer, const ReferenceModel::Series& series) {
    const std::vector<uint64_t> steps = numbers_of(answer, "step");
    const std::vector<uint64_t> times = numbers_of(answer, "time");
    const std::vector<uint64_t> values = numbers_of(answer, "value");
    if (values.size() != series.size() || std::max(steps.size(), times.size()) != series.size()) {
        return false;
    }
    size_t row = 0;
    for (const auto& [key, point] : series) {
        const Key there = steps.empty() ? static_cast<Key>(times[row])
                                        : key_of_step(std::bit_cast<double>(steps[row]));
        if (there != key || values[row] != point.value_bits) {
            return false;
        }
        ++row;
    }
    return true;
}

// Counts, extremes and, of a summary, the last value.
bool sums_up(const SimAnswer& answer, const ReferenceModel::Series& series, bool is_summary) {
    uint64_t finite = 0;
    uint64_t nans = 0;
    uint64_t infinities = 0;
    double least = std::numeric_limits<double>::infinity();
    double most = -std::numeric_limits<double>::infinity();
    for (const auto& [key, point] : series) {
        const auto value = std::bit_cast<double>(point.value_bits);
        nans += std::isnan(value) ? 1U : 0U;
        infinities += std::isinf(value) ? 1U : 0U;
        if (std::isfinite(value)) {
            ++finite;
            least = std::min(least, value);
            most = std::max(most, value);
        }
    }
    if (sum_of(answer, "count") != finite || sum_of(answer, "nan") != nans ||
        sum_of(answer, "pinf") + sum_of(answer, "ninf") != infinities) {
        return false;
    }
    double least_there = std::numeric_limits<double>::infinity();
    double most_there = -std::numeric_limits<double>::infinity();
    for (const uint64_t bits : numbers_of(answer, "min")) {
        least_there = std::min(least_there, std::bit_cast<double>(bits));
    }
    for (const uint64_t bits : numbers_of(answer, "max")) {
        most_there = std::max(most_there, std::bit_cast<double>(bits));
    }
    if (least_there != least || most_there != most) {
        return false;
    }
    const std::vector<uint64_t> last = numbers_of(answer, "last");
    return !is_summary || (!last.empty() && last.back() == series.rbegin()->second.value_bits);
}

std::string describe(const SimAnswer& answer) {
    if (answer.error) {
        return answer.error->to_string();
    }
    std::string words;
    for (const ResultColumn& column : answer.columns) {
        words += column.name;
        for (const uint64_t number : numbers_of(answer, column.name)) {
            words += fmt::format(" {:x}", number);
        }
        words += "; ";
    }
    return words;
}

std::string describe(const ReferenceModel::Series& series) {
    std::string words = fmt::format("{} points", series.size());
    for (const auto& [key, point] : series) {
        words += fmt::format(" {}:{:x}", key, point.value_bits);
    }
    return words;
}

SimAnswer without_last_row(const SimAnswer& answer) {
    SimAnswer spoilt = answer;
    spoilt.blocks.clear();
    for (const ResultBlock& block : answer.blocks) {
        ResultBlock& fewer = spoilt.blocks.emplace_back(answer.columns);
        for (size_t column = 0; column < block.width(); ++column) {
            const ColumnCells& cells = block.column(column);
            for (uint32_t row = 0; row + 1 < cells.rows(); ++row) {
                ColumnCells& to = fewer.column(column);
                switch (cells.type()) {
                    case ColumnType::kText:
                        to.append_text("");
                        break;
                    case ColumnType::kTime:
                        to.append_time(cells.times()[row]);
                        break;
                    case ColumnType::kUint64:
                        to.append_uint64(cells.uint64s()[row]);
                        break;
                    default:
                        to.append_double(cells.doubles()[row]);
                        break;
                }
            }
        }
    }
    return spoilt;
}

}  // namespace

void World::ask() {
    Question question;
    question.client = any_client_index();
    Client& client = clients_[question.client];
    question.least = std::max(client.shown, client.changes->acknowledged());
    const ReferenceModel::Contents& known = client.changes->views()[question.least].contents;
    if (network_ == nullptr || known.empty()) {
        return send(client);
    }
    auto series = known.begin();
    std::advance(series, random_.below(known.size()));
    std::tie(question.run, question.metric) = series->first;
    question.kind = random_.below(std::size(kStages));
    question.text = fmt::format("{} @ {}{}", question.metric, question.run, kStages[question.kind]);
    question.answer = network_->ask(question.text);
    questions_.push_back(std::move(question));
    if (random_.coin()) {
        send_some(random_.below(4));
        store_.run();
    }
    look_at_answers();
}

void World::look_at_answers() {
    for (const Question& question : questions_) {
        const SimAnswer& answer = *question.answer;
        if (!answer.has_ended || is_wrong() || (answer.error && store_.files().powered_off())) {
            continue;
        }
        ++counts_.answers;
        const std::vector<StoreView>& views = clients_[question.client].changes->views();
        bool is_right = false;
        for (size_t i = question.least; i < views.size() && !is_right; ++i) {
            is_right = is_answered(question, views[i]);
        }
        if (!is_right) {
            std::string earlier = "never";
            for (size_t i = 0; i < question.least; ++i) {
                if (is_answered(question, views[i])) {
                    earlier = fmt::format("after change {}", i);
                }
            }
            const auto want = views.back().contents.find({question.run, question.metric});
            fail(fmt::format(
                "'{}' was answered as it never was from change {} to {}, but was {}: {}, and is {}",
                question.text, question.least, views.size() - 1, earlier, describe(answer),
                want == views.back().contents.end() ? "nothing" : describe(want->second)));
        }
    }
    std::erase_if(questions_, [](const Question& question) {
        return question.answer->has_ended || question.answer->is_lost;
    });
}

bool World::is_answered(const Question& question, const StoreView& view) const {
    const SimAnswer answer = spoils_answers_ && !question.answer->error
                                 ? without_last_row(*question.answer)
                                 : *question.answer;
    // An attempt is called by its number alone while there is a newer one.
    std::string run = question.run;
    const size_t number = run.find('#');
    const auto facts = view.facts.find(run.substr(0, number));
    if (number != std::string::npos && facts != view.facts.end() &&
        fmt::format("{}", facts->second.attempts.back()) == run.substr(number + 1)) {
        run.resize(number);
    }
    const auto series = view.contents.find({run, question.metric});
    if (series == view.contents.end()) {
        // No such run, attempt or metric, or one without points.
        return answer.error ? answer.error->code() == ErrorCode::kNotFound ||
                                  answer.error->code() == ErrorCode::kInvalidArgument
                            : sum_of(answer, "count") == 0 && numbers_of(answer, "value").empty();
    }
    if (answer.error) {
        return false;
    }
    return question.kind == 0 ? are_points(answer, series->second)
                              : sums_up(answer, series->second, question.kind == 2);
}

}  // namespace stepdb
