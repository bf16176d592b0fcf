// Writes the seed inputs of every target: what the program itself writes, in the targets' forms.
//
//   stepdb_make_corpus FOLDER      # tests/fuzz/corpus
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "engine/base/float_bits.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/value_codec.h"
#include "engine/model/rows.h"
#include "engine/segment/chunk.h"
#include "engine/segment/chunk_parts.h"
#include "engine/segment/segment_format.h"
#include "net/message.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fix_checksums.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb {

namespace {

// --- Frames ---

std::shared_ptr<const Schema> schema_of(Axis axis, std::vector<std::string> metrics) {
    return std::make_shared<const Schema>(Schema::create(axis, std::move(metrics)).value());
}

Buffer rows_frame(const std::shared_ptr<const Schema>& schema, uint64_t number, uint32_t rows,
                  bool sparse, bool compress) {
    SimRandom random(number);
    RowsBuilder builder(schema);
    for (uint32_t row = 0; row < rows; ++row) {
        std::vector<std::optional<double>> values(schema->width());
        for (uint32_t column = 0; column < schema->width(); ++column) {
            if (!sparse || random.below(3) == 0) {
                values[column] =
                    column % 2 == 0 ? Workload::any_value(random) : static_cast<double>(row) / 4;
            }
        }
        const bool stepped = schema->axis() == Axis::kStepped;
        builder.add(stepped ? std::optional<double>(row * 10) : std::nullopt,
                    int64_t{1'700'000'000'000'000} + row, std::span(std::as_const(values)));
    }
    return builder.finish(1, 0, number, compress);
}

Buffer open_frame() {
    OpenRunFrame open;
    open.handle = 1;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.project = "demo";
    open.run = "r";
    return encode_open_run_frame(open);
}

void put_body(Corpus& corpus, std::string_view name, const Buffer& frame) {
    const FrameHeader header = parse_frame_header(frame).value();
    corpus.put("frames", fmt::format("body-{}", name),
               with_prefix({0, static_cast<int>(header.type)}, frame_body(frame)));
}

void put_rows_body(Corpus& corpus, std::string_view name, const Schema& schema,
                   const Buffer& frame) {
    const int choice =
        static_cast<int>((schema.width() - 1) * 2) + (schema.axis() == Axis::kTimed ? 1 : 0);
    corpus.put("frames", fmt::format("body-rows-{}", name),
               with_prefix({0, static_cast<int>(FrameType::kRows), choice}, frame_body(frame)));
}

ResultBlock result_block(std::vector<ResultColumn>& columns) {
    columns = {ResultColumn("run", ColumnType::kText), ResultColumn("step", ColumnType::kStep),
               ResultColumn("value", ColumnType::kFloat64), ResultColumn("time", ColumnType::kTime),
               ResultColumn("count", ColumnType::kUint64)};
    ResultBlock block(columns);
    block.column(0).append_text("demo/r", 3);
    block.column(1).append_doubles(std::array{1.0, 2.0, 3.0});
    block.column(2).append_double(0.5);
    block.column(2).append_null(2);
    block.column(3).append_times(std::array<int64_t, 3>{1, 2, 3});
    block.column(4).append_uint64s(std::array<uint64_t, 3>{1, 2, 3});
    return block;
}

void put_bodies(Corpus& corpus) {
    HelloMessage hello;
    hello.writer.bytes[0] = std::byte{1};
    hello.client = "fuzz";
    put_body(corpus, "hello", encode_hello(hello));
    HelloOkMessage hello_ok;
    hello_ok.server = "stepdb";
    put_body(corpus, "hello-ok", encode_hello_ok(hello_ok));
    put_body(corpus, "open-run", open_frame());
    FinishRunFrame finish;
    finish.handle = 1;
    put_body(corpus, "finish-run", encode_finish_run_frame(finish, 2));
    put_body(corpus, "ack", encode_ack(AckMessage(), 1));
    put_body(corpus, "run-opened", encode_run_opened(RunOpened(), 1));
    QueryParameters parameters;
    CHECK(parameters.add("n", "5").has_value() && parameters.add("run", "demo/r").has_value());
    put_body(corpus, "query", encode_query("x @ $run | last $n", 1, parameters));
    const Error error(ErrorCode::kNotFound, "no such run");
    put_body(corpus, "error", encode_error(ErrorMessage(ErrorScope::kRequest, error), 1));
    QueryEnd end;
    end.notes = {"nothing matched"};
    put_body(corpus, "result-end", encode_result_end(end, 1));
    std::vector<ResultColumn> columns;
    const ResultBlock block = result_block(columns);
    put_body(corpus, "result-columns", encode_result_columns(columns, 1));
    const Buffer encoded = encode_result_block(block, 1).value();
    corpus.put("frames", "body-result-block",
               with_prefix({0, static_cast<int>(FrameType::kResultBlock), 4}, frame_body(encoded)));
    const auto narrow = schema_of(Axis::kStepped, {"a", "b", "c"});
    const auto timed = schema_of(Axis::kTimed, {"a"});
    const auto wide = schema_of(Axis::kStepped, [] {
        std::vector<std::string> metrics;
        metrics.reserve(70);
        for (int i = 0; i < 70; ++i) {
            metrics.push_back(fmt::format("m{}", i));
        }
        return metrics;
    }());
    put_body(corpus, "schema", encode_schema_frame("demo", *narrow));
    put_rows_body(corpus, "mixed", *narrow, rows_frame(narrow, 1, 3, false, false));
    put_rows_body(corpus, "sparse", *narrow, rows_frame(narrow, 2, 5, true, false));
    put_rows_body(corpus, "packed", *narrow, rows_frame(narrow, 3, 20, true, true));
    put_rows_body(corpus, "timed", *timed, rows_frame(timed, 4, 2, false, false));
    put_rows_body(corpus, "wide", *wide, rows_frame(wide, 5, 2, true, false));
}

// What a client says between hello and good-bye.
Buffer stream(Axis axis, bool compress, std::string_view query) {
    const auto schema = schema_of(axis, {"train/loss", "lr"});
    Buffer out;
    append(out, encode_schema_frame("demo", *schema));
    append(out, open_frame());
    append(out, rows_frame(schema, 1, 20, false, compress));
    append(out, encode_query(query, 7));
    append(out, rows_frame(schema, 2, 3, true, false));
    FinishRunFrame finish;
    finish.handle = 1;
    append(out, encode_finish_run_frame(finish, 3));
    append(out, encode_cancel(7));
    return out;
}

Buffer split_schema() {
    Buffer out;
    const auto schema = schema_of(Axis::kStepped, {"train/loss", "lr", "train/accuracy"});
    for (const Buffer& frame : encode_schema_frames("demo", *schema, 16)) {
        append(out, frame);
    }
    append(out, open_frame());
    append(out, rows_frame(schema, 1, 2, false, false));
    return out;
}

void put_streams(Corpus& corpus) {
    for (const int server : {1, 2}) {
        const std::string name = server == 1 ? "engine" : "fake";
        for (const int how : {0, 128, 141}) {
            const Buffer plain = stream(Axis::kStepped, false, server == 1 ? "** @ **" : "rows 9");
            Buffer whole;
            if (how % 2 == 1) {
                HelloMessage hello;
                hello.writer.bytes[0] = std::byte{1};
                append(whole, encode_hello(hello));
            }
            append(whole, plain);
            corpus.put("frames", fmt::format("{}-stream-{}", name, how),
                       with_prefix({server, how}, whole));
        }
        corpus.put("frames", name + "-timed",
                   with_prefix({server, 2}, stream(Axis::kTimed, true, "runs *")));
        corpus.put("frames", name + "-split", with_prefix({server, 4}, split_schema()));
        corpus.put("frames", name + "-again", with_prefix({server, 0}, [] {
                       Buffer twice = stream(Axis::kStepped, false, "metrics ** @ **");
                       append(twice, stream(Axis::kTimed, false, "x @ **"));
                       return twice;
                   }()));
    }
}

// --- Files ---

// A store with a few of everything.
SimDisk make_disk(uint64_t seed, bool flushed) {
    SimDisk disk;
    SimStore store(disk, seed);
    CHECK(store.open().has_value(), "a new store");
    TestWriter writer([seed] {
        Id128 id;
        id.bytes[0] = static_cast<std::byte>(seed);
        return id;
    }());
    writer.connect(store);
    SimRandom random(seed);
    Workload workload(random, 2);
    for (int i = 0; i < 12; ++i) {
        writer.send(workload.next(), i % 3 == 0, i % 4 == 1);
        store.run();
        if (flushed && i % 6 == 5) {
            CHECK(store.flush().has_value(), "a flush");
        }
    }
    store.run();
    store.crash(CrashKind::kProcessKill);
    return disk;
}

void put_files(Corpus& corpus) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
        const SimDisk disk = make_disk(seed, seed % 2 == 0);
        for (const std::string& path : disk.files()) {
            const Buffer file = *disk.contents(path);
            const std::string name = fmt::format("{}-{}", seed, path.substr(path.rfind('/') + 1));
            if (path.find("/log-") != std::string::npos) {
                corpus.put("log", name, with_prefix({0, 0}, compact_log(file)));
            } else if (path.find("/manifest-") != std::string::npos) {
                corpus.put("log", name, with_prefix({1, 0}, compact_manifest(file)));
            } else if (path.find("/catalog-") != std::string::npos) {
                corpus.put("log", name, with_prefix({2, 0}, compact_catalog(file)));
            } else if (path.find("/segment-") != std::string::npos) {
                corpus.put("segments", name, with_prefix({0}, compact_segment(file)));
            } else if (path.find("/CURRENT") != std::string::npos) {
                corpus.put("log", name, with_prefix({3, 0}, file));
            }
        }
    }
}

Buffer with_count(int what, uint16_t count, std::initializer_list<int> more, Bytes bytes) {
    ByteWriter writer;
    writer.put(static_cast<uint8_t>(what));
    writer.put(static_cast<uint16_t>(count - 1));
    for (const int byte : more) {
        writer.put(static_cast<uint8_t>(byte));
    }
    writer.put_bytes(bytes);
    return writer.take();
}

// Sequences that take each form of the codecs.
std::vector<std::vector<double>> value_samples() {
    SimRandom random(5);
    std::vector<std::vector<double>> samples = {{0.5}, {1, 1, 1}, {}, {}, {}, {}, {}};
    for (int i = 0; i < 300; ++i) {
        samples[2].push_back(static_cast<double>(i) / 100);
        samples[3].push_back(widen(static_cast<uint32_t>(random.next())));
        samples[4].push_back(std::bit_cast<double>(random.next()));
        samples[5].push_back(i % 40 == 0 ? 1e300 : static_cast<double>(i % 7) / 10);
        samples[6].push_back(static_cast<double>(static_cast<float>(i) * 0.37F));
    }
    return samples;
}

void put_codecs(Corpus& corpus) {
    int number = 0;
    for (const std::vector<double>& values : value_samples()) {
        ++number;
        const auto count = static_cast<uint16_t>(values.size());
        Buffer payload;
        const ValueForm form = encode_values(values, payload);
        const int bits = form.constant ? 6 | (form.float64 ? 1 : 0) : (form.float64 ? 1 : 0);
        corpus.put("segments", fmt::format("values-{}", number),
                   with_count(6, count, {bits}, payload));
        Buffer chunk;
        encode_full_chunk(values, chunk);
        corpus.put("segments", fmt::format("chunk-{}", number), with_count(3, count, {}, chunk));
        corpus.put("segments", fmt::format("doubles-{}", number),
                   with_prefix({10}, std::as_bytes(std::span(values))));
        const std::vector<ChunkPart> parts = {{.rows = count, .chunk = chunk},
                                              {.rows = 3, .chunk = {}},
                                              {.rows = count, .chunk = chunk}};
        Buffer joined;
        encode_parts_head(parts, joined);
        append(joined, chunk);
        append(joined, chunk);
        corpus.put("segments", fmt::format("parts-{}", number),
                   with_count(3, static_cast<uint16_t>(2 * count + 3), {}, joined));
        std::vector<int64_t> integers;
        std::vector<int64_t> images;
        for (const double value : values) {
            integers.push_back(static_cast<int64_t>(bits_of(value) >> 40U));
            images.push_back(key_of_step(std::isfinite(value) ? value : 0));
        }
        Buffer encoded;
        encode_integers(integers, encoded);
        corpus.put("segments", fmt::format("integers-{}", number),
                   with_count(4, count, {0, 0}, encoded));
        encoded.clear();
        encode_steps(images, encoded);
        corpus.put("segments", fmt::format("steps-{}", number), with_count(5, count, {}, encoded));
    }
    for (const uint32_t rows : {20U, 1000U}) {
        Buffer chunk;
        encode_sparse_chunk(rows, std::array<int64_t, 3>{1, 5, 9}, std::array{0.5, 1.5, 2.5},
                            chunk);
        corpus.put("segments", fmt::format("chunk-sparse-{}", rows),
                   with_count(3, static_cast<uint16_t>(rows), {}, chunk));
    }
}

// The sections of the blocks of a segment, each by itself.
void put_sections(Corpus& corpus) {
    const SimDisk disk = make_disk(6, true);
    for (const std::string& path : disk.files()) {
        if (path.find("/segment-") == std::string::npos) {
            continue;
        }
        const Buffer file = *disk.contents(path);
        const std::string name = path.substr(path.rfind('/') + 1);
        const SegmentFooter footer =
            decode_segment_footer(Bytes(file).last(kPageBytes), store_of(file), file_id_of(file),
                                  file.size())
                .value();
        const Bytes index = Bytes(file).subspan(footer.index_offset, footer.index_bytes);
        ByteWriter end;
        end.put(static_cast<uint32_t>(footer.names_offset));
        Buffer with_end = end.take();
        append(with_end, index);
        corpus.put("segments", name + "-index",
                   with_count(7, static_cast<uint16_t>(footer.blocks), {}, with_end));
        corpus.put("segments", name + "-names",
                   with_prefix({8}, Bytes(file).subspan(footer.names_offset, footer.names_bytes)));
        const SegmentBlock block =
            decode_block_index(index, footer.blocks, footer.names_offset).value().front();
        ByteWriter axis;
        axis.put(block.info.axis);
        axis.put(block.info.key_min);
        axis.put(block.info.key_max);
        axis.put(block.info.time_min);
        axis.put(block.info.time_max);
        axis.put(block.info.sequence_min);
        axis.put(block.info.sequence_max);
        axis.put_bytes(Bytes(file).subspan(block.offset, block.info.axis_bytes));
        corpus.put("segments", name + "-axis",
                   with_count(1, static_cast<uint16_t>(block.info.rows), {}, axis.bytes()));
        ByteWriter directory;
        directory.put(static_cast<uint32_t>(block.info.strips_bytes));
        directory.put_bytes(
            Bytes(file).subspan(block.directory_offset(), block.info.directory_bytes));
        corpus.put("segments", name + "-directory",
                   with_count(2, static_cast<uint16_t>(block.info.columns), {}, directory.bytes()));
    }
}

// A column of ordinary values, one of NaN alone, one at the ends of float64; stepped and timed.
void put_summaries(Corpus& corpus) {
    for (const Axis axis : {Axis::kStepped, Axis::kTimed}) {
        BlockInfo info;
        info.axis = axis;
        info.columns = 4;
        std::vector<Key> keys;
        std::vector<int64_t> times;
        std::vector<uint64_t> sequences;
        std::vector<double> values;
        for (int row = 0; row < 40; ++row) {
            times.push_back(1'700'000'000'000'000 + row * int64_t{1000});
            keys.push_back(axis == Axis::kTimed ? times.back() : key_of_step(row * 0.5));
            sequences.push_back(static_cast<uint64_t>(row) + 1);
            values.push_back(row * 0.25 - 3);
        }
        BlockBuilder builder(info, keys, times, sequences, 2);
        builder.add_column(0, values, {});
        builder.add_column(2, std::vector<double>(values.size(), std::nan("")), {});
        values[7] = std::numeric_limits<double>::infinity();
        values[9] = -1e150;
        builder.add_column(3, values, {});
        const auto block = builder.finish();
        ByteWriter section;
        section.put(static_cast<uint16_t>(info.columns - 1));
        section.put(axis);
        section.put(block->info.key_min);
        section.put(block->info.key_max);
        section.put(block->info.time_min);
        section.put(block->info.time_max);
        section.put_bytes(summaries_section(*block));
        corpus.put("segments", axis == Axis::kTimed ? "summaries-timed" : "summaries-stepped",
                   with_count(9, static_cast<uint16_t>(values.size()), {}, section.bytes()));
    }
}

// --- Queries ---

// Names and values as the target reads them.
std::string given(const std::vector<std::string>& pieces) {
    std::string text;
    for (const std::string& piece : pieces) {
        text += '\0' + piece;
    }
    return text;
}

void put_queries(Corpus& corpus) {
    const std::vector<std::string> queries = {
        "x @ a/r",
        "train/loss, val/loss @ gpt/run-1, gpt/run-2 | buckets 3",
        "** @ ** | last 1",
        "layers/*/norm, train/loss, ** @ gpt/run-2, gpt/* | first 1",
        "~\"^layers/\\d/\" @ ~\"run-2$\"",
        "\"train/loss\" @ */run-1 | steps 1.5k..1.5k",
        "layers/{layer}/norm @ **/run-2 | last 1",
        "x @ gpt/run-1#0 | steps start+5..end-1",
        "x @ a/r | steps -1e308..1.7e308 | buckets 2 count, nan, min, first, last_x",
        "x @ a/* | time now-25s..now-15s",
        "t @ a/r | time 1970-01-01T00:01:50..1970-01-01T00:02:00Z | buckets 7",
        "x @ a/r | steps fork-5..",
        "x @ gpt/* | last 3 | steps ..25 | first 1 | buckets 2 count, sum, mean, max",
        "explain * @ gpt/run-1 | steps 1..5 | buckets 3",
        "runs gpt/*",
        "metrics ** @ gpt/*",
        "train/los @ gpt/run_1",
        "gpu/temp @ gpt/run-10 | buckets 4 count, nan, pinf, ninf",
        "x @ a/r | steps end+1e308..end+1e308",
        "x @ a/r | time now+999999w..",
        "a{b @ gpt/run-2",
        "x @ 'a/r' | buckets 2 min_x, max_x, last, mean",
        "(x @ a/r) - (x @ gpt/run-1) | every 1k last | ema 0.99",
        "x, y @ own(a/r), parent(gpt/run-2) | steps 3.. | summary",
        "** @ gpt/* | summary variance, min, min_time, last_step",
        "attributes gpt/*, own(a/r)",
        "explain stats",
        "projects",
        "x @ a/r where config/lr = 1e-3 | group by config/** | sort best | limit 10",
        "runs gpt/* where config/lr >= 3e-4 and (tag sweep or not state = failed) | show config/lr",
        "runs | show min(train/loss when value < 5 and step >= 1).step as s, max(x) - s | sort s",
        "runs | show at(x, train/loss = 0.5), at(x, time = now-1h).time, std(x) | sort name desc",
        "metrics ** @ gpt/* where min = max and last is not nan | show count, last.step | limit 2",
        "x @ ** where run in (gpt/*, \"a/r\") and tags not contains b and config/opt ~\"a+\"",
        "attributes ** where config/lr exists or attr(config/n) * 2 % 3 != 1",
        "x @ $r where config/lr < $n | steps $a..$b | last $n" +
            given({"r", "gpt/run-1", "n", "5", "a", "end-5", "b", "9"}),
        "$m @ ** | time $a..1us | when value = $m or value > $n * 2" +
            given({"m", "x", "a", "now-1h", "n", "1k"}),
        "layers/{l}/norm / hold(x) * 2 as \"r {l}\" @ gpt/{r} | zscore 3 | when value > 1",
        "x @ ** | x step * config/n - value | log-x | buckets 3 mean | across p95, std, count",
        "x @ gpt/* | moving median 3 | group by config/** except config/n, run sum | limit 5",
        "x @ a/* | rate step | x elapsed | last 2 | buckets 2 first | group by metric | pivot",
        "t, gpu/* @ ** | rate | every 1m | x time | top 2 by max - min(x) | sort value | limit 3",
        "(x @ a/r | diff) % (x @ gpt/* | x value | bottom 1 by last) + 1 | ema 0.5 | steps 1..",
        "x @ gpt/* | when train/loss > hold(val/loss) and elapsed < 5 | x x | across",
        "x, t @ a/r | x time | buckets 2 | pivot",
    };
    int number = 0;
    for (const std::string& query : queries) {
        corpus.put("queries", fmt::format("{:02}", ++number), as_bytes(query));
    }
}

// HTTP's target: what requests hold, whole requests, and what is said over a WebSocket.
void put_http(Corpus& corpus) {
    const auto put = [&](int kind, std::string_view name, std::string_view text) {
        corpus.put("http", name, with_prefix({kind}, as_bytes(text)));
    };
    constexpr std::string_view kQuery =
        R"({"query":"$m @ p/r","parameters":{"m":"loss"},"format":"csv"})";
    constexpr std::string_view kRows =
        R"({"project":"p","run":"r","attempt":0,"writer":"0102030405060708090a0b0c0d0e0f10",)"
        R"("number":1,"tags":["a"],"state":"finished","attributes":{"c":{"lr":3e-4},"n":null},)"
        R"("rows":[{"step":1,"time":5,"metrics":{"a":{"b":1.5},"c":"NaN"}},)"
        R"({"step":2.5,"metrics":{"a/b":null,"c":"nan:7ff8000000000001"}},{"time":7,)"
        R"("metrics":{"gpu":-0.0}}]})";
    put(0, "query", kQuery);
    put(1, "target", "query=%24m+@%20p/r&p.m=loss&format=columns");
    put(2, "queries", R"({"queries":[{"query":"runs"},{"query":"x","parameters":{"a":"]}"}}]})");
    put(3, "ingest", kRows);
    put(4, "watch", R"({"id":1,"query":"loss @ p/r","parameters":{"m":"\u00e4"}})");
    put(4, "token", R"({"token":"t","id":2,"cancel":true})");
    put(5, "place", "column 3 (byte 2): more\n  x @\n    ^^x @ y");
    const auto post = [](std::string_view path, std::string_view body, std::string_view more = "") {
        return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n{}",
                           path, body.size(), more, body);
    };
    put(6, "request-query", post("/api/query", R"({"query":"rows 3","format":"csv"})"));
    put(6, "request-queries",
        post("/api/queries", R"({"queries":[{"query":"rows 2"},{"query":"bad"}]})",
             "Accept-Encoding: gzip, br;q=0\r\nX-Forwarded-For: x\r\n"));
    put(6, "request-ingest", post("/api/ingest", kRows, "Expect: 100-continue\r\n"));
    put(6, "request-chunked",
        "POST /api/query HTTP/1.1\r\nHost: [::1]:7421\r\nTransfer-Encoding: chunked\r\n\r\n"
        "10\r\n{\"query\":\"rows 1\r\n2\r\n\"}\r\n0\r\n\r\n");
    put(6, "request-pages",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: x\r\n\r\n"
        "HEAD /healthz HTTP/1.0\r\nOrigin: null\r\nAuthorization: Bearer x\r\n\r\n");
    // Masked with zeros: a text, a part of one with a ping between, and the end.
    const auto frame = [](int first, std::string_view text) {
        return std::string(1, static_cast<char>(first)) +
               static_cast<char>(128 + static_cast<int>(text.size())) + std::string(4, '\0') +
               std::string(text);
    };
    constexpr std::string_view kWatch = R"({"id":1,"query":"rows 2"})";
    put(7, "socket",
        frame(0x81, kWatch) + frame(0x81, R"({"id":1,"cancel":true})") + frame(0x88, "\x03\xe8"));
    put(7, "socket-parts",
        frame(0x01, kWatch.substr(0, 9)) + frame(0x89, "?") + frame(0x80, kWatch.substr(9)) +
            frame(0x82, "binary"));
}

}  // namespace

}  // namespace stepdb

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: {} FOLDER\n", argv[0]);
        return 2;
    }
    stepdb::Corpus corpus(argv[1]);
    stepdb::put_bodies(corpus);
    stepdb::put_streams(corpus);
    stepdb::put_files(corpus);
    stepdb::put_codecs(corpus);
    stepdb::put_sections(corpus);
    stepdb::put_summaries(corpus);
    stepdb::put_queries(corpus);
    stepdb::put_damages(corpus);
    stepdb::put_texts(corpus);
    stepdb::put_http(corpus);
    fmt::print("{} inputs\n", corpus.written());
    return 0;
}
