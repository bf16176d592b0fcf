#include "net/frame_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "engine/model/limits.h"

namespace stepdb::frame_stream_test {

using ::testing::HasSubstr;

uint64_t test_seed() {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
}

std::vector<std::byte> make_frame(uint64_t number, size_t body_bytes) {
    FrameBuilder builder(FrameType::kRows, number);
    builder.writer().put_zeros(body_bytes);
    return builder.finish();
}

// Feeds at most `bytes_max` bytes at a time; returns the numbers of the frames that came out.
std::vector<uint64_t> feed(FrameStream& stream, Bytes bytes, size_t bytes_max) {
    std::vector<uint64_t> numbers;
    while (!bytes.empty()) {
        const MutableBytes space = stream.prepare();
        EXPECT_FALSE(space.empty());
        const size_t count = std::min({space.size(), bytes.size(), bytes_max});
        std::memcpy(space.data(), bytes.data(), count);
        stream.commit(count);
        bytes = bytes.subspan(count);
        for (;;) {
            const auto next = stream.next();
            EXPECT_TRUE(next.has_value()) << next.error().message();
            if (!next || !next->has_value()) {
                break;
            }
            EXPECT_TRUE(verify_frame((*next)->header, (*next)->bytes).has_value());
            numbers.push_back((*next)->header.number);
        }
    }
    return numbers;
}

TEST(FrameStream, GivesFramesOfAnySizeInAnyPieces) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    for (const size_t piece :
         {size_t{1}, size_t{7}, size_t{1000}, size_t{70000}, size_t{1} << 30U}) {
        std::vector<std::byte> bytes;
        std::vector<uint64_t> expected;
        const size_t total = piece == 1 ? 100'000 : 5'000'000;
        while (bytes.size() < total) {
            const size_t body = random() % 10 == 0 ? random() % (total / 4) : random() % 200;
            const auto frame = make_frame(expected.size(), body);
            expected.push_back(expected.size());
            bytes.insert(bytes.end(), frame.begin(), frame.end());
        }
        FrameStream stream;
        EXPECT_EQ(feed(stream, bytes, piece), expected);
        EXPECT_EQ(stream.partial_bytes(), 0U);
    }
}

TEST(FrameStream, FramesOutliveTheStreamsBuffer) {
    FrameStream stream;
    const auto frame = make_frame(1, 100);
    std::optional<ReceivedFrame> kept;
    for (int i = 0; i < 10000; ++i) {
        const MutableBytes space = stream.prepare();
        ASSERT_GE(space.size(), frame.size());
        std::memcpy(space.data(), frame.data(), frame.size());
        stream.commit(frame.size());
        auto next = stream.next();
        ASSERT_TRUE(next.has_value() && next->has_value());
        if (!kept) {
            kept = std::move(*next);
        }
        ASSERT_FALSE(stream.next()->has_value());
    }
    EXPECT_TRUE(verify_frame(kept->header, kept->bytes).has_value());
}

TEST(FrameStream, DeclaredLengthTakesNoMemoryByItself) {
    FrameStream stream;
    std::vector<std::byte> head = make_frame(1, 0);
    store_le(head.data(), kFrameBytesMax);
    const MutableBytes space = stream.prepare();
    std::memcpy(space.data(), head.data(), head.size());
    stream.commit(head.size());
    ASSERT_TRUE(stream.next().has_value());
    EXPECT_EQ(stream.begun_frame_bytes(), kFrameBytesMax);
    EXPECT_LE(stream.prepare().size(), FrameStream::kReadBytesMax);
}

TEST(FrameStream, GarbageIsAnErrorAtOnce) {
    FrameStream stream;
    const std::string_view text = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const MutableBytes space = stream.prepare();
    std::memcpy(space.data(), text.data(), text.size());
    stream.commit(text.size());
    EXPECT_THAT(stream.next().error().message(), HasSubstr("is the peer speaking"));
}

TEST(FrameStream, WrongChecksumIsAnError) {
    FrameStream stream;
    std::vector<std::byte> frame = make_frame(1, 10);
    frame.back() ^= std::byte{1};
    const MutableBytes space = stream.prepare();
    std::memcpy(space.data(), frame.data(), frame.size());
    stream.commit(frame.size());
    EXPECT_THAT(stream.next().error().message(), HasSubstr("checksum"));
}

}  // namespace stepdb::frame_stream_test
