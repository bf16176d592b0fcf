// The whole server in this process with everything it has threads for at once: several writers of
// the C++ library, charts and lists on several query threads and watches of them, flushes and
// merges, backups, restarts and deletes, with bounds so small that rows have to wait for room, the
// log for its turns, and what queries keep for each other for a place. For the thread sanitizer
// above all; what is there afterwards is compared with what was logged.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include "clients/cpp/writer.h"
#include "engine/base/large_buffer.h"
#include "engine/engine.h"
#include "engine/io/environment.h"
#include "engine/model/life_frame.h"
#include "engine/verify.h"
#include "net/client.h"
#include "net/engine_query_service.h"
#include "net/server.h"

namespace stepdb::load_test {

constexpr int kWriters = 3;
constexpr size_t kQueryThreads = 3;
constexpr int kReaders = 4;
constexpr int kSteps = 6000;
constexpr int kRestartAfter = 4000;  // steps of attempt 0
constexpr int kRestartAt = 3000;     // the last of them that attempt 1 reads
constexpr uint32_t kMetrics = 24;
constexpr int kDeletes = 12;
constexpr size_t kMebi = 1U << 20U;

float value_of(int writer, int attempt, int step, uint32_t metric) {
    return static_cast<float>(writer * 1000 + attempt * 500 + step % 400) +
           0.25F * static_cast<float>(metric);
}

std::vector<std::string_view> metric_views(const std::vector<std::string>& names) {
    return {names.begin(), names.end()};
}

class Load : public ::testing::Test {
  protected:
    Load() {
        LargeBuffer::set_limits(8 * kMebi, 8 * kMebi);  // as `stepdb serve` does
        for (uint32_t metric = 0; metric < kMetrics; ++metric) {
            names_.push_back("layer/" + std::to_string(metric));
        }
        open();
    }
    ~Load() override {
        close();
        LargeBuffer::set_limits(64 * kMebi, 64 * kMebi);  // as they were
        std::filesystem::remove_all(directory_);
        std::filesystem::remove_all(backup_directory_);
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void open() {
        EngineOptions options;
        options.directory = directory_;
        options.log_file_bytes = kMebi;
        options.log_live_bytes_max = 4 * kMebi;
        options.log_group_bytes_max = 64U << 10U;
        options.tail_rows_max = 128;
        options.memory_blocks_bytes_max = kMebi;
        options.rows_bytes_max = 3 * kMebi;
        for (auto* const io : {&io_, &seal_io_, &merge_io_}) {
            *io = IoEnvironment::create().value();
        }
        for (size_t thread = 0; thread < kQueryThreads; ++thread) {
            query_io_.push_back(IoEnvironment::create().value());
        }
        Loop& loop = io_->loop();
        EngineEnvironment environment(loop, io_->files(), clock_, random_);
        environment.seal_executor = &seal_io_->loop();
        environment.merge_executor = &merge_io_->loop();
        environment.merge_files = &merge_io_->files();
        engine_ = block_on(loop, Engine::open(environment, std::move(options))).value();
        ServerOptions server;
        server.port = 0;
        server_ = Server::listen(std::move(server)).value();
        QueryEnvironment asking(loop, query_sides(), server_->executor(), io_->clock());
        asking.call_after = [this](std::chrono::microseconds after, std::function<void()> call) {
            server_->call_after(after, std::move(call));
        };
        queries_ = std::make_unique<EngineQueryService>(*engine_, asking, query_limits());
        net_ = std::thread([this, &loop] { server_->run(*engine_, loop, *queries_); });
    }
    std::vector<QuerySide> query_sides() const {
        std::vector<QuerySide> sides;
        sides.reserve(query_io_.size());
        for (const auto& io : query_io_) {
            sides.emplace_back(io->loop(), io->files());
        }
        return sides;
    }
    static QueryLimits query_limits() {
        QueryLimits limits;
        limits.memory = std::make_shared<MemoryBudget>(64 * kMebi);
        limits.cache = std::make_shared<BlockCache>(kMebi / 8);
        return limits;
    }
    void close() {
        server_->stop();
        net_.join();
        queries_.reset();
        const Status closed = block_on(io_->loop(), engine_->close());
        EXPECT_TRUE(closed.has_value()) << closed.error().to_string();
        // Behind what was posted there and may still use it.
        on_engine([this] { engine_.reset(); });
        query_io_.clear();
        for (auto* const io : {&merge_io_, &seal_io_, &io_}) {
            io->reset();
        }
    }

    void on_engine(const std::function<void()>& call) const {
        std::promise<void> called;
        io_->loop().post([&] {
            call();
            called.set_value();
        });
        called.get_future().wait();
    }

    std::unique_ptr<client::Writer> connect_writer() const {
        client::Options options;
        options.port = server_->port();
        options.frame_bytes = 16U << 10U;
        options.queue_bytes_max = kMebi;
        return client::Writer::connect(std::move(options)).value();
    }
    std::unique_ptr<Client> connect(uint8_t writer = 0) const {
        ClientOptions options;
        options.port = server_->port();
        options.writer.bytes[0] = std::byte{writer};
        return Client::connect(std::move(options)).value();
    }

    // Logs `steps` from `first` on.
    void log(const client::RowLog& rows, int writer, int attempt, int first, int last) const {
        std::vector<float> values(kMetrics);
        for (int step = first; step < last; ++step) {
            for (uint32_t metric = 0; metric < kMetrics; ++metric) {
                values[metric] = value_of(writer, attempt, step, metric);
            }
            const Status logged = rows.log(step, std::span<const float>(values));
            ASSERT_TRUE(logged.has_value()) << logged.error().to_string();
        }
    }

    void write(int writer) const {
        const auto connection = connect_writer();
        auto run = connection->open_run("load", "r" + std::to_string(writer)).value();
        const auto rows = run.row_log(metric_views(names_)).value();
        log(rows, writer, 0, 0, kRestartAfter);
        ASSERT_TRUE(run.restart(kRestartAt).has_value());
        log(rows, writer, 1, kRestartAt + 1, kSteps);
        ASSERT_TRUE(run.finish().has_value());
        const client::Report report = connection->flush().value();
        EXPECT_TRUE(report.all_stored());
        EXPECT_EQ(report.rows, static_cast<uint64_t>(kRestartAfter + kSteps - kRestartAt - 1));
    }

    // Makes runs and deletes them again, each under the same name.
    void make_and_delete() const {
        const auto writer = connect_writer();
        for (int round = 0; round < kDeletes; ++round) {
            const auto rows = writer->open_run("load", "gone" + std::to_string(round))
                                  ->row_log(metric_views(names_));
            log(rows.value(), kWriters, 0, 0, 300);
            ASSERT_TRUE(writer->flush()->all_stored());
            const auto other = connect(static_cast<uint8_t>(100 + round));
            auto run = other->open_run("load", "gone" + std::to_string(round), 0).value();
            ASSERT_TRUE(other->send_change(encode_delete_run_frame(run.handle, run.next_number))
                            .has_value());
            EXPECT_EQ(other->flush()->refused_frames, 0U);
        }
    }

    // The rows of an answer; none while nothing of that name has been logged.
    uint64_t count(Client& client, std::string_view query) const {
        uint64_t rows = 0;
        AnswerHandler handler;
        handler.on_block = [&](const ResultBlock& block) {
            rows += block.rows();
            return true;
        };
        const auto end = client.query(query, handler);
        EXPECT_TRUE(end.has_value() || end.error().code() == ErrorCode::kNotFound)
            << query << ": " << end.error().to_string();
        return rows;
    }

    void read() const {
        const auto client = connect();
        uint64_t before = 0;
        while (!writers_are_done_.load()) {
            const uint64_t points = count(*client, "layer/3 @ load/r1#0");
            EXPECT_GE(points, before);  // what was seen stays
            before = points;
            count(*client, "layer/* @ load/r* | buckets 20");
            count(*client, "layer/7 @ load/r* | summary");
            count(*client, "runs load/*");
            count(*client, "stats");
        }
    }

    // Updates come in the order of what they tell.
    void watch(std::string_view query) const {
        const auto client = connect();
        uint64_t sequence = 0;
        uint64_t updates = 0;
        UpdateHandler handler;
        handler.on_update = [&](const std::vector<ResultColumn>&, const std::vector<ResultBlock>&,
                                const ResultUpdate& update) -> Status {
            EXPECT_GE(update.sequence, sequence) << query;
            sequence = update.sequence;
            ++updates;
            return {};
        };
        handler.should_stop = [this] { return writers_are_done_.load(); };
        while (!writers_are_done_.load()) {
            const Status ended = client->watch(query, handler);
            EXPECT_TRUE(ended.has_value() || ended.error().code() == ErrorCode::kNotFound)
                << query << ": " << ended.error().to_string();
        }
        EXPECT_GT(updates, 1U) << query;
    }

    // By the owner of the store, beside what it does by itself.
    void flush_and_merge() const {
        while (!writers_are_done_.load()) {
            const Status flushed = block_on(io_->loop(), engine_->flush());
            EXPECT_TRUE(flushed.has_value()) << flushed.error().to_string();
            const Status merged = block_on(io_->loop(), engine_->compact());
            EXPECT_TRUE(merged.has_value()) << merged.error().to_string();
        }
    }

    // Each is sound, and so it is after one that was given up.
    void back_up() const {
        const auto io = IoEnvironment::create().value();
        uint64_t round = 0;
        while (!writers_are_done_.load() || round < 2) {
            const auto client = connect();
            AnswerHandler handler;
            handler.on_block = [&](const ResultBlock&) { return round % 3 != 2; };
            const auto made = client->backup(backup_directory_, handler);
            // The one before, if it was given up, may have the directory yet.
            EXPECT_TRUE(made.has_value() || made.error().code() == ErrorCode::kCancelled ||
                        made.error().code() == ErrorCode::kFailedPrecondition)
                << made.error().to_string();
            if (made.has_value()) {
                VerifyOptions options;
                options.directory = backup_directory_;
                const auto report = block_on(io->loop(), verify_store(io->files(), options));
                ASSERT_TRUE(report.has_value()) << report.error().to_string();
                EXPECT_TRUE(report->good()) << report->problems.front().what;
            }
            ++round;
        }
    }

    void check() const {
        const auto client = connect();
        for (int writer = 0; writer < kWriters; ++writer) {
            for (const uint32_t metric : {0U, kMetrics - 1}) {
                std::vector<double> values;
                AnswerHandler handler;
                handler.on_block = [&](const ResultBlock& block) {
                    const auto cells = block.column(block.width() - 1).doubles();
                    values.insert(values.end(), cells.begin(), cells.end());
                    return true;
                };
                const std::string query =
                    "layer/" + std::to_string(metric) + " @ load/r" + std::to_string(writer);
                ASSERT_TRUE(client->query(query, handler).has_value()) << query;
                std::vector<double> want;
                want.reserve(kSteps);
                for (int step = 0; step < kSteps; ++step) {
                    want.push_back(value_of(writer, step > kRestartAt ? 1 : 0, step, metric));
                }
                EXPECT_TRUE(values == want) << query << ": " << values.size() << " points";
            }
        }
        EXPECT_EQ(count(*client, "runs load/gone*"), 0U);
    }

    const std::string directory_ = testing::TempDir() + "stepdb-load-" + std::to_string(getpid());
    const std::string backup_directory_ = directory_ + "-backup";
    std::vector<std::string> names_;
    std::unique_ptr<IoEnvironment> io_;
    std::unique_ptr<IoEnvironment> seal_io_;
    std::unique_ptr<IoEnvironment> merge_io_;
    std::vector<std::unique_ptr<IoEnvironment>> query_io_;
    SystemClock clock_;
    SystemRandom random_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<EngineQueryService> queries_;
    std::thread net_;
    std::atomic<bool> writers_are_done_ = false;
};

TEST_F(Load, EverythingAtOnceLeavesWhatWasLogged) {
    std::vector<std::thread> writers;
    writers.reserve(kWriters + 1);
    for (int writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([this, writer] { write(writer); });
    }
    writers.emplace_back([this] { make_and_delete(); });
    std::vector<std::thread> others;
    others.reserve(kReaders + 4);
    for (int reader = 0; reader < kReaders; ++reader) {
        others.emplace_back([this] { read(); });
    }
    others.emplace_back([this] { watch("layer/5 @ load/r* | last 2"); });
    others.emplace_back([this] { watch("runs load/*"); });
    others.emplace_back([this] { flush_and_merge(); });
    others.emplace_back([this] { back_up(); });
    for (std::thread& writer : writers) {
        writer.join();
    }
    writers_are_done_ = true;
    for (std::thread& other : others) {
        other.join();
    }
    check();
    EngineStats stats;
    on_engine([&] { stats = engine_->stats(); });
    EXPECT_GT(stats.flushes, 2U);
    EXPECT_GT(stats.merges, 0U);
    close();
    open();
    check();
}

}  // namespace stepdb::load_test
