#include "tools/bench/store_figures.h"

#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "tools/bench/measured.h"

namespace stepdb {

namespace {

constexpr std::chrono::milliseconds kFiguresLookAgain{100};
constexpr double kSettleSecondsMax = 3600;

}  // namespace

Result<StoreFigures> ask_store_figures(Client& client) {
    std::map<std::string, double, std::less<>> facts;
    AnswerHandler handler;
    handler.on_block = [&facts](const ResultBlock& block) {
        // what, value, reads_as
        const auto names = block.column(0).texts();
        for (uint32_t row = 0; row < block.rows(); ++row) {
            facts[std::string(names[row])] = block.column(1).doubles()[row];
        }
        return true;
    };
    const Result<QueryEnd> end = client.query("stats", handler);
    if (!end) {
        return end.error();
    }
    const auto count = [&facts](std::string_view what) {
        const auto found = facts.find(what);
        return found == facts.end() ? 0 : static_cast<uint64_t>(found->second);
    };
    StoreFigures store;
    store.log_bytes = count("live log bytes");
    store.rows_in_memory_bytes = count("rows in memory bytes");
    store.pieces_mean = facts["blocks of a series, mean"];
    store.pieces_most = count("blocks of a series, most");
    store.segment_bytes = count("segment bytes");
    store.write_amplification = facts["write amplification"];
    store.is_working = count("flushing now") != 0 || count("merging now") != 0;
    store.is_settled = count("settled") != 0;
    return store;
}

Result<Settling> wait_until_settled(Client& client) {
    const auto begun = std::chrono::steady_clock::now();
    Settling settling;
    for (;;) {
        const double before = settling.seconds;
        TRY_ASSIGN(settling.store, ask_store_figures(client));
        settling.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        settling.working_seconds += settling.store.is_working ? settling.seconds - before : 0;
        if (settling.store.is_settled) {
            return settling;
        }
        if (is_interrupted()) {
            return Error(ErrorCode::kCancelled, "interrupted");
        }
        if (settling.seconds > kSettleSecondsMax) {
            return make_error(ErrorCode::kUnavailable,
                              "the store has not settled for {:.0f} s; `stepdb stats` says what of",
                              settling.seconds);
        }
        std::this_thread::sleep_for(kFiguresLookAgain);
    }
}

}  // namespace stepdb
