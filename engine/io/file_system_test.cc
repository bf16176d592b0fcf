// What every FileSystem does, on all three: io_uring, pread/pwrite and the simulated disk.
#include "engine/io/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/environment.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::file_system_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr SyncSite kSite = SyncSite::kLogGroup;

// A directory of its own for each test, removed with everything in it.
class TemporaryDirectory {
  public:
    TemporaryDirectory() : path_(testing::TempDir() + "stepdb-io-XXXXXX") {
        CHECK(::mkdtemp(path_.data()) != nullptr, "{}", path_);
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

template <IoChoice kChoice>
class HostBackend {
  public:
    static bool is_available() { return IoEnvironment::create(kChoice).has_value(); }

    FileSystem& files() { return environment_->files(); }
    std::string root() const { return directory_.path(); }
    template <typename T>
    T run(Task<T> task) {
        return block_on(environment_->loop(), std::move(task));
    }

  private:
    TemporaryDirectory directory_;
    std::unique_ptr<IoEnvironment> environment_ = std::move(IoEnvironment::create(kChoice)).value();
};

class SimBackend {
  public:
    static bool is_available() { return true; }

    FileSystem& files() { return files_; }
    std::string root() const { return "root"; }
    template <typename T>
    T run(Task<T> task) {
        return run_task(executor_, std::move(task));
    }

  private:
    SimExecutor executor_{3};
    SimDisk disk_{{"root"}};
    SimFileSystem files_{disk_, executor_};
};

template <typename Backend>
class FileSystemTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!Backend::is_available()) {
            GTEST_SKIP() << "this kernel has no io_uring, or forbids it";
        }
        backend_ = std::make_unique<Backend>();
        this->RecordProperty("backend", std::string(files().backend()));
    }

    FileSystem& files() { return backend_->files(); }
    std::string path(std::string_view name) { return fmt::format("{}/{}", backend_->root(), name); }
    template <typename T>
    T run(Task<T> task) {
        return backend_->run(std::move(task));
    }
    std::unique_ptr<File> open(std::string_view name, OpenMode mode) {
        return std::move(run(files().open(path(name), mode))).value();
    }
    void put(std::string_view name, Bytes bytes) {
        EXPECT_TRUE(run(open(name, OpenMode::kCreate)->write(0, bytes)).has_value());
    }
    std::vector<std::byte> contents(File& file) {
        std::vector<std::byte> bytes(file.size());
        EXPECT_TRUE(run(file.read(0, bytes)).has_value());
        return bytes;
    }

    std::unique_ptr<Backend> backend_;
};

std::vector<std::byte> pattern(size_t bytes, uint64_t seed) {
    SimRandom random(seed);
    std::vector<std::byte> out(bytes);
    for (std::byte& byte : out) {
        byte = static_cast<std::byte>(random.next());
    }
    return out;
}

// Starts all of `tasks` at once and counts those that fail.
Task<size_t> count_failures(std::vector<Task<Status>> tasks) {
    size_t left = tasks.size();
    size_t failures = 0;
    Signal done;
    for (Task<Status>& task : tasks) {
        start(std::move(task), [&](const Status& status) {
            failures += status.has_value() ? 0U : 1U;
            if (--left == 0) {
                done.fire();
            }
        });
    }
    co_await done;
    co_return failures;
}

struct BackendNames {
    template <typename Backend>
    static std::string GetName(int index) {  // NOLINT(readability-identifier-naming): gtest's name
        constexpr std::array kNames = {"uring", "posix", "simulated"};
        return kNames[static_cast<size_t>(index)];
    }
};

using Backends =
    testing::Types<HostBackend<IoChoice::kUring>, HostBackend<IoChoice::kPosix>, SimBackend>;
TYPED_TEST_SUITE(FileSystemTest, Backends, BackendNames);

TYPED_TEST(FileSystemTest, ReadsBackWhatItWroteAtAnyAlignment) {
    auto file = this->open("f", OpenMode::kCreate);
    std::vector<std::byte> model;
    SimRandom random(test_seed(21));
    for (int round = 0; round < 60; ++round) {
        const bool aligned = random.coin();
        const uint64_t unit = aligned ? kPageBytes : 1;
        const uint64_t offset = random.below(aligned ? 8 : 30'000) * unit;
        const size_t bytes = static_cast<size_t>((1 + random.below(aligned ? 8 : 20'000)) * unit);
        AlignedBuffer buffer(bytes);
        const MutableBytes part = buffer.span().first(bytes);
        std::ranges::copy(pattern(bytes, random.next()), part.begin());
        const bool synced = random.coin();
        auto task = synced ? file->write_synced(offset, part, kSite) : file->write(offset, part);
        ASSERT_TRUE(this->run(std::move(task)).has_value());
        model.resize(std::max<size_t>(model.size(), offset + bytes));
        std::ranges::copy(part, model.begin() + static_cast<ptrdiff_t>(offset));
        ASSERT_EQ(file->size(), model.size());
        if (model.size() >= kPageBytes) {
            AlignedBuffer page(kPageBytes);
            ASSERT_TRUE(this->run(file->read(0, page.span())).has_value());
            ASSERT_TRUE(std::equal(page.span().begin(), page.span().end(), model.begin()));
        }
        ASSERT_EQ(this->contents(*file), model) << "round " << round;
    }
}

TYPED_TEST(FileSystemTest, ManySyncedWritesInFlightAllArrive) {
    constexpr size_t kWrites = 64;
    auto file = this->open("f", OpenMode::kCreate);
    std::vector<AlignedBuffer> buffers;
    std::vector<std::byte> model;
    std::vector<Task<Status>> tasks;
    for (size_t i = 0; i < kWrites; ++i) {
        AlignedBuffer& buffer = buffers.emplace_back(kPageBytes * (1 + i % 3));
        std::ranges::copy(pattern(buffer.size(), i), buffer.span().begin());
        tasks.push_back(file->write_synced(model.size(), buffer.span(), kSite));
        model.insert(model.end(), buffer.span().begin(), buffer.span().end());
    }
    EXPECT_EQ(this->run(count_failures(std::move(tasks))), 0U);
    EXPECT_EQ(this->contents(*file), model);
}

TYPED_TEST(FileSystemTest, MoreOperationsAtOnceThanAnyQueueHolds) {
    constexpr size_t kReads = 3000;
    const std::vector<std::byte> bytes = pattern(kReads, 4);
    this->put("f", bytes);
    auto file = this->open("f", OpenMode::kRead);
    std::vector<std::byte> back(kReads);
    std::vector<Task<Status>> tasks;
    for (size_t i = 0; i < kReads; ++i) {
        tasks.push_back(file->read(i, MutableBytes(back).subspan(i, 1)));
    }
    EXPECT_EQ(this->run(count_failures(std::move(tasks))), 0U);
    EXPECT_EQ(back, bytes);
}

TYPED_TEST(FileSystemTest, LargeTransfersAreWhole) {
    auto file = this->open("f", OpenMode::kCreate);
    const std::vector<std::byte> bytes = pattern(5'000'123, 6);
    ASSERT_TRUE(this->run(file->write_synced(77, bytes, kSite)).has_value());
    std::vector<std::byte> back(bytes.size());
    ASSERT_TRUE(this->run(file->read(77, back)).has_value());
    EXPECT_EQ(back, bytes);
}

TYPED_TEST(FileSystemTest, EmptyTransfersSucceed) {
    auto file = this->open("f", OpenMode::kCreate);
    EXPECT_TRUE(this->run(file->read(0, {})).has_value());
    EXPECT_TRUE(this->run(file->write(0, {})).has_value());
    EXPECT_TRUE(this->run(file->write_synced(0, {}, kSite)).has_value());
    EXPECT_EQ(file->size(), 0U);
}

TYPED_TEST(FileSystemTest, ReadPastTheEndIsAnErrorThatNamesTheFile) {
    this->put("f", pattern(5000, 1));
    auto file = this->open("f", OpenMode::kRead);
    AlignedBuffer buffer(2 * kPageBytes);
    const Status status = this->run(file->read(0, buffer.span()));
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kIoError);
    EXPECT_THAT(status.error().message(), HasSubstr("short read"));
    EXPECT_THAT(status.error().message(), HasSubstr(this->path("f")));
    std::vector<std::byte> one(1);
    EXPECT_FALSE(this->run(file->read(5000, one)).has_value());
    EXPECT_TRUE(this->run(file->read(4999, one)).has_value());
}

TYPED_TEST(FileSystemTest, WritingAFileOpenedForReadingIsAnError) {
    this->put("f", pattern(kPageBytes, 1));
    auto file = this->open("f", OpenMode::kRead);
    EXPECT_EQ(file->size(), kPageBytes);
    AlignedBuffer buffer(kPageBytes);
    EXPECT_FALSE(this->run(file->write(0, buffer.span())).has_value());
    EXPECT_FALSE(this->run(file->write_synced(0, buffer.span(), kSite)).has_value());
    EXPECT_FALSE(this->run(file->allocate(2 * kPageBytes)).has_value());
    EXPECT_EQ(this->contents(*file), pattern(kPageBytes, 1));
}

TYPED_TEST(FileSystemTest, OpenSaysWhatIsMissingOrInTheWay) {
    for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
        const auto missing = this->run(this->files().open(this->path("none"), mode));
        ASSERT_FALSE(missing.has_value());
        EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
        EXPECT_THAT(missing.error().message(), HasSubstr(this->path("none")));
        EXPECT_THAT(missing.error().message(), HasSubstr("No such file"));
    }
    this->put("f", {});
    const auto exists = this->run(this->files().open(this->path("f"), OpenMode::kCreate));
    ASSERT_FALSE(exists.has_value());
    EXPECT_EQ(exists.error().code(), ErrorCode::kAlreadyExists);
    const auto nowhere = this->run(this->files().open(this->path("no/f"), OpenMode::kCreate));
    ASSERT_FALSE(nowhere.has_value());
    EXPECT_EQ(nowhere.error().code(), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemTest, AllocateGrowsWithZerosAndNeverShrinks) {
    auto file = this->open("f", OpenMode::kCreate);
    ASSERT_TRUE(this->run(file->allocate(0)).has_value());
    ASSERT_TRUE(this->run(file->write(0, pattern(10, 1))).has_value());
    ASSERT_TRUE(this->run(file->allocate(3 * kPageBytes)).has_value());
    EXPECT_EQ(file->size(), 3 * kPageBytes);
    ASSERT_TRUE(this->run(file->allocate(kPageBytes)).has_value());
    EXPECT_EQ(file->size(), 3 * kPageBytes);
    std::vector<std::byte> model = pattern(10, 1);
    model.resize(3 * kPageBytes);
    EXPECT_EQ(this->contents(*file), model);
}

TYPED_TEST(FileSystemTest, AReopenedFileHasItsSizeAndContents) {
    const std::vector<std::byte> bytes = pattern(12'345, 8);
    this->put("f", bytes);
    auto file = this->open("f", OpenMode::kReadWrite);
    EXPECT_EQ(file->size(), bytes.size());
    EXPECT_EQ(this->contents(*file), bytes);
    EXPECT_TRUE(this->run(file->sync(kSite)).has_value());
}

TYPED_TEST(FileSystemTest, RenameReplacesAndTheOpenFileGoesOn) {
    auto file = this->open("new", OpenMode::kCreate);
    this->put("CURRENT", pattern(3, 1));
    ASSERT_TRUE(this->run(this->files().rename(this->path("new"), this->path("CURRENT"))));
    AlignedBuffer page(kPageBytes);
    ASSERT_TRUE(this->run(file->write_synced(0, page.span(), kSite)).has_value());
    EXPECT_TRUE(this->run(this->files().sync_directory(this->backend_->root(), kSite)));
    EXPECT_EQ(this->open("CURRENT", OpenMode::kRead)->size(), kPageBytes);
    const Status again = this->run(this->files().rename(this->path("new"), this->path("x")));
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code(), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemTest, RenameAcrossDirectoriesIsRefused) {
    this->put("f", {});
    ASSERT_TRUE(this->run(this->files().make_directory(this->path("sub"))).has_value());
    const Status status = this->run(this->files().rename(this->path("f"), this->path("sub/f")));
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
}

TYPED_TEST(FileSystemTest, RemovedFilesAreGoneButAnOpenOneStillReads) {
    this->put("f", pattern(100, 2));
    auto file = this->open("f", OpenMode::kRead);
    ASSERT_TRUE(this->run(this->files().remove(this->path("f"))).has_value());
    EXPECT_FALSE(this->run(this->files().open(this->path("f"), OpenMode::kRead)).has_value());
    EXPECT_EQ(this->contents(*file), pattern(100, 2));
    const Status again = this->run(this->files().remove(this->path("f")));
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code(), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemTest, MakesDirectoriesAndListsThemSorted) {
    ASSERT_TRUE(this->run(this->files().make_directory(this->path("a/b/c"))).has_value());
    ASSERT_TRUE(this->run(this->files().make_directory(this->path("a/b"))).has_value());
    this->put("a/z", {});
    this->put("a/m", {});
    auto names = this->run(this->files().list(this->path("a")));
    ASSERT_TRUE(names.has_value());
    EXPECT_THAT(*names, ElementsAre("b", "m", "z"));
    EXPECT_TRUE(this->run(this->files().sync_directory(this->path("a"), kSite)).has_value());
}

TYPED_TEST(FileSystemTest, MissingDirectoriesAreNotFound) {
    const auto names = this->run(this->files().list(this->path("none")));
    ASSERT_FALSE(names.has_value());
    EXPECT_EQ(names.error().code(), ErrorCode::kNotFound);
    const Status synced = this->run(this->files().sync_directory(this->path("none"), kSite));
    ASSERT_FALSE(synced.has_value());
    EXPECT_EQ(synced.error().code(), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemTest, LockIsExclusiveUntilReleased) {
    auto held = this->run(this->files().lock(this->path("LOCK")));
    ASSERT_TRUE(held.has_value());
    const auto refused = this->run(this->files().lock(this->path("LOCK")));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(refused.error().message(), HasSubstr(this->path("LOCK")));
    held->reset();
    EXPECT_TRUE(this->run(this->files().lock(this->path("LOCK"))).has_value());
    const auto nowhere = this->run(this->files().lock(this->path("none/LOCK")));
    ASSERT_FALSE(nowhere.has_value());
    EXPECT_EQ(nowhere.error().code(), ErrorCode::kNotFound);
}

TEST(Paths, SplitAtTheLastSlash) {
    EXPECT_EQ(directory_of("a/b/c"), "a/b");
    EXPECT_EQ(name_of("a/b/c"), "c");
    EXPECT_EQ(directory_of("c"), ".");
    EXPECT_EQ(name_of("c"), "c");
    EXPECT_EQ(directory_of("/c"), "/");
}

}  // namespace stepdb::file_system_test
