#include "tests/protocol/transcript.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "net/testing/raw_socket.h"
#include "net/testing/running_server.h"

namespace stepdb::transcript_test {

using ::testing::HasSubstr;

// Plays the client's side of the document against a server and holds its answers against it.
void replay(uint16_t port) {
    const auto transcript = parse_transcript(read_document("docs/protocol.md"));
    ASSERT_TRUE(transcript.has_value()) << transcript.error().message();
    ASSERT_GT(transcript->size(), 10U);
    RawSocket socket(port);
    for (const TranscriptFrame& frame : *transcript) {
        if (frame.from_client) {
            const auto bytes = fixed_bytes(frame);
            ASSERT_TRUE(bytes.has_value()) << bytes.error().message();
            socket.send(*bytes);
        } else {
            const std::vector<std::byte> got = socket.read_frame();
            const Status same = match_frame(frame, got);
            ASSERT_TRUE(same.has_value()) << same.error().message();
        }
    }
    socket.end();
    EXPECT_TRUE(socket.read_all().empty());
}

// What the transcript's query yields.
FakeQueryService::Prepared prepared_answer() {
    FakeQueryService::Prepared answer;
    answer.columns = {
        ResultColumn("run", ColumnType::kText), ResultColumn("metric", ColumnType::kText),
        ResultColumn("step", ColumnType::kStep), ResultColumn("value", ColumnType::kFloat64)};
    answer.block = ResultBlock(answer.columns);
    answer.block.column(0).append_text("demo/run-1", 2);
    answer.block.column(1).append_text("train/loss", 2);
    answer.block.column(2).append_double(1);
    answer.block.column(2).append_double(2);
    answer.block.column(3).append_double(2.5);
    answer.block.column(3).append_double(std::nan(""));
    return answer;
}

TEST(Transcript, IsWhatTheServerSays) {
    RunningServer server;
    std::promise<void> prepared;
    server.server().executor().post([&] {
        server.queries().prepare("train/loss @ demo/run-1", prepared_answer());
        prepared.set_value();
    });
    prepared.get_future().wait();
    replay(server.server().port());
}

TEST(Transcript, ADifferenceIsFound) {
    const std::string_view document =
        "text\n```transcript\n# remark\nC: 01 02 # more\n   03\nS: 04 .. 06\nS: 07 ...\n```\n";
    const auto frames = parse_transcript(document).value();
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(fixed_bytes(frames[0])->size(), 3U);
    EXPECT_FALSE(fixed_bytes(frames[1]).has_value());
    const std::vector<std::byte> got = {std::byte{4}, std::byte{5}, std::byte{6}};
    EXPECT_TRUE(match_frame(frames[1], got).has_value());
    EXPECT_THAT(match_frame(frames[2], got).error().message(), HasSubstr("line 7: byte 0"));
    EXPECT_THAT(match_frame(frames[1], Bytes(got).first(2)).error().message(),
                HasSubstr("2 bytes, expected 3"));
    EXPECT_FALSE(parse_transcript("```transcript\nC: zz\n```\n").has_value());
}

}  // namespace stepdb::transcript_test
