// Query text, and behind a zero byte names and values of parameters with zero bytes between them,
// all the way: parse, bind to the runs of a small store, plan, execute, render.
#include <limits>

#include "engine/model/limits.h"
#include "query/parser.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/query/answer_table.h"
#include "tests/query/map_store.h"
#include "tests/support/sim_executor.h"

namespace stepdb {

namespace {

// Answers are pulled this far: enough for every kind of row, little enough for many executions.
constexpr int kBlocksMax = 4;

MapStore make_store() {
    MapStore store;
    const double infinity = std::numeric_limits<double>::infinity();
    for (const std::string run : {"run-1", "run-2", "run-10"}) {
        for (int step = -2; step < 12; ++step) {
            const double value = step == 3 ? infinity : 1.0 / (step + 0.5);
            for (const std::string metric : {"train/loss", "val/loss", "layers/2/norm", "x"}) {
                store.add_point("gpt", run, metric, Axis::kStepped, key_of_step(step),
                                {step * 1'000'000, value});
            }
            store.add_point("gpt", run, "gpu/temp", Axis::kTimed, step * 1'000'000,
                            {step * 1'000'000, std::numeric_limits<double>::quiet_NaN()});
        }
    }
    store.add_point("a", "r", "x", Axis::kStepped, key_of_step(1e300), {0, -1e308});
    store.add_point("a", "r", "x", Axis::kStepped, key_of_step(-1e300), {0, 1e308});
    store.add_point("a", "r", "t", Axis::kTimed, kKeyMin, {kKeyMin, 1});
    store.add_point("a", "r", "t", Axis::kTimed, kKeyMax, {kKeyMax, 2});
    CHECK(store.finish("a", "r", RunState::kFailed).has_value());
    std::vector<AttributeChange> changes(4);
    changes[0].name = "config/lr";
    changes[0].value.emplace<double>(3e-4);
    changes[1].name = "config/n";
    changes[1].value.emplace<int64_t>(std::numeric_limits<int64_t>::min());
    changes[2].name = "config/opt";
    changes[2].value.emplace<std::string>("adam");
    changes[3].kind = AttributeChange::Kind::kAddToSet;
    changes[3].name = kTagsAttribute;
    changes[3].value.emplace<StringSet>(StringSet{"sweep", "b"});
    CHECK(store.set_attributes("gpt", "run-1", changes).has_value());
    return store;
}

void check_error(const Error& error) {
    CHECK(!error.message().empty(), "an error without words");
}

void execute(MapStore& store, BoundQuery bound) {
    auto execution = QueryExecution::create(std::move(bound), store, 5'000'000);
    SimExecutor executor;
    const Status prepared = run_task(executor, execution->prepare());
    if (!prepared) {
        check_error(prepared.error());
        return;
    }
    const size_t columns = execution->columns().size();
    CHECK(columns > 0, "an answer without columns");
    for (int i = 0; i < kBlocksMax; ++i) {
        ResultBlock block;
        const Result<bool> more = run_task(executor, execution->next(block));
        if (!more) {
            check_error(more.error());
            return;
        }
        if (!*more) {
            return;
        }
        CHECK(block.rows() > 0 && block.rows() <= kResultBlockRowsMax, "{} rows", block.rows());
        AnswerLines lines;
        append_lines(lines, block);
        CHECK(lines.size() == block.rows(), "{} lines of {} rows", lines.size(), block.rows());
    }
}

std::string_view take_piece(std::string_view& rest) {
    const size_t end = rest.find('\0');
    const std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return piece;
}

}  // namespace

void fuzz_one(Bytes input) {
    static MapStore store = make_store();
    std::string_view rest = as_text(input);
    const std::string_view text = take_piece(rest);
    QueryParameters parameters;
    while (!rest.empty()) {
        const std::string_view name = take_piece(rest);
        if (const Status added = parameters.add(name, take_piece(rest)); !added) {
            check_error(added.error());
        }
    }
    Result<Query> query = parse_query(text, parameters);
    if (!query) {
        check_error(query.error());
        return;
    }
    Result<BoundQuery> bound = bind_query(std::move(*query), store.runs());
    if (!bound) {
        check_error(bound.error());
        return;
    }
    execute(store, std::move(*bound));
}

}  // namespace stepdb
