#include "tools/import/wandb_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tools/import/testing/wandb_bytes.h"

namespace stepdb::wandb_reader_test {

using testing::wandb_bytes;
using testing::wandb_fragment;

struct Records {
    std::vector<std::string> records;
    std::string error;
    uint64_t bytes_read = 0;
};

Records read(const std::string& text) {
    WandbReader reader(
        [&, at = size_t{0}](MutableBytes into) mutable -> Result<size_t> {
            const size_t got = std::min({into.size(), size_t{1000}, text.size() - at});
            std::memcpy(into.data(), text.data() + at, got);
            at += got;
            return got;
        },
        "a.wandb");
    Records read;
    Bytes record;
    for (;;) {
        const Result<bool> more = reader.next(record);
        read.bytes_read = reader.bytes_read();
        if (!more || !*more) {
            read.error = more ? "" : more.error().message();
            return read;
        }
        read.records.emplace_back(as_text(record));
    }
}

// Of all sizes around those of blocks, so that heads come close to their ends.
std::vector<std::string> many_records() {
    std::vector<std::string> records = {"", "a", std::string(100'000, 'b')};
    for (size_t size = 32'740; size < 32'770; ++size) {
        records.emplace_back(size, static_cast<char>('a' + size % 26));
        records.emplace_back("x");
    }
    return records;
}

TEST(WandbReader, JoinsWhatBlocksPart) {
    const std::vector<std::string> records = many_records();
    const std::string text = wandb_bytes(records);
    const Records got = read(text);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.records, records);
    EXPECT_EQ(got.bytes_read, text.size());
    EXPECT_TRUE(read("").records.empty());
    EXPECT_EQ(read("").error, "");
}

TEST(WandbReader, TellsWhereAFileIsCutOff) {
    const std::vector<std::string> records = {"abc", std::string(40'000, 'x'), "def"};
    const std::string text = wandb_bytes(records);
    for (size_t size = 8; size < text.size(); size += size < 30 || size > 32'000 ? 1 : 500) {
        const Records got = read(text.substr(0, size));
        const bool is_between = got.records == std::vector<std::string>{"abc"} && size == 17;
        const bool is_before_last = got.records.size() == 2 && size == text.size() - 10;
        EXPECT_EQ(got.error.empty(), is_between || is_before_last) << size << got.error;
        EXPECT_LT(got.records.size(), 3U);
    }
}

TEST(WandbReader, FindsEveryChangedByte) {
    const std::string text = wandb_bytes({"abc", "de"});
    for (size_t at = 0; at < text.size(); ++at) {
        std::string damaged = text;
        damaged[at] = static_cast<char>(damaged[at] ^ 4);
        EXPECT_NE(read(damaged).error, "") << at;
    }
}

TEST(WandbReader, NamesWhatIsWrong) {
    const std::string head = wandb_bytes({});
    const auto check = [&](const std::string& text, const std::string& part) {
        const std::string error = read(text).error;
        EXPECT_NE(error.find(part), std::string::npos) << error;
    };
    check("{\"step\": 1}", "a.wandb: byte 0, record 0: this is no log of W&B");
    check(head.substr(0, 6) + "\x01", "a log of version 1");
    check(head + wandb_fragment(3, "x"), "record 1: a fragment of type 3 is out of place");
    check(head + wandb_fragment(2, "x") + wandb_fragment(1, "y"),
          "byte 15, record 1: a fragment of type 1 is out of place");
    check(head + wandb_fragment(9, "x"), "a fragment of type 9");
    check(head + wandb_fragment(2, "x"), "the file ends within this record");
}

}  // namespace stepdb::wandb_reader_test
