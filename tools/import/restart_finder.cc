#include "tools/import/restart_finder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace stepdb {

namespace {

constexpr double kIntegerMax = 9007199254740992.0;  // integers up to it have neighbours

double step_below(double step, bool is_integral) {
    return is_integral && std::fabs(step) <= kIntegerMax
               ? step - 1
               : std::nextafter(step, -std::numeric_limits<double>::infinity());
}

}  // namespace

// --- StepHistory ---

bool StepHistory::insert(double step) {
    if (kept_.empty() || step > kept_.back()) {
        lowest_ = kept_.empty() ? step : lowest_;
        kept_.push_back(step);
    } else {
        const auto at = std::lower_bound(kept_.begin(), kept_.end(), step);
        if (*at == step || (has_more_ && at == kept_.begin())) {
            lowest_ = std::min(lowest_, step);
            return false;
        }
        lowest_ = std::min(lowest_, step);
        kept_.insert(at, step);
    }
    if (kept_.size() >= 2 * kKeptMax) {
        kept_.erase(kept_.begin(), kept_.end() - static_cast<ptrdiff_t>(kKeptMax));
        has_more_ = true;
    }
    return true;
}

bool StepHistory::contains(double step) const {
    return std::ranges::binary_search(kept_, step) ||
           (has_more_ && step >= lowest_ && step < kept_.front());
}

size_t StepHistory::count_above(double low, double high) const {
    const auto begin = std::upper_bound(kept_.begin(), kept_.end(), low);
    const auto end = std::upper_bound(kept_.begin(), kept_.end(), high);
    return begin < end ? static_cast<size_t>(end - begin) : 0;
}

// --- RestartFinder ---

void RestartFinder::Part::add(double step, const std::vector<uint32_t>& metrics) {
    highest = touched.empty() ? step : std::max(highest, step);
    for (const uint32_t metric : metrics) {
        if (metric >= seen.size()) {
            seen.resize(metric + size_t{1});
        }
        Seen& its = seen[metric];
        if (its.points == 0) {
            touched.push_back(metric);
        }
        its.highest = its.points == 0 ? step : std::max(its.highest, step);
        ++its.points;
    }
}

void RestartFinder::begin_file(size_t file) {
    file_ = file;
    rows_ = 0;
    id_of_metric_.clear();
}

void RestartFinder::take_metrics(const LogRow& row, const std::vector<std::string>& metrics) {
    while (id_of_metric_.size() < metrics.size()) {
        const std::string& name = metrics[id_of_metric_.size()];
        id_of_metric_.push_back(
            ids_.emplace(name, static_cast<uint32_t>(ids_.size())).first->second);
    }
    metrics_.clear();
    for (const auto& [metric, value] : row.values) {
        metrics_.push_back(id_of_metric_[metric]);
    }
}

bool RestartFinder::gets_further(const Part& part, double step) const {
    return std::ranges::any_of(metrics_, [&](uint32_t metric) {
        return metric < part.seen.size() && part.seen[metric].points > 0 &&
               part.seen[metric].highest < step;
    });
}

bool RestartFinder::logs_again(const Part& part, double step) const {
    const bool has_seen = std::ranges::any_of(metrics_, [&](uint32_t metric) {
        return metric < part.seen.size() && part.seen[metric].points > 0;
    });
    return has_seen && !gets_further(part, step);
}

void RestartFinder::note_again(size_t at, double step) {
    const Part& before = parts_[at - 1];
    Part& part = parts_[at];
    bool has_again = false;
    for (const uint32_t metric : metrics_) {
        if (metric >= before.seen.size() || before.seen[metric].points == 0) {
            continue;
        }
        has_again = true;
        if (metric >= part.is_again.size()) {
            part.is_again.resize(metric + size_t{1});
        }
        if (part.is_again[metric] == 0) {
            part.is_again[metric] = 1;
            part.again_points += before.seen[metric].points;
        }
    }
    const bool rises = !part.reached || step > *part.reached;
    part.repeated += has_again && rises && steps_.contains(step) ? 1U : 0U;
    part.reached = std::max(part.reached.value_or(step), step);
}

// What note_again has counted, once the part before has become more.
void RestartFinder::count_again(size_t at) {
    const Part& before = parts_[at - 1];
    Part& part = parts_[at];
    part.again_points = 0;
    part.cut_points.reset();
    for (const uint32_t metric : part.touched) {
        part.again_points += metric < before.seen.size() ? before.seen[metric].points : 0;
    }
}

// Steps of others between its begin and its highest.
size_t RestartFinder::passed(const Part& part) const {
    const size_t steps = steps_.count_above(part.start.cut, *part.reached);
    return steps - std::min(steps, part.new_steps);
}

bool RestartFinder::is_whole(size_t at) {
    const Part& before = parts_[at - 1];
    Part& part = parts_[at];
    const size_t others = passed(part);
    if ((part.repeated < kStepsRepeated && others < kStepsPassed) ||
        (part.repeated + part.new_steps) * kThinning < others) {
        return false;
    }
    if (!part.cut_points) {
        part.cut_points = 0;
        for (const uint32_t metric : before.touched) {
            const Seen& its = before.seen[metric];
            *part.cut_points += its.highest >= part.start.step ? its.points : 0;
        }
    }
    return part.again_points * 2 > *part.cut_points;
}

// Whether it went over the same ground before the row at `step` got further.
bool RestartFinder::covers(size_t at, double step) const {
    const Part& part = parts_[at];
    const double highest = parts_[at - 1].highest;
    const double end =
        step > highest ? highest : std::nextafter(step, -std::numeric_limits<double>::infinity());
    const size_t left_out = steps_.count_above(*part.reached, end);
    return left_out * kThinning <= passed(part);
}

void RestartFinder::accept_first() {
    found_.push_back(parts_[1].start);
    parts_.erase(parts_.begin());
}

// A candidate was none: its rows came late.
void RestartFinder::merge(size_t at) {
    Part& into = parts_[at - 1];
    const Part& part = parts_[at];
    into.highest = std::max(into.highest, part.highest);
    into.seen.resize(std::max(into.seen.size(), part.seen.size()));
    for (const uint32_t metric : part.touched) {
        const Seen& late = part.seen[metric];
        Seen& its = into.seen[metric];
        if (its.points == 0) {
            into.touched.push_back(metric);
        }
        its.highest = its.points == 0 ? late.highest : std::max(its.highest, late.highest);
        its.points += late.points;
    }
    parts_.erase(parts_.begin() + static_cast<ptrdiff_t>(at));
    if (at < parts_.size()) {
        count_again(at);
    }
}

// Those that the row at `step` gets further than.
void RestartFinder::end_candidates(double step) {
    for (size_t at = 1; at < parts_.size();) {
        if (!gets_further(parts_[at - 1], step)) {
            ++at;
        } else if (at == 1 && is_whole(1) && covers(1, step)) {
            accept_first();
        } else {
            // What lies on top of it belongs to it.
            while (parts_.size() > at) {
                merge(parts_.size() - 1);
            }
        }
    }
}

void RestartFinder::begin_candidate(const LogRow& row) {
    if (parts_.size() == kPartsMax) {
        merge(kPartsMax - 1);  // were it whole, it would be the first
    }
    if (parts_.size() > 1) {
        parts_[1].was_whole = is_whole(1);
    }
    Part part;
    part.start.file = file_;
    part.start.row = rows_;
    part.start.step = *row.step;
    part.start.before = before_;
    part.start.cut = step_below(*row.step, is_integral_);
    part.start.place = row.place;
    parts_.push_back(std::move(part));
}

void RestartFinder::see(const LogRow& row, const std::vector<std::string>& metrics) {
    const double step = *row.step;
    take_metrics(row, metrics);
    is_integral_ = is_integral_ && std::trunc(step) == step;
    if (parts_.empty()) {
        parts_.emplace_back();
    }
    end_candidates(step);
    if (!parts_.back().touched.empty() && step < parts_.back().highest &&
        logs_again(parts_.back(), step)) {
        begin_candidate(row);
    }
    const bool is_new = !steps_.contains(step);
    for (size_t at = 1; at < parts_.size(); ++at) {
        note_again(at, step);
        parts_[at].new_steps += is_new ? 1U : 0U;
    }
    steps_.insert(step);
    parts_.back().add(step, metrics_);
    if (parts_.size() == kPartsMax && is_whole(2)) {
        // The log has jumped back again; what was behind the first jump is complete.
        parts_[1].was_whole ? accept_first() : merge(1);
    }
    before_ = step;
    ++rows_;
}

std::vector<LogRestart> RestartFinder::finish() {
    if (parts_.size() > 1 && is_whole(1)) {
        accept_first();
    }
    return std::move(found_);
}

}  // namespace stepdb
