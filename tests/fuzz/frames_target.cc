// Frames. The first byte chooses: the decoder of one frame's body by itself, or a whole connection,
// before a fake engine or before a real one on a simulated disk. Whatever came, what the session
// sends must be frames that a client can read, and what the engine took must be there after a
// crash.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "engine/model/life_frame.h"
#include "engine/model/rows.h"
#include "net/engine_bridge.h"
#include "net/engine_query_service.h"
#include "net/message.h"
#include "net/session.h"
#include "net/testing/executors.h"
#include "net/testing/fake_engine.h"
#include "net/testing/fake_query_service.h"
#include "tests/fuzz/fix_checksums.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sim_store.h"

namespace stepdb {

namespace {

bool same_bytes(Bytes a, Bytes b) {
    return std::ranges::equal(a, b);
}

// What decodes must encode to the same body.
void check_same(Bytes body, const std::vector<std::byte>& frame) {
    CHECK(same_bytes(frame_body(frame), body), "{} bytes became {}", body.size(),
          frame.size() - kFrameHeaderBytes);
}

// --- Bodies ---

void decode_schema_frame(Bytes body) {
    const auto frame = SchemaFrame::decode(body);
    if (!frame) {
        return;
    }
    const auto schema = Schema::decode(frame->piece);
    if (schema) {
        CHECK(same_bytes(schema->encode(), frame->piece), "a schema of two encodings");
    }
}

void read_rows(const RowsView& view) {
    size_t value_bytes = 0;
    int64_t times = 0;
    for (uint32_t row = 0; row < view.rows(); ++row) {
        if (view.has_steps()) {
            CHECK(step_of_key(key_of_step(view.step(row))) == view.step(row), "row {}", row);
        }
        if (view.has_times()) {
            times ^= view.time(row);
        }
        for (uint32_t column = 0; column < view.width(); ++column) {
            if (view.is_present(row, column)) {
                value_bytes += view.is_float64(column) ? size_t{8} : size_t{4};
            }
        }
    }
    CHECK(value_bytes == view.values().size(), "{} bytes of values, {} of columns; times {}",
          view.values().size(), value_bytes, times);
}

// The first byte says what the schema is: an axis and a width.
void decode_rows_frame(Bytes body) {
    if (body.empty()) {
        return;
    }
    const auto choice = static_cast<uint8_t>(body[0]);
    std::vector<std::string> metrics;
    for (int i = 0; i <= choice / 2; ++i) {
        metrics.push_back(fmt::format("m{}", i));
    }
    const Schema schema =
        Schema::create(choice % 2 == 0 ? Axis::kStepped : Axis::kTimed, metrics).value();
    // The caller has looked the schema up by the hash in the frame.
    std::vector<std::byte> rows(body.begin() + 1, body.end());
    if (rows.size() >= 24) {
        std::ranges::copy(schema.hash().bytes, rows.begin() + 8);
    }
    RowPosition bad;
    const auto view = RowsView::decode(rows, schema, bad);
    if (view) {
        read_rows(*view);
    }
}

void decode_result(Bytes body) {
    const std::array<ResultColumn, 5> columns = {
        ResultColumn("run", ColumnType::kText), ResultColumn("step", ColumnType::kStep),
        ResultColumn("value", ColumnType::kFloat64), ResultColumn("time", ColumnType::kTime),
        ResultColumn("count", ColumnType::kUint64)};
    if (body.empty()) {
        return;
    }
    const size_t width = static_cast<size_t>(body[0]) % columns.size() + 1;
    const auto shown = std::span(columns).first(width);
    const auto block = decode_result_block(body.subspan(1), shown);
    if (!block) {
        return;
    }
    CHECK(block->is_complete(), "an incomplete block of {} rows", block->rows());
    const auto again = encode_result_block(*block, 1);
    CHECK(again.has_value(), "{}", again.error().to_string());
    CHECK(decode_result_block(frame_body(*again), shown)->rows() == block->rows(), "rows");
}

void decode_life_frame(FrameType type, Bytes body) {
    const auto check = [body](const auto& decoded, const auto& encode) {
        if (decoded) {
            check_same(body, encode(*decoded));
        }
    };
    switch (type) {
        case FrameType::kSetAttributes:
            return check(SetAttributesFrame::decode(body),
                         [](const auto& frame) { return encode_set_attributes_frame(frame, 1); });
        case FrameType::kRestartRun:
            return check(RestartRunFrame::decode(body),
                         [](const auto& frame) { return encode_restart_run_frame(frame, 1); });
        case FrameType::kDiscardAttempt:
            return check(DiscardAttemptFrame::decode(body),
                         [](const auto& frame) { return encode_discard_attempt_frame(frame, 1); });
        case FrameType::kDeleteMetrics:
            return check(DeleteMetricsFrame::decode(body),
                         [](const auto& frame) { return encode_delete_metrics_frame(frame, 1); });
        case FrameType::kSetRetention:
            return check(SetRetentionFrame::decode(body),
                         [](const auto& frame) { return encode_set_retention_frame(frame); });
        default:
            return check(HandleFrame::decode(body),
                         [](const auto& frame) { return encode_heartbeat_frame(frame.handle, 1); });
    }
}

void decode_body(FrameType type, Bytes body) {
    switch (type) {
        case FrameType::kHello:
            if (const auto hello = HelloMessage::decode(body)) {
                check_same(body, encode_hello(*hello));
            }
            return;
        case FrameType::kSchema:
            return decode_schema_frame(body);
        case FrameType::kOpenRun:
            if (const auto open = OpenRunFrame::decode(body)) {
                check_same(body, encode_open_run_frame(*open));
            }
            return;
        case FrameType::kRows:
            return decode_rows_frame(body);
        case FrameType::kFinishRun:
            if (const auto finish = FinishRunFrame::decode(body)) {
                check_same(body, encode_finish_run_frame(*finish, 1));
            }
            return;
        case FrameType::kSetAttributes:
        case FrameType::kRestartRun:
        case FrameType::kHeartbeat:
        case FrameType::kDiscardAttempt:
        case FrameType::kDeleteMetrics:
        case FrameType::kDeleteRun:
        case FrameType::kSetRetention:
            return decode_life_frame(type, body);
        case FrameType::kQuery:
        case FrameType::kWatch:
            if (const auto query = decode_query(body)) {
                // Parameters may have come in another order.
                const auto again = encode_query(query->text, 1, query->parameters);
                const auto back = decode_query(frame_body(again));
                CHECK(back && back->text == query->text &&
                          back->parameters.values() == query->parameters.values() &&
                          again.size() == kFrameHeaderBytes + body.size(),
                      "a query of {} bytes comes back otherwise", body.size());
            }
            return;
        case FrameType::kBackup:
            if (const auto directory = decode_backup(body)) {
                check_same(body, encode_backup(*directory, 1));
            }
            return;
        case FrameType::kHelloOk:
            static_cast<void>(HelloOkMessage::decode(body).has_value());
            return;
        case FrameType::kAck:
            if (const auto ack = AckMessage::decode(body)) {
                check_same(body, encode_ack(*ack, 1));
            }
            return;
        case FrameType::kRunOpened:
            static_cast<void>(decode_run_opened(body).has_value());
            return;
        case FrameType::kError:
            static_cast<void>(ErrorMessage::decode(body).has_value());
            return;
        case FrameType::kResultColumns:
            static_cast<void>(decode_result_columns(body).has_value());
            return;
        case FrameType::kResultBlock:
            return decode_result(body);
        case FrameType::kResultEnd:
            static_cast<void>(QueryEnd::decode(body).has_value());
            return;
        case FrameType::kResultUpdate:
            static_cast<void>(ResultUpdate::decode(body).has_value());
            return;
        case FrameType::kCancel:
            return;
    }
}

// --- Connections ---

// What a client would make of it.
void check_sent(Bytes sent) {
    while (!sent.empty()) {
        const auto header = parse_frame_header(sent);
        CHECK(header.has_value(), "{}", header.error().to_string());
        CHECK(header->length <= sent.size(), "{} of {} bytes", header->length, sent.size());
        const Bytes frame = sent.first(header->length);
        const Status intact = verify_frame(*header, frame);
        CHECK(intact.has_value(), "{}", intact.error().to_string());
        if (header->type == FrameType::kError) {
            const auto error = ErrorMessage::decode(frame_body(frame));
            CHECK(error.has_value() && !error->message.empty(), "an error that says nothing");
        }
        sent = sent.subspan(frame.size());
    }
}

// `run` lets happen what can, and is true if anything did.
template <typename Run>
void converse(const SessionServices& services, Bytes input, size_t piece, Run run) {
    Session session(services, [] {});
    const auto receive = [&] {
        while (run() || session.has_output()) {
            while (session.has_output()) {
                const std::vector<std::byte> sent = session.take_output();
                CHECK(!sent.empty(), "has_output() without output");
                check_sent(sent);
            }
        }
    };
    while (!input.empty() && !session.finished()) {
        if (!session.wants_input()) {
            receive();
            CHECK(session.wants_input() || session.finished(), "stuck with {} bytes", input.size());
            continue;
        }
        const MutableBytes space = session.prepare();
        const size_t count = std::min({space.size(), input.size(), piece});
        std::memcpy(space.data(), input.data(), count);
        session.commit(count);
        input = input.subspan(count);
        if (count % 3 == 0) {
            receive();
        }
    }
    if (piece % 2 == 0) {
        session.abandon();
    } else {
        session.end_input();
    }
    receive();
    CHECK(session.finished(), "everything was said and the session has not ended");
}

void converse_with_fake(Bytes input, size_t piece) {
    ManualExecutor executor;
    FakeEngine engine(executor);
    FakeQueryService queries(executor);
    EngineBridge bridge(engine, executor, executor);
    FlowBudget receive(kReceiveBytesMax, [] {});
    FlowBudget send(kReceiveBytesMax, [] {});
    SessionServices services(bridge, queries, receive, send);
    const auto run = [&] { return executor.run(); };
    converse(services, input, piece, run);
    run();
    CHECK(receive.used() == 0 && send.used() == 0, "{} and {} bytes are still charged",
          receive.used(), send.used());
}

void converse_with_engine(Bytes input, size_t piece) {
    SimDisk disk;
    SimStore store(disk, piece);
    CHECK(store.open().has_value(), "a new store");
    {
        SimExecutor& executor = store.executor();
        EngineBridge bridge(store.engine(), executor, executor);
        const QueryEnvironment environment(executor, executor, executor, store.files(),
                                           store.clock());
        EngineQueryService queries(store.engine(), environment);
        FlowBudget receive(kReceiveBytesMax, [] {});
        FlowBudget send(kReceiveBytesMax, [] {});
        SessionServices services(bridge, queries, receive, send);
        const auto run = [&] {
            bool had_work = false;
            while (executor.run_one()) {
                had_work = true;
            }
            return had_work;
        };
        converse(services, input, piece, run);
        run();
        CHECK(receive.used() == 0 && send.used() == 0, "{} and {} bytes are still charged",
              receive.used(), send.used());
    }
    const auto before = store.contents();
    CHECK(before.has_value(), "{}", before.error().to_string());
    store.crash(CrashKind::kPowerCut);
    const Status again = store.open();
    CHECK(again.has_value(), "{}", again.error().to_string());
    const auto after = store.contents();
    CHECK(after.has_value(), "{}", after.error().to_string());
    const std::string difference = describe_difference(*before, *after);
    CHECK(difference.empty(), "{}", difference);
}

std::vector<std::byte> hello_frame() {
    HelloMessage hello;
    hello.writer.bytes[0] = std::byte{1};
    return encode_hello(hello);
}

}  // namespace

// u8 what, u8 how, then a body or a stream of frames.
void fuzz_one(Bytes input) {
    if (input.size() < 2) {
        return;
    }
    const auto what = static_cast<uint8_t>(input[0]);
    const auto how = static_cast<uint8_t>(input[1]);
    const Bytes rest = input.subspan(2);
    if (what % 4 == 0) {
        decode_body(static_cast<FrameType>(how), rest);
        return;
    }
    std::vector<std::byte> stream;
    if (how % 2 == 0) {
        stream = hello_frame();
    }
    stream.insert(stream.end(), rest.begin(), rest.end());
    if (how % 16 != 15) {
        fix_frames(stream);
    }
    const size_t piece = how < 128 ? size_t{1} << 20U : how - 127U;
    if (what % 4 == 1) {
        converse_with_engine(stream, piece);
    } else {
        converse_with_fake(stream, piece);
    }
}

}  // namespace stepdb
