#include "net/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "engine/base/float_bits.h"
#include "engine/model/limits.h"

namespace stepdb::message_test {

using ::testing::HasSubstr;

uint64_t test_seed() {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
}

// The body, every prefix of it and it with one more byte: only the first decodes.
template <typename Decode>
void check_body(const std::vector<std::byte>& frame, const Decode& decode) {
    const Bytes body = frame_body(frame);
    EXPECT_TRUE(decode(body).has_value());
    for (size_t bytes = 0; bytes < body.size(); ++bytes) {
        const std::vector<std::byte> cut(body.begin(),
                                         body.begin() + static_cast<ptrdiff_t>(bytes));
        EXPECT_FALSE(decode(Bytes(cut)).has_value()) << bytes;
    }
    std::vector<std::byte> longer(body.begin(), body.end());
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode(Bytes(longer)).has_value());
}

TEST(Message, HelloComesBack) {
    HelloMessage hello;
    hello.writer.bytes[0] = std::byte{5};
    hello.token = "secret";
    hello.client = "test 1";
    const auto frame = encode_hello(hello);
    const HelloMessage back = HelloMessage::decode(frame_body(frame)).value();
    EXPECT_EQ(back.version_max, 1U);
    EXPECT_EQ(back.writer, hello.writer);
    EXPECT_EQ(back.token, "secret");
    EXPECT_EQ(back.client, "test 1");
    check_body(frame, HelloMessage::decode);
}

TEST(Message, HelloOkComesBack) {
    HelloOkMessage hello;
    hello.store.bytes[15] = std::byte{9};
    hello.server = "stepdb 0.1.0";
    const auto frame = encode_hello_ok(hello);
    const HelloOkMessage back = HelloOkMessage::decode(frame_body(frame)).value();
    EXPECT_EQ(back.store, hello.store);
    EXPECT_EQ(back.frame_bytes_max, kFrameBytesMax);
    EXPECT_EQ(back.frame_rows_max, kFrameRowsMax);
    EXPECT_EQ(back.server, "stepdb 0.1.0");
    check_body(frame, HelloOkMessage::decode);
}

TEST(Message, OutcomesComeBack) {
    AckMessage ack;
    ack.late_rows = 12;
    auto frame = encode_ack(ack, 99);
    EXPECT_EQ(parse_frame_header(frame)->number, 99U);
    EXPECT_EQ(AckMessage::decode(frame_body(frame))->late_rows, 12U);
    check_body(frame, AckMessage::decode);

    RunOpened opened;
    opened.handle = 1;
    opened.run = 2;
    opened.attempt = 3;
    opened.last_number = 4;
    opened.created = true;
    frame = encode_run_opened(opened, 5);
    const RunOpened back = decode_run_opened(frame_body(frame)).value();
    EXPECT_EQ(back.handle, 1U);
    EXPECT_EQ(back.run, 2U);
    EXPECT_EQ(back.attempt, 3U);
    EXPECT_EQ(back.last_number, 4U);
    EXPECT_TRUE(back.created);
    check_body(frame, decode_run_opened);

    ErrorMessage error(ErrorScope::kChange, Error(ErrorCode::kNotFound, "no such schema"));
    error.position.row = 7;
    frame = encode_error(error, 6);
    const ErrorMessage error_back = ErrorMessage::decode(frame_body(frame)).value();
    EXPECT_EQ(error_back.scope, ErrorScope::kChange);
    EXPECT_EQ(error_back.to_error().to_string(), error.to_error().to_string());
    EXPECT_EQ(error_back.position.row, 7U);
    EXPECT_FALSE(error_back.position.column.has_value());
    check_body(frame, ErrorMessage::decode);
}

TEST(Message, QueriesComeBackOrAreRefused) {
    const auto frame = encode_query("train/loss @ gpt/*", 8);
    EXPECT_EQ(parse_frame_header(frame)->number, 8U);
    EXPECT_EQ(decode_query(frame_body(frame))->text, "train/loss @ gpt/*");
    EXPECT_TRUE(decode_query(frame_body(frame))->parameters.empty());
    check_body(frame, decode_query);
    ByteWriter bad;
    bad.put_text("\xff");
    bad.put<uint32_t>(0);
    EXPECT_THAT(decode_query(bad.bytes()).error().message(), HasSubstr("not valid UTF-8"));
    const std::string long_text(kQueryTextBytesMax + 1, 'x');
    const auto long_frame = encode_query(long_text, 1);
    EXPECT_FALSE(decode_query(frame_body(long_frame)).has_value());
}

TEST(Message, BackupsNameADirectoryFromTheRoot) {
    const auto frame = encode_backup("/backups/a", 8);
    EXPECT_EQ(parse_frame_header(frame)->number, 8U);
    EXPECT_EQ(*decode_backup(frame_body(frame)), "/backups/a");
    check_body(frame, decode_backup);
    for (const std::string& wrong : {std::string("backups"), std::string(), std::string("/a\0b", 4),
                                     "/" + std::string(kBackupPathBytesMax, 'x')}) {
        EXPECT_FALSE(decode_backup(frame_body(encode_backup(wrong, 1)))) << wrong;
    }
}

TEST(Message, ParametersOfQueriesComeBack) {
    QueryParameters parameters;
    ASSERT_TRUE(parameters.add("lr", "3e-4").has_value());
    ASSERT_TRUE(parameters.add("_empty2", "").has_value());
    const auto frame = encode_query("x @ a/b where lr = $lr", 8, parameters);
    EXPECT_EQ(decode_query(frame_body(frame))->parameters.values(), parameters.values());
    check_body(frame, decode_query);
}

std::string error_of_parameters(uint32_t count, const std::vector<std::string>& texts) {
    ByteWriter body;
    body.put_text("x");
    body.put(count);
    for (const std::string& text : texts) {
        body.put_text(text);
    }
    const Result<QueryText> query = decode_query(body.bytes());
    return query ? "no error" : query.error().message();
}

TEST(Message, WrongParametersAreRefusedByName) {
    EXPECT_THAT(error_of_parameters(1001, {}), HasSubstr("parameter count 1001; at most 1000"));
    EXPECT_THAT(error_of_parameters(2, {"a", "1", "a", "2"}),
                HasSubstr("parameter $a is given twice: '1' and '2'"));
    EXPECT_THAT(error_of_parameters(1, {"$a", "1"}), HasSubstr("'$a' is no name of a parameter"));
    EXPECT_THAT(error_of_parameters(1, {"a", "\xff"}),
                HasSubstr("the value of parameter $a is not valid UTF-8"));
    EXPECT_THAT(error_of_parameters(1, {"a", std::string(kQueryParameterBytesMax, 'x')}),
                HasSubstr("parameter $a is too much: at most 1000 parameters of 65536 bytes"));
    EXPECT_THAT(error_of_parameters(1, {"a", std::string(kQueryParameterBytesMax - 1, 'x')}),
                "no error");
}

ResultBlock random_block(std::mt19937_64& random, std::span<const ResultColumn> columns) {
    ResultBlock block(columns);
    const auto rows = static_cast<uint32_t>(random() % 200);
    for (size_t i = 0; i < columns.size(); ++i) {
        ColumnCells& cells = block.column(i);
        const bool nulls = random() % 2 == 0;
        while (cells.rows() < rows) {
            if (nulls && random() % 4 == 0) {
                cells.append_null();
                continue;
            }
            switch (columns[i].type) {
                case ColumnType::kText:
                    cells.append_text(std::string(random() % 3, 'x'));
                    break;
                case ColumnType::kFloat64:
                case ColumnType::kStep:
                    cells.append_double(std::bit_cast<double>(random()));
                    break;
                case ColumnType::kTime:
                    cells.append_time(static_cast<int64_t>(random()));
                    break;
                case ColumnType::kUint64:
                    cells.append_uint64(random());
                    break;
            }
        }
    }
    return block;
}

void expect_same(const ColumnCells& a, const ColumnCells& b) {
    ASSERT_EQ(a.rows(), b.rows());
    ASSERT_EQ(a.type(), b.type());
    EXPECT_EQ(a.texts(), b.texts());
    for (uint32_t row = 0; row < a.rows(); ++row) {
        ASSERT_EQ(a.is_null(row), b.is_null(row)) << row;
    }
    ASSERT_EQ(a.doubles().size(), b.doubles().size());
    for (size_t i = 0; i < a.doubles().size(); ++i) {
        EXPECT_EQ(bits_of(a.doubles()[i]), bits_of(b.doubles()[i]));
    }
    EXPECT_TRUE(std::equal(a.times().begin(), a.times().end(), b.times().begin(), b.times().end()));
    EXPECT_TRUE(
        std::equal(a.uint64s().begin(), a.uint64s().end(), b.uint64s().begin(), b.uint64s().end()));
}

std::vector<ResultColumn> all_types() {
    return {ResultColumn("run", ColumnType::kText), ResultColumn("step", ColumnType::kStep),
            ResultColumn("value", ColumnType::kFloat64), ResultColumn("time", ColumnType::kTime),
            ResultColumn("count", ColumnType::kUint64)};
}

TEST(Message, ResultColumnsComeBack) {
    const auto frame = encode_result_columns(all_types(), 3);
    EXPECT_EQ(decode_result_columns(frame_body(frame)).value(), all_types());
    check_body(frame, decode_result_columns);
}

TEST(Message, RandomResultBlocksComeBackBitForBit) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    const auto columns = all_types();
    for (int round = 0; round < 200; ++round) {
        const ResultBlock block = random_block(random, columns);
        const auto frame = encode_result_block(block, 4).value();
        const auto back = decode_result_block(frame_body(frame), columns);
        ASSERT_TRUE(back.has_value()) << back.error().message();
        for (size_t i = 0; i < columns.size(); ++i) {
            expect_same(block.column(i), back->column(i));
        }
    }
}

TEST(Message, DamagedResultBlocksNeverCrash) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    const auto columns = all_types();
    for (int round = 0; round < 10; ++round) {
        const auto frame = encode_result_block(random_block(random, columns), 4).value();
        const Bytes body = frame_body(frame);
        for (size_t bytes = 0; bytes < body.size(); bytes += 1 + random() % 50) {
            const std::vector<std::byte> cut(body.begin(),
                                             body.begin() + static_cast<ptrdiff_t>(bytes));
            EXPECT_FALSE(decode_result_block(cut, columns).has_value());
        }
        for (int flip = 0; flip < 100; ++flip) {
            std::vector<std::byte> bad(body.begin(), body.end());
            bad[random() % bad.size()] ^= std::byte{1} << (random() % 8);
            const auto block = decode_result_block(bad, columns);
            EXPECT_TRUE(!block || block->is_complete());
        }
    }
}

TEST(Message, ABlockTooLargeForAFrameIsAnError) {
    const std::vector<ResultColumn> columns = {ResultColumn("text", ColumnType::kText)};
    ResultBlock block(columns);
    for (int i = 0; i < 34; ++i) {
        block.column(0).append_text(std::string(1U << 20U, static_cast<char>('a' + i % 2)));
    }
    EXPECT_EQ(encode_result_block(block, 1).error().code(), ErrorCode::kResourceExhausted);
}

TEST(Message, ResultEndComesBack) {
    QueryEnd end;
    end.rows = 17;
    end.notes = {"2 series left out", ""};
    const auto frame = encode_result_end(end, 1);
    const QueryEnd back = QueryEnd::decode(frame_body(frame)).value();
    EXPECT_EQ(back.rows, 17U);
    EXPECT_EQ(back.notes, end.notes);
    check_body(frame, QueryEnd::decode);
}

TEST(Message, ResultUpdateComesBack) {
    ResultUpdate update;
    update.sequence = uint64_t{1} << 50U;
    update.is_reset = true;
    update.key_columns = 3;
    update.rows = 17;
    update.notes = {"no points in the range, so there is no grid"};
    const auto frame = encode_result_update(update, 9);
    EXPECT_EQ(parse_frame_header(frame)->type, FrameType::kResultUpdate);
    const ResultUpdate back = ResultUpdate::decode(frame_body(frame)).value();
    EXPECT_EQ(back.sequence, update.sequence);
    EXPECT_TRUE(back.is_reset);
    EXPECT_EQ(back.key_columns, 3U);
    EXPECT_EQ(back.rows, 17U);
    EXPECT_EQ(back.notes, update.notes);
    check_body(frame, ResultUpdate::decode);
}

}  // namespace stepdb::message_test
