#include "engine/model/file_header.h"

#include <gtest/gtest.h>

#include "engine/base/coding.h"

namespace stepdb::file_header_test {

constexpr FileKind kKind{.magic = "STEPDBXX", .name = "test", .version = 2};

FileHeader example() {
    FileHeader header;
    header.store.bytes[3] = std::byte{7};
    header.file_id = 41;
    header.details = {1, 2, 3, 4};
    return header;
}

TEST(FileHeader, ComesBackAsWritten) {
    FileHeader header = example();
    header.compatible_features = 1U << 5U;  // unknown and harmless
    const auto page = encode_file_header(kKind, header);
    ASSERT_EQ(page.size(), kFileHeaderBytes);
    const auto decoded = decode_file_header(kKind, page);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(decoded->version, 1U);
    EXPECT_EQ(decoded->compatible_features, 1U << 5U);
    EXPECT_EQ(decoded->store, header.store);
    EXPECT_EQ(decoded->file_id, 41U);
    EXPECT_EQ(decoded->details, header.details);
}

TEST(FileHeader, EveryFlippedByteIsFound) {
    auto page = encode_file_header(kKind, example());
    for (size_t i = 0; i < page.size(); ++i) {
        page[i] ^= std::byte{0x10};
        const auto decoded = decode_file_header(kKind, page);
        ASSERT_FALSE(decoded) << i;
        EXPECT_EQ(decoded.error().code(), ErrorCode::kCorruption) << i;
        page[i] ^= std::byte{0x10};
    }
    EXPECT_FALSE(decode_file_header(kKind, Bytes(page).first(100)));
}

TEST(FileHeader, NewerVersionAndUnknownIncompatibleFeaturesAreRefused) {
    FileHeader newer = example();
    newer.version = 3;
    const auto version = decode_file_header(kKind, encode_file_header(kKind, newer));
    ASSERT_FALSE(version);
    EXPECT_EQ(version.error().code(), ErrorCode::kUnsupportedVersion);
    EXPECT_NE(version.error().message().find("version 3"), std::string::npos);

    FileHeader feature = example();
    feature.incompatible_features = 4;
    const auto incompatible = decode_file_header(kKind, encode_file_header(kKind, feature));
    ASSERT_FALSE(incompatible);
    EXPECT_EQ(incompatible.error().code(), ErrorCode::kUnsupportedVersion);
}

TEST(FileHeader, NonZeroReservedBytesUnderAValidChecksumAreFound) {
    auto page = encode_file_header(kKind, example());
    page[2000] = std::byte{1};
    const uint64_t seed = place_seed(example().store, 41, 0);
    store_le(page.data() + kFileHeaderBytes - 8, xxh3(Bytes(page).first(4088), seed));
    const auto decoded = decode_file_header(kKind, page);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().message().find("reserved"), std::string::npos);
}

TEST(FileHeader, FileOfAnotherStoreOrAnotherIdIsRefused) {
    const FileHeader header = example();
    EXPECT_TRUE(check_file_owner(kKind, header, header.store, 41));
    EXPECT_FALSE(check_file_owner(kKind, header, header.store, 42));
    EXPECT_FALSE(check_file_owner(kKind, header, Id128{}, 41));
}

}  // namespace stepdb::file_header_test
