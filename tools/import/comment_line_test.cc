#include "tools/import/comment_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace stepdb::comment_line_test {

// Hands out `step` bytes a call.
ByteSource source_of(std::string text, size_t step) {
    return [text = std::move(text), step, at = size_t{0}](MutableBytes into) mutable {
        const size_t got = std::min({into.size(), step, text.size() - at});
        std::memcpy(into.data(), text.data() + at, got);
        at += got;
        return Result<size_t>(got);
    };
}

std::string read_all(const ByteSource& source) {
    std::string text;
    std::vector<std::byte> buffer(7);
    for (;;) {
        const Result<size_t> got = source(buffer);
        if (!got || *got == 0) {
            return text;
        }
        text += as_text(Bytes(buffer).first(*got));
    }
}

TEST(CommentLine, IsTakenOffTheTable) {
    for (const size_t step : {size_t{1}, size_t{3}, size_t{1000}}) {
        for (const std::string lead : {"#", "\xef\xbb\xbf# "}) {
            const std::string line = lead + "{\"t_start\": 1.5}\r\n";
            const Result<CommentedSource> taken =
                take_comment(source_of(line + "r,l,t\n1,2,3", step));
            ASSERT_TRUE(taken);
            EXPECT_EQ(taken->comment, "{\"t_start\": 1.5}");
            EXPECT_EQ(taken->bytes, line.size());
            EXPECT_EQ(read_all(taken->rest), "r,l,t\n1,2,3");
        }
    }
}

TEST(CommentLine, LeavesOtherFirstLinesWhereTheyAre) {
    const std::string long_line = "#{" + std::string(2U << 20U, 'x') + "}\n";
    for (const std::string& text :
         {std::string(), std::string("#"), std::string("# step,loss\n0,1\n"),
          std::string("step\n#{}\n"), std::string("#{\"cut\": 1"), std::string("#{,}x\n"),
          long_line}) {
        const Result<CommentedSource> taken = take_comment(source_of(text, 1000));
        ASSERT_TRUE(taken);
        EXPECT_FALSE(taken->comment);
        EXPECT_EQ(taken->bytes, 0U);
        EXPECT_EQ(read_all(taken->rest), text);
    }
}

TEST(CommentLine, PassesErrorsOn) {
    const Result<CommentedSource> taken = take_comment(
        [](MutableBytes) -> Result<size_t> { return make_error(ErrorCode::kIoError, "broken"); });
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().message(), "broken");
}

}  // namespace stepdb::comment_line_test
