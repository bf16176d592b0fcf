#include "tools/import/unpacked_source.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "tools/import/testing/log_text.h"
#include "tools/import/testing/proto_bytes.h"

namespace stepdb::unpacked_source_test {

std::string gzip(const std::string& text) {
    z_stream stream = {};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string packed(deflateBound(&stream, text.size()), '\0');
    std::string from = text;
    stream.next_in = reinterpret_cast<Bytef*>(from.data());
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

std::string zstd(const std::string& text) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    EXPECT_EQ(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)), 0U);
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    const size_t bytes =
        ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size());
    EXPECT_EQ(ZSTD_isError(bytes), 0U);
    ZSTD_freeCCtx(context);
    packed.resize(bytes);
    return packed;
}

// What comes out, and behind it the error, if there is one.
struct Unpacked {
    std::string text;
    std::string error;
};

Unpacked read_all(const ByteSource& source, size_t room) {
    Unpacked read;
    std::vector<std::byte> buffer(room);
    for (;;) {
        const Result<size_t> got = source(MutableBytes(buffer));
        if (!got) {
            read.error = got.error().message();
            const Result<size_t> again = source(MutableBytes(buffer));
            EXPECT_TRUE(!again && again.error().message() == read.error);
            return read;
        }
        if (*got == 0) {
            return read;
        }
        read.text += as_text(Bytes(buffer).first(*got));
    }
}

Unpacked unpack_all(const std::string& packed, size_t piece = 1000, size_t room = 4096) {
    const Result<ByteSource> source = unpack(testing::source_of(packed, piece), "a.gz");
    EXPECT_TRUE(source);
    return source ? read_all(*source, room) : Unpacked();
}

std::string some_text(size_t lines) {
    std::string text;
    for (size_t line = 0; line < lines; ++line) {
        text += fmt::format("{{\"step\": {}, \"loss\": {}}}\n", line, line * 7919 % 1000);
    }
    return text;
}

const std::vector<std::string (*)(const std::string&)> kPackers = {gzip, zstd};

TEST(UnpackedSource, GivesBackWhatWasCompressedInPiecesOfAnySize) {
    for (const auto pack : kPackers) {
        for (const std::string& text : {std::string(), std::string("x"), some_text(5000)}) {
            const std::string packed = pack(text);
            for (const auto& [piece, room] : {std::pair(1U, 1U), std::pair(3U, 100'000U),
                                              std::pair(100'000U, 1U), std::pair(777U, 555U)}) {
                const Unpacked read = unpack_all(packed, piece, room);
                EXPECT_EQ(read.error, "");
                EXPECT_TRUE(read.text == text) << piece << " " << room;
            }
        }
    }
}

TEST(UnpackedSource, LeavesOtherFilesAsTheyAre) {
    for (const std::string& text :
         {std::string(), std::string("\x1f"), std::string("\x1f\x8b"), std::string("step,loss\n"),
          std::string("\x28\xb5\x2f"), some_text(100)}) {
        EXPECT_TRUE(unpack_all(text, 1).text == text);
    }
}

TEST(UnpackedSource, ReadsOnWhereAnotherMemberOrFrameFollows) {
    const std::string text = some_text(300);
    for (const auto pack : kPackers) {
        const Unpacked read = unpack_all(pack(text) + pack("") + pack("end\n"), 50, 64);
        EXPECT_EQ(read.error, "");
        EXPECT_TRUE(read.text == text + "end\n");
    }
}

TEST(UnpackedSource, NamesTheByteWhereItIsCutOffAfterWhatCameBefore) {
    const std::string text = some_text(20'000);
    for (const auto pack : kPackers) {
        const std::string packed = pack(text);
        const std::vector<size_t> cuts = {4, 5, 11, packed.size() / 2, packed.size() - 1};
        for (const size_t cut : cuts) {
            const Unpacked read = unpack_all(packed.substr(0, cut));
            EXPECT_TRUE(text.starts_with(read.text));
            EXPECT_EQ(read.error,
                      fmt::format("a.gz: byte {} of the compressed file: the file ends within {} "
                                  "data: it is not all there",
                                  cut, pack == gzip ? "gzip" : "zstd"));
        }
        EXPECT_GT(unpack_all(packed.substr(0, packed.size() - 1)).text.size(), text.size() / 2);
    }
}

TEST(UnpackedSource, NamesWhatFollowsTheData) {
    for (const auto pack : kPackers) {
        const std::string packed = pack("step,loss\n");
        const Unpacked read = unpack_all(packed + "something else");
        EXPECT_EQ(read.text, "step,loss\n");
        EXPECT_NE(read.error.find("what follows the "), std::string::npos) << read.error;
    }
}

// One bit at any place: an error, or the same bytes (a time or a name in a header may change).
TEST(UnpackedSource, FindsDamageAnywhere) {
    const uint64_t seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const std::string text = some_text(400);
    for (const auto pack : kPackers) {
        const std::string packed = pack(text);
        int found = 0;
        for (int round = 0; round < 300; ++round) {
            std::string damaged = packed;
            const size_t at = 4 + random() % (packed.size() - 4);
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
            const Unpacked read = unpack_all(damaged, 100, 333);
            EXPECT_TRUE(!read.error.empty() || read.text == text) << at;
            found += read.error.empty() ? 0 : 1;
        }
        EXPECT_GT(found, 250);
    }
}

class OpenFile : public testing::LogFiles {};

TEST_F(OpenFile, UnpacksAndCountsTheBytesThatComeOut) {
    const std::string text = some_text(1000);
    for (const std::string& bytes : {text, gzip(text), zstd(text)}) {
        const std::string file = write("log", bytes);
        EXPECT_EQ(is_compressed(file), bytes != text);
        for (const uint64_t bytes_max : {uint64_t{0}, uint64_t{777}, UINT64_MAX}) {
            const Result<ByteSource> source = open_file(file, bytes_max);
            ASSERT_TRUE(source);
            EXPECT_TRUE(read_all(*source, 100).text == text.substr(0, bytes_max));
        }
    }
    EXPECT_FALSE(is_compressed(path("none")));
}

TEST(WithoutPackingSuffix, TakesOneOff) {
    EXPECT_EQ(without_packing_suffix("a.jsonl.zst"), "a.jsonl");
    EXPECT_EQ(without_packing_suffix("a.csv.gz"), "a.csv");
    EXPECT_EQ(without_packing_suffix("a.csv"), "a.csv");
    EXPECT_EQ(without_packing_suffix(".gz"), ".gz");
}

}  // namespace stepdb::unpacked_source_test
