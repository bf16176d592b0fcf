// `across` and `group by`: the values that the series of a group have in a bucket, or at a key.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "engine/query_memory.h"
#include "query/answer.h"
#include "query/operators/combined.h"
#include "query/operators/evaluator.h"
#include "query/operators/name_check.h"
#include "query/operators/pipeline.h"
#include "query/operators/series_buckets.h"
#include "query/operators/value_column.h"
#include "query/parser.h"
#include "query/run_attributes.h"
#include "query/sort_in_turns.h"

namespace stepdb {

namespace {

// What adding a bucket to a place costs, in values looked at.
constexpr uint64_t kBucketWork = 4;

// A key of groups: a capture, or an expression on series.
struct BoundKey {
    std::string name;
    std::string capture;  // empty: none
    uint32_t root = 0;    // of the expression
};

struct Group {
    std::vector<Value> keys;
    std::vector<size_t> series;  // of the selection
};

// Series of which the keys are the same.
class Grouper {
  public:
    Grouper(ExecutionContext& context, const CombineStage& stage)
        : context_(context), stage_(stage), plan_(context.bound.query.text, context.now_us) {}

    Task<Status> group();

    const std::vector<BoundKey>& keys() const { return keys_; }
    std::vector<Group>& groups() { return groups_; }

  private:
    Status bind(const GroupKey& key);
    Status bind_glob(const GroupKey& key);
    Status bind_name(const Pattern& what);
    Status add(std::string name, bool is_attribute, SourceSpan span);
    bool is_capture(const std::string& name) const;
    std::set<std::string> attribute_names() const;
    bool varies(const std::string& attribute) const;
    Task<Result<std::vector<Value>>> keys_of(ExpressionEvaluator& evaluator, size_t series) const;

    ExecutionContext& context_;
    const CombineStage& stage_;
    ExpressionPlan plan_;
    std::vector<BoundKey> keys_;
    std::vector<Group> groups_;
};

bool keys_before(const Group& a, const Group& b) {
    for (size_t i = 0; i < a.keys.size(); ++i) {
        if (sorts_before(a.keys[i], b.keys[i], false)) {
            return true;
        }
        if (sorts_before(b.keys[i], a.keys[i], false)) {
            return false;
        }
    }
    return false;
}

Task<Status> Grouper::group() {
    Status done;
    for (const GroupKey& key : stage_.keys) {
        done = bind(key);
        if (!done) {
            co_return done;
        }
    }
    done = check_names(plan_, context_);
    if (!done) {
        co_return done;
    }
    ExpressionEvaluator evaluator(context_, plan_);
    std::vector<Group> single;
    for (size_t i = 0; i < context_.selection.series.size(); ++i) {
        Result<std::vector<Value>> keys = co_await keys_of(evaluator, i);
        if (!keys) {
            co_return keys.error();
        }
        Group& group = single.emplace_back();
        group.keys = *std::move(keys);
        group.series.push_back(i);
    }
    evaluator.append_notes();
    std::ranges::stable_sort(single, keys_before);
    for (Group& group : single) {
        if (groups_.empty() || keys_before(groups_.back(), group)) {
            groups_.push_back(std::move(group));
        } else {
            groups_.back().series.push_back(group.series.front());
        }
    }
    co_return done;
}

Task<Result<std::vector<Value>>> Grouper::keys_of(ExpressionEvaluator& evaluator,
                                                  size_t series) const {
    const Series& of = context_.selection.series[series];
    ExpressionRow row(of.run, &of);
    std::vector<Value> values;
    for (const BoundKey& key : keys_) {
        if (!key.capture.empty()) {
            const std::string* captured = of.find_capture(key.capture);
            values.push_back(captured == nullptr ? Value() : Value::of_text(*captured));
            continue;
        }
        Result<Value> value = co_await evaluator.evaluate(key.root, row);
        if (!value) {
            co_return value.error();
        }
        values.push_back(*std::move(value));
    }
    co_return values;
}

Status Grouper::bind(const GroupKey& key) {
    return key.what.kind == PatternKind::kExact ? bind_name(key.what) : bind_glob(key);
}

bool Grouper::is_capture(const std::string& name) const {
    return std::ranges::any_of(context_.selection.series, [&](const Series& series) {
        return series.find_capture(name) != nullptr;
    });
}

Status Grouper::bind_name(const Pattern& what) {
    const std::string_view written =
        std::string_view(context_.bound.query.text).substr(what.span.offset, what.span.bytes);
    const bool is_quoted = written.starts_with('"') || written.starts_with('\'');
    if (!is_quoted && is_capture(what.text)) {
        keys_.push_back({what.text, what.text, 0});
        return {};
    }
    std::vector<std::string> fields = field_names(ExpressionScope::kRun);
    fields.insert(fields.end(), {"metric", "axis"});
    const bool is_field = std::ranges::find(fields, what.text) != fields.end();
    return add(what.text, is_quoted || !is_field, what.span);
}

Status Grouper::add(std::string name, bool is_attribute, SourceSpan span) {
    Expression expression;
    ExpressionNode& node = expression.nodes.emplace_back();
    node.span = span;
    node.what = NameTerm{name, is_attribute};
    expression.span = span;
    TRY_ASSIGN(const uint32_t root, plan_.add(expression, ExpressionScope::kSeries));
    keys_.push_back({std::move(name), {}, root});
    return {};
}

std::set<std::string> Grouper::attribute_names() const {
    std::set<std::string> names;
    for (const Series& series : context_.selection.series) {
        for (const auto& attribute : context_.bound.runs[series.run]->run->all_attributes()) {
            names.insert(attribute.first);
        }
    }
    return names;
}

// Whether the runs of the selected series differ in it.
bool Grouper::varies(const std::string& attribute) const {
    std::optional<Value> first;
    for (const Series& series : context_.selection.series) {
        Value value = find_attribute(*context_.bound.runs[series.run], attribute, context_.source,
                                     context_.now_us);
        if (!first) {
            first = std::move(value);
        } else if (sorts_before(*first, value, false) || sorts_before(value, *first, false)) {
            return true;
        }
    }
    return false;
}

// The attributes that a glob or regex selects and that are not everywhere the same.
Status Grouper::bind_glob(const GroupKey& key) {
    const std::string& text = context_.bound.query.text;
    TRY_ASSIGN(const NameMatcher matcher, NameMatcher::compile(key.what, text));
    std::vector<NameMatcher> excepted;
    for (const Pattern& pattern : key.except) {
        TRY_ASSIGN(NameMatcher except, NameMatcher::compile(pattern, text));
        excepted.push_back(std::move(except));
    }
    std::vector<bool> used(excepted.size());
    bool is_any = false;
    const std::set<std::string> names = attribute_names();
    for (const std::string& name : names) {
        if (!matcher.matches(name)) {
            continue;
        }
        is_any = true;
        bool is_out = false;
        for (size_t i = 0; i < excepted.size(); ++i) {
            if (excepted[i].matches(name)) {
                is_out = true;
                used[i] = true;
            }
        }
        if (!is_out && varies(name)) {
            TRY(add(name, true, key.what.span));
        }
    }
    const std::vector<std::string> known(names.begin(), names.end());
    for (size_t i = 0; i < excepted.size(); ++i) {
        const std::string* exact = excepted[i].exact();
        if (!used[i] && exact != nullptr && !context_.selection.series.empty()) {
            return query_error(text, key.except[i].span,
                               fmt::format("'{}' has no attribute '{}' to take out{}",
                                           printable(key.what.text, 80), printable(*exact, 80),
                                           did_you_mean(*exact, known)),
                               ErrorCode::kNotFound);
        }
    }
    if (!is_any && !context_.selection.series.empty()) {
        context_.notes.push_back(fmt::format("no attribute of the selected runs matches '{}'",
                                             printable(key.what.text, 80)));
    }
    return {};
}

// The values at one key.
struct Place {
    Key key = 0;
    CombinedValues values;
};

class CombinedAnswer : public Answer {
  public:
    CombinedAnswer(ExecutionContext& context, const CombineStage& stage, Grouper grouper,
                   std::optional<SeriesBuckets> buckets, Statistic statistic, XColumn x)
        : context_(context),
          stage_(stage),
          groups_(std::move(grouper.groups())),
          buckets_(std::move(buckets)),
          statistic_(statistic),
          x_(x),
          needs_(needs_of(stage.combinations)),
          charge_(context.memory) {
        for (size_t i = 0; i < grouper.keys().size(); ++i) {
            KindsSeen seen;
            for (const Group& group : groups_) {
                seen.see(group.keys[i]);
            }
            columns_.emplace_back(grouper.keys()[i].name, seen.type());
        }
        keys_ = columns_.size();
        if (buckets_) {
            columns_.emplace_back("lo", x_type(x));
            columns_.emplace_back("hi", x_type(x));
        } else {
            columns_.emplace_back(std::string(x_name(x)), x_type(x));
        }
        for (const Combination& combination : stage.combinations) {
            columns_.emplace_back(combination.name, combination.kind == Combination::Kind::kCount
                                                        ? ColumnType::kUint64
                                                        : ColumnType::kFloat64);
        }
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return keys_ + 1; }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (buckets_ && !is_prepared_) {
            const Status prepared = co_await buckets_->prepare();
            if (!prepared) {
                co_return prepared.error();
            }
        }
        is_prepared_ = true;
        block = ResultBlock(columns_);
        while (block.rows() < kResultBatchRows) {
            if (at_ == places_.size()) {
                if (group_ == groups_.size() || (buckets_ && !buckets_->has_grid())) {
                    break;
                }
                const Status combined = co_await combine(groups_[group_++]);
                if (!combined) {
                    co_return combined.error();
                }
                continue;
            }
            append_row(block, places_[at_], at_);
            ++at_;
        }
        if (block.rows() == 0) {
            append_note();
        }
        co_return block.rows() > 0;
    }

  private:
    Task<Status> combine(const Group& group) {
        places_.clear();
        at_ = 0;
        kept_values_ = 0;
        if (buckets_) {
            places_.resize(buckets_->grid().buckets());
        }
        for (const size_t number : group.series) {
            const Series& series = context_.selection.series[number];
            const uint64_t before = left_out_points_;
            Status added;
            if (buckets_) {
                added = co_await add_buckets(series);
            } else {
                added = co_await add_points(series);
            }
            if (added) {
                added = charge_query_memory(
                    charge_, 2 * (places_.size() * sizeof(Place) + kept_values_ * sizeof(double)));
            }
            if (!added) {
                co_return added;
            }
            left_out_series_ += left_out_points_ > before ? 1U : 0U;
        }
        for (Place& place : places_) {
            std::ranges::sort(place.values.values);
            co_await context_.turns.after(kSortedRowWork * place.values.values.size());
        }
        co_return Status();
    }

    Task<Status> add_buckets(const Series& series) {
        Status filled = co_await buckets_->fill(series, of_series_);
        if (!filled) {
            co_return filled;
        }
        const bool is_mean = statistic_ == Statistic::kMean;  // as it is unless another is named
        for (size_t i = 0; i < of_series_.size(); ++i) {
            const Bucket& bucket = of_series_[i];
            left_out_points_ += bucket.points() - bucket.count;
            if (is_mean && bucket.count > 0) {
                add(places_[i], bucket.mean());
            } else if (!is_mean && is_known(bucket, statistic_)) {
                add(places_[i], value_of(bucket, statistic_));
            }
        }
        co_await context_.turns.after(kBucketWork * of_series_.size());
        co_return filled;
    }

    // Goes through the places of the series before and the points of this one side by side.
    Task<Status> add_points(const Series& series) {
        const std::unique_ptr<SeriesCursor> cursor =
            make_pipeline(context_, series, context_.plan.of(series.axis).pipeline);
        std::vector<Place> merged;
        merged.reserve(places_.size());
        size_t next = 0;
        Bucket pending;  // points of one key: behind `x` there can be several
        const auto take = [&] {
            const Key key = pending.first_key;
            while (next < places_.size() && places_[next].key < key) {
                merged.push_back(std::move(places_[next++]));
            }
            if (next < places_.size() && places_[next].key == key) {
                merged.push_back(std::move(places_[next++]));
            } else {
                merged.emplace_back().key = key;
            }
            left_out_points_ += pending.points() - pending.count;
            if (pending.count > 0) {
                // One value stays what it is, -0 too.
                add(merged.back(), pending.count == 1 ? pending.min : pending.mean());
            }
            pending = Bucket();
        };
        while (true) {
            const Result<bool> more = co_await cursor->next(batch_);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            for (size_t i = 0; i < batch_.size(); ++i) {
                if (pending.points() > 0 && pending.first_key != batch_.keys[i]) {
                    take();
                }
                pending.add(batch_.keys[i], batch_.values[i]);
            }
            const Status charged =
                charge_query_memory(charge_, 2 * ((merged.size() + places_.size()) * sizeof(Place) +
                                                  kept_values_ * sizeof(double)));
            if (!charged) {
                co_return charged;
            }
        }
        if (pending.points() > 0) {
            take();
        }
        std::move(places_.begin() + static_cast<ptrdiff_t>(next), places_.end(),
                  std::back_inserter(merged));
        places_ = std::move(merged);
        co_return Status();
    }

    void add(Place& place, double value) {
        if (std::isfinite(value)) {
            place.values.add(value, needs_);
            kept_values_ += needs_.values ? 1 : 0;
        }
    }

    void append_row(ResultBlock& block, const Place& place, size_t number) const {
        const Group& group = groups_[group_ - 1];
        for (size_t i = 0; i < keys_; ++i) {
            append_value(block.column(i), group.keys[i]);
        }
        size_t column = keys_;
        if (buckets_) {
            const auto bucket = static_cast<uint32_t>(number);
            append_x(block.column(column++), x_, buckets_->grid().edge(bucket));
            append_x(block.column(column++), x_, buckets_->grid().edge(bucket + 1));
        } else {
            append_x(block.column(column++), x_, place.key);
        }
        for (const Combination& combination : stage_.combinations) {
            ColumnCells& cells = block.column(column++);
            if (combination.kind == Combination::Kind::kCount) {
                cells.append_uint64(place.values.moments.count);
            } else if (place.values.moments.count == 0) {
                cells.append_null();
            } else {
                cells.append_double(place.values.value(combination));
            }
        }
    }

    void append_note() {
        const std::string_view text = context_.bound.query.text;
        if (left_out_series_ > 0) {
            context_.notes.push_back(fmt::format("`{}` left out {} of {} series that {} not finite",
                                                 text.substr(stage_.span.offset, stage_.span.bytes),
                                                 counted(left_out_points_, "point"),
                                                 left_out_series_,
                                                 left_out_points_ == 1 ? "is" : "are"));
            left_out_series_ = 0;
        }
    }

    ExecutionContext& context_;
    const CombineStage& stage_;
    std::vector<Group> groups_;
    std::optional<SeriesBuckets> buckets_;  // unset: points at equal keys are combined
    Statistic statistic_;                   // to which a bucket of a series is reduced
    XColumn x_;
    CombinedNeeds needs_;
    MemoryCharge charge_;
    std::vector<ResultColumn> columns_;
    size_t keys_ = 0;  // columns
    bool is_prepared_ = false;
    size_t group_ = 0;           // next to combine
    std::vector<Place> places_;  // of the group before, in the order of keys
    size_t at_ = 0;              // next of places_ to give
    size_t kept_values_ = 0;     // in places_
    uint64_t left_out_points_ = 0;
    uint64_t left_out_series_ = 0;
    std::vector<Bucket> of_series_;
    Points batch_;
};

// The one statistic to which buckets are reduced.
Result<Statistic> find_statistic(const ExecutionContext& context, const SeriesStages& stages,
                                 const BucketsShape& shape) {
    const std::string& text = context.bound.query.text;
    if (shape.is_all) {
        return Statistic::kMean;
    }
    if (shape.statistics.size() > 1) {
        return query_error(text, stages.shape_span,
                           "what is combined is one value for each bucket: name one statistic, or "
                           "none for the mean");
    }
    if (is_key(shape.statistics[0])) {
        return query_error(text, stages.shape_span,
                           fmt::format("places are not combined, and `{}` is one",
                                       statistic_name(shape.statistics[0])));
    }
    return shape.statistics[0];
}

}  // namespace

Task<Result<std::unique_ptr<Answer>>> make_combined_answer(ExecutionContext& context,
                                                           const SeriesStages& stages) {
    Grouper grouper(context, *stages.combine);
    const Status grouped = co_await grouper.group();
    if (!grouped) {
        co_return grouped.error();
    }
    const auto* shape = std::get_if<BucketsShape>(&stages.shape);
    if (shape == nullptr) {
        const Result<XColumn> x =
            common_x(context, stages.combine->keys.empty() ? "`across`" : "`group by`");
        if (!x) {
            co_return x.error();
        }
        co_return Result<std::unique_ptr<Answer>>(std::make_unique<CombinedAnswer>(
            context, *stages.combine, std::move(grouper), std::nullopt, Statistic::kMean, *x));
    }
    const Result<Statistic> statistic = find_statistic(context, stages, *shape);
    if (!statistic) {
        co_return statistic.error();
    }
    BucketsShape reduced = *shape;
    reduced.statistics = {*statistic};
    reduced.is_all = false;
    Result<SeriesBuckets> buckets = SeriesBuckets::create(context, reduced);
    if (!buckets) {
        co_return buckets.error();
    }
    const XColumn x = buckets->column();
    co_return Result<std::unique_ptr<Answer>>(std::make_unique<CombinedAnswer>(
        context, *stages.combine, std::move(grouper), *std::move(buckets), *statistic, x));
}

}  // namespace stepdb
