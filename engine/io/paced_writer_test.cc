#include "engine/io/paced_writer.h"

#include <gtest/gtest.h>

#include "tests/support/sim_file_system.h"

namespace stepdb::paced_writer_test {

// Remembers the pieces, and lets so many be written.
struct Pace final : WritePace {
    Task<Status> next(size_t bytes) override {
        if (pieces.size() == most) {
            co_return Error(ErrorCode::kCancelled, "enough");
        }
        pieces.push_back(bytes);
        co_return Status();
    }

    std::vector<size_t> pieces;
    size_t most = 100;
};

std::vector<std::byte> some_bytes(size_t bytes) {
    std::vector<std::byte> made(bytes);
    for (size_t at = 0; at < bytes; ++at) {
        made[at] = static_cast<std::byte>(at * 31 + at / 256);
    }
    return made;
}

TEST(PacedWriter, WritesPiecesOfOneLengthAndWhatIsLeft) {
    SimDisk disk({"d"});
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    const auto file = std::move(run_task(executor, files.open("d/f", OpenMode::kCreate))).value();
    Pace pace;
    PacedWriter writer(*file, pace, 2 * kPageBytes);
    const std::vector<std::byte> bytes = some_bytes(5 * kPageBytes + 17);
    ASSERT_TRUE(run_task(executor, writer.put(Bytes(bytes).first(100))));
    EXPECT_TRUE(pace.pieces.empty());
    ASSERT_TRUE(run_task(executor, writer.put(Bytes(bytes).subspan(100))));
    ASSERT_TRUE(run_task(executor, writer.put_zeros(kPageBytes)));
    EXPECT_EQ(writer.bytes(), 6 * kPageBytes + 17);
    ASSERT_TRUE(run_task(executor, writer.finish()));
    EXPECT_EQ(pace.pieces, (std::vector<size_t>{8192, 8192, 8192, 17}));
    std::vector<std::byte> want = bytes;
    want.resize(6 * kPageBytes + 17);
    EXPECT_EQ(*disk.contents("d/f"), want);
}

TEST(PacedWriter, EndsWithTheErrorOfItsPace) {
    SimDisk disk({"d"});
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    const auto file = std::move(run_task(executor, files.open("d/f", OpenMode::kCreate))).value();
    Pace pace;
    pace.most = 1;
    PacedWriter writer(*file, pace, kPageBytes);
    const std::vector<std::byte> bytes = some_bytes(3 * kPageBytes);
    const Status put = run_task(executor, writer.put(bytes));
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().code(), ErrorCode::kCancelled);
    EXPECT_EQ(disk.contents("d/f")->size(), kPageBytes);
}

}  // namespace stepdb::paced_writer_test
