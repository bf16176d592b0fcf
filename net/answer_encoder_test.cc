#include "net/answer_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <limits>

#include "engine/query_memory.h"
#include "net/deflate_stream.h"

namespace stepdb::answer_encoder_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<ResultColumn> kColumns = {
    ResultColumn("run", ColumnType::kText), ResultColumn("step", ColumnType::kStep),
    ResultColumn("value", ColumnType::kFloat64), ResultColumn("time", ColumnType::kTime),
    ResultColumn("count", ColumnType::kUint64)};

ResultBlock two_rows(std::string_view run, double value) {
    ResultBlock block(kColumns);
    block.column(0).append_text(run);
    block.column(0).append_null();
    block.column(1).append_doubles(std::vector<double>{1, 0.5});
    block.column(2).append_doubles(std::vector<double>{value, -0.0});
    block.column(3).append_times(std::vector<int64_t>{-5, int64_t{1} << 60});
    block.column(4).append_uint64(uint64_t{1} << 53U);
    block.column(4).append_uint64((uint64_t{1} << 53U) + 1);
    return block;
}

std::string encode(AnswerStyle style, const std::vector<ResultBlock>& blocks) {
    const auto encoder = make_answer_encoder(std::move(style));
    encoder->use_memory(nullptr);
    encoder->begin(kColumns);
    std::string all;
    for (const ResultBlock& block : blocks) {
        all += encoder->block(block).value().bytes;
    }
    QueryEnd end;
    end.notes = {"a \"note\""};
    return all + encoder->end(end).value().bytes;
}

TEST(AnswerEncoder, WritesColumnsOfJson) {
    AnswerStyle style;
    style.lead = "\"index\":3,";
    style.tail = "\n";
    const std::string text = encode(
        style,
        {two_rows("p/\"r", std::numeric_limits<double>::quiet_NaN()), two_rows("p/s", 1e300)});
    EXPECT_THAT(text, StartsWith(R"({"index":3,"columns":[{"name":"run","type":"text"},)"));
    EXPECT_THAT(text, HasSubstr(R"("rows":4,"values":[["p/\"r",null,"p/s",null],[1,0.5,1,0.5],)"
                                R"(["NaN",-0.0,1e+300,-0.0],)"
                                R"([-5,"1152921504606846976",-5,"1152921504606846976"],)"
                                R"([9007199254740992,"9007199254740993",)"));
    EXPECT_THAT(text, HasSubstr(R"("notes":["a \"note\""],"milliseconds":)"));
    EXPECT_EQ(text.back(), '\n');
    EXPECT_THAT(encode(AnswerStyle(), {}), HasSubstr(R"("rows":0,"values":[[],[],[],[],[]])"));
}

TEST(AnswerEncoder, WritesCsvAsItComes) {
    AnswerStyle style;
    style.format = AnswerFormat::kCsv;
    EXPECT_EQ(encode(style, {}), "run,step,value,time,count\n");
    EXPECT_THAT(encode(style, {two_rows("p/r", INFINITY), two_rows("p/s", 2)}),
                StartsWith("run,step,value,time,count\np/r,1,Infinity,1969-"));
}

TEST(AnswerEncoder, EndsWhereTheMemoryOfQueriesDoes) {
    const auto all = std::make_shared<MemoryBudget>(4096);
    for (const AnswerFormat format :
         {AnswerFormat::kJson, AnswerFormat::kCsv, AnswerFormat::kColumns}) {
        AnswerStyle style;
        style.format = format;
        const auto encoder = make_answer_encoder(style);
        encoder->use_memory(make_query_memory(all, all->bytes_max()));
        encoder->begin(kColumns);
        std::vector<EncodedPiece> pieces;
        for (int at = 0; at < 1000; ++at) {
            Result<EncodedPiece> piece = encoder->block(two_rows("p/r", at / 3.0));
            if (!piece) {
                EXPECT_EQ(piece.error().code(), ErrorCode::kResourceExhausted);
                break;
            }
            pieces.push_back(*std::move(piece));
            ASSERT_LT(at, 999);
        }
        EXPECT_LE(all->used(), all->bytes_max());
    }
    EXPECT_EQ(all->used(), 0U);
}

std::string unpack(std::string_view packed, size_t bytes) {
    std::string plain(bytes, '\0');
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);  // gzip, with its checksum
    std::string in(packed);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(stream.total_out, bytes);
    inflateEnd(&stream);
    return plain;
}

TEST(DeflateStream, PiecesOfSeveralStreamsAreOneGzip) {
    std::string plain;
    std::string packed = GzipFrame::head();
    GzipFrame frame;
    DeflateStream first;
    DeflateStream second;
    for (int at = 0; at < 40; ++at) {
        const std::string piece = fmt::format("{} {} {}\n", at, at / 7.0, std::string(500, 'x'));
        plain += piece;
        frame.count(piece.size(), crc_of(piece));
        packed += (at % 3 == 0 ? first : second).add(piece);
    }
    packed += frame.end();
    EXPECT_EQ(unpack(packed, plain.size()), plain);
    EXPECT_EQ(unpack(compress_gzip(plain), plain.size()), plain);
    EXPECT_EQ(unpack(GzipFrame::head() + GzipFrame().end(), 0), "");
}

}  // namespace stepdb::answer_encoder_test
