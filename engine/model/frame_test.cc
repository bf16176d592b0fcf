#include "engine/model/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/limits.h"

namespace stepdb::frame_test {

using ::testing::HasSubstr;

std::vector<std::byte> make_frame(ChecksumKind kind = ChecksumKind::kXxh3) {
    FrameBuilder builder(FrameType::kRows, 42);
    builder.writer().put_text("body");
    return builder.finish(kind);
}

TEST(Frame, RoundTripsWithBothChecksums) {
    for (const ChecksumKind kind : {ChecksumKind::kXxh3, ChecksumKind::kCrc32}) {
        const std::vector<std::byte> frame = make_frame(kind);
        const FrameHeader header = parse_frame_header(frame).value();
        EXPECT_EQ(header.length, frame.size());
        EXPECT_EQ(header.type, FrameType::kRows);
        EXPECT_EQ(header.number, 42U);
        EXPECT_EQ(header.checksum_kind, kind);
        EXPECT_TRUE(verify_frame(header, frame).has_value());
    }
}

TEST(Frame, EveryFlippedBitIsFound) {
    for (const ChecksumKind kind : {ChecksumKind::kXxh3, ChecksumKind::kCrc32}) {
        const std::vector<std::byte> good = make_frame(kind);
        for (size_t bit = 0; bit < good.size() * 8; ++bit) {
            std::vector<std::byte> frame = good;
            frame[bit / 8] ^= std::byte{1} << (bit % 8);
            const auto header = parse_frame_header(frame);
            if (!header || header->length != frame.size()) {
                continue;
            }
            EXPECT_FALSE(verify_frame(*header, frame).has_value()) << "bit " << bit;
        }
    }
}

TEST(Frame, HeaderIsRefusedBeforeAnythingIsAllocated) {
    const auto check = [](size_t at, auto value, std::string_view message, ErrorCode code) {
        std::vector<std::byte> frame = make_frame();
        store_le(frame.data() + at, value);
        const auto header = parse_frame_header(frame);
        ASSERT_FALSE(header.has_value()) << message;
        EXPECT_THAT(header.error().message(), HasSubstr(message));
        EXPECT_EQ(header.error().code(), code);
    };
    const auto invalid = ErrorCode::kInvalidArgument;
    check(0, uint32_t{23}, "frame of 23 bytes", invalid);
    check(0, uint32_t{kFrameBytesMax + 1}, "frame of 33554433 bytes", invalid);
    check(0, uint32_t{0x20544547}, "is the peer speaking StepDB's protocol?", invalid);
    check(4, uint8_t{2}, "protocol version 2", ErrorCode::kUnsupportedVersion);
    check(6, uint8_t{0}, "checksum kind 0", invalid);
    check(6, uint8_t{3}, "checksum kind 3", invalid);
    check(7, uint8_t{1}, "flags 0x1", invalid);
    EXPECT_THAT(parse_frame_header(Bytes(make_frame()).first(23)).error().message(),
                HasSubstr("23 bytes"));
}

TEST(Frame, UnknownTypesHaveAName) {
    EXPECT_EQ(frame_type_name(FrameType::kOpenRun), "open_run");
    EXPECT_EQ(frame_type_name(static_cast<FrameType>(77)), "unknown type 77");
}

// Every prefix of a body and every body with one more byte is refused.
template <typename Frame>
void check_truncations(const std::vector<std::byte>& frame) {
    const Bytes body = frame_body(frame);
    ASSERT_TRUE(Frame::decode(body).has_value());
    for (size_t bytes = 0; bytes < body.size(); ++bytes) {
        EXPECT_FALSE(Frame::decode(body.first(bytes)).has_value()) << bytes;
    }
    std::vector<std::byte> longer(body.begin(), body.end());
    longer.push_back(std::byte{0});
    EXPECT_FALSE(Frame::decode(longer).has_value());
}

TEST(OpenRunFrame, RoundTrips) {
    OpenRunFrame open;
    open.handle = 7;
    open.mode = OpenRunFrame::kCreateIfMissing | OpenRunFrame::kResume;
    open.first_number = 12;
    open.project = "gpt";
    open.run = "run-17";
    const std::vector<std::byte> frame = encode_open_run_frame(open);
    const OpenRunFrame back = OpenRunFrame::decode(frame_body(frame)).value();
    EXPECT_EQ(back.handle, 7U);
    EXPECT_EQ(back.mode, open.mode);
    EXPECT_EQ(back.first_number, 12U);
    EXPECT_EQ(back.project, "gpt");
    EXPECT_EQ(back.run, "run-17");
    check_truncations<OpenRunFrame>(frame);
}

TEST(OpenRunFrame, RefusalsNameTheThing) {
    const auto message = [](auto change) {
        OpenRunFrame open;
        open.project = "gpt";
        open.run = "run-17";
        change(open);
        return OpenRunFrame::decode(frame_body(encode_open_run_frame(open))).error().message();
    };
    EXPECT_THAT(message([](OpenRunFrame& open) { open.run = "a/b"; }), HasSubstr("run id 'a/b'"));
    EXPECT_THAT(message([](OpenRunFrame& open) { open.project = ""; }), HasSubstr("project id"));
    EXPECT_THAT(message([](OpenRunFrame& open) { open.mode = 8; }), HasSubstr("mode 0x8"));
    EXPECT_THAT(message([](OpenRunFrame& open) { open.mode = 6; }), HasSubstr("exclude"));
    EXPECT_THAT(message([](OpenRunFrame& open) { open.first_number = 0; }),
                HasSubstr("numbers count from 1"));
    const std::string long_id(kIdBytesMax + 1, 'x');
    EXPECT_THAT(message([&](OpenRunFrame& open) { open.run = long_id; }),
                HasSubstr("longer than allowed"));
}

TEST(FinishRunFrame, RoundTripsAndRefusesOtherStates) {
    FinishRunFrame finish;
    finish.handle = 3;
    finish.attempt = 2;
    finish.state = RunState::kFailed;
    std::vector<std::byte> frame = encode_finish_run_frame(finish, 9);
    EXPECT_EQ(parse_frame_header(frame)->number, 9U);
    const FinishRunFrame back = FinishRunFrame::decode(frame_body(frame)).value();
    EXPECT_EQ(back.handle, 3U);
    EXPECT_EQ(back.attempt, 2U);
    EXPECT_EQ(back.state, RunState::kFailed);
    check_truncations<FinishRunFrame>(frame);
    finish.state = RunState::kRunning;
    frame = encode_finish_run_frame(finish, 9);
    EXPECT_THAT(FinishRunFrame::decode(frame_body(frame)).error().message(), HasSubstr("state 0"));
}

TEST(SchemaFrame, TravelsWholeOrInPieces) {
    const Schema schema = Schema::create(Axis::kStepped, {"train/loss", "lr", "eval"}).value();
    const std::vector<std::byte> whole = encode_schema_frame("gpt", schema);
    const SchemaFrame frame = SchemaFrame::decode(frame_body(whole)).value();
    EXPECT_TRUE(frame.whole());
    EXPECT_EQ(frame.project, "gpt");
    EXPECT_EQ(Schema::decode(frame.piece)->hash(), schema.hash());

    std::vector<std::byte> joined;
    for (const auto& piece : encode_schema_frames("gpt", schema, 10)) {
        const SchemaFrame part = SchemaFrame::decode(frame_body(piece)).value();
        EXPECT_FALSE(part.whole());
        EXPECT_EQ(part.offset, joined.size());
        EXPECT_EQ(part.hash, schema.hash());
        joined.insert(joined.end(), part.piece.begin(), part.piece.end());
    }
    EXPECT_EQ(joined, schema.encode());
}

TEST(SchemaFrame, PieceMustLieWithinTheWhole) {
    const auto message = [](uint32_t total, uint32_t offset, size_t piece) {
        ByteWriter body;
        body.put_text("gpt");
        body.put_zeros(16);
        body.put(total);
        body.put(offset);
        body.put_zeros(piece);
        return SchemaFrame::decode(body.bytes()).error().message();
    };
    EXPECT_THAT(message(10, 0, 0), HasSubstr("piece of 0 bytes"));
    EXPECT_THAT(message(10, 0, 11), HasSubstr("does not lie within"));
    EXPECT_THAT(message(10, 6, 5), HasSubstr("does not lie within"));
    EXPECT_THAT(message(10, 0xFFFFFFFF, 5), HasSubstr("does not lie within"));
    EXPECT_THAT(message(0xFFFFFFFF, 0, 5), HasSubstr("at most"));
}

}  // namespace stepdb::frame_test
