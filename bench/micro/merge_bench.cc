// What a merge costs: four segments of blocks as they are sealed, of noisy float32, become one, on
// a real file system. What counts is ms_per_mpoint, the processor time of the process (the kernel's
// included) for a million points.
//
// Files lie in the directory for temporary files ($TMPDIR): name one on the disk you want to know.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "engine/compaction/merge.h"
#include "engine/io/environment.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {
namespace {

constexpr uint64_t kSources = 4;
constexpr uint64_t kRun = 1;
constexpr uint64_t kSchema = 1;

class EveryRow final : public LiveRows {
  public:
    bool run_exists(uint64_t) const override { return true; }
    uint64_t dead_through(uint64_t, std::string_view) const override { return 0; }
    uint32_t dead_columns(const BlockInfo&, uint64_t) const override { return 0; }
    std::optional<Key> kept_through(uint64_t, uint32_t, Axis) const override {
        return std::nullopt;
    }
};

double processor_seconds() {
    timespec now{};
    CHECK(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "no clock of the process");
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class MergeBench {
  public:
    // Of `rows_late` in each block the keys lie among those of the block before.
    MergeBench(uint32_t width, uint32_t block_rows, uint32_t blocks, uint32_t rows_late)
        : width_(width),
          block_rows_(block_rows),
          rows_late_(rows_late),
          directory_(std::filesystem::temp_directory_path() / "stepdb-bench-XXXXXX") {
        CHECK(::mkdtemp(directory_.data()) != nullptr, "{}", directory_);
        environment_ = std::move(IoEnvironment::create()).value();
        std::vector<std::string> metrics;
        for (uint32_t column = 0; column < width; ++column) {
            metrics.push_back(fmt::format("layers/{}/grad_norm", column));
        }
        schema_ = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
        auto catalog = std::make_shared<Catalog>();
        auto run = std::make_shared<Run>();
        run->id = kRun;
        run->project = "p";
        run->name = "r";
        run->attempts.emplace_back();
        catalog->put_run(std::move(run));
        catalog->put_schema("p", kSchema, schema_);
        catalog_ = std::move(catalog);
        for (uint64_t source = 1; source <= kSources; ++source) {
            make_source(source, blocks);
        }
    }
    ~MergeBench() {
        environment_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    MergeBench(const MergeBench&) = delete;
    MergeBench& operator=(const MergeBench&) = delete;

    uint64_t points() const { return next_row_ * width_; }

    MergeOutcome merge() {
        MergeInput input;
        input.files = &environment_->files();
        input.executor = &environment_->loop();
        input.sources = sources_;
        input.catalog = catalog_;
        input.live = std::make_shared<const EveryRow>();
        input.file_id = ++last_file_id_;
        input.path = fmt::format("{}/segment-{}", directory_, input.file_id);
        input.cancelled = std::make_shared<std::atomic<bool>>(false);
        const std::string path = input.path;
        MergeOutcome outcome = block_on(environment_->loop(), merge_segments(std::move(input)));
        CHECK(!outcome.error, "{}", outcome.error->to_string());
        std::filesystem::remove(path);
        return outcome;
    }

  private:
    void make_source(uint64_t file_id, uint32_t blocks) {
        std::vector<std::shared_ptr<const EncodedBlock>> sealed;
        for (uint32_t i = 0; i < blocks; ++i) {
            sealed.push_back(seal());
        }
        SegmentNames names;
        names.runs.push_back({kRun, "p", "r"});
        names.schemas.push_back({kSchema, schema_});
        const std::string path = fmt::format("{}/segment-{}", directory_, file_id);
        sources_.push_back(
            std::move(block_on(environment_->loop(),
                               write_segment(environment_->files(), path, Id128(), file_id,
                                             std::move(sealed), std::move(names)))
                          .value()));
        last_file_id_ = file_id;
    }

    std::shared_ptr<const EncodedBlock> seal() {
        std::vector<Key> keys;
        std::vector<int64_t> times;
        std::vector<uint64_t> sequences;
        for (uint32_t row = 0; row < block_rows_; ++row, ++next_row_) {
            const bool late = row >= block_rows_ - rows_late_;
            const auto step = static_cast<double>(next_row_) - (late ? block_rows_ + 100.5 : 0.0);
            keys.push_back(key_of_step(step));
            times.push_back(int64_t{1'700'000'000'000'000} +
                            static_cast<int64_t>(next_row_ * 1000 + noise() % 100));
            sequences.push_back(next_row_ + 1);
        }
        BlockInfo info;
        info.run = kRun;
        info.schema = kSchema;
        info.columns = width_;
        BlockBuilder builder(info, keys, times, sequences);
        std::vector<double> values(block_rows_);
        for (uint32_t column = 0; column < width_; ++column) {
            for (double& value : values) {
                const double unit = static_cast<double>(noise() >> 40U) / (1U << 24U) - 0.5;
                value = static_cast<double>(static_cast<float>(1 + 0.2 * unit));
            }
            builder.add_column(column, values, {});
        }
        return builder.finish();
    }

    uint64_t noise() {
        noise_ = noise_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return noise_;
    }

    uint32_t width_;
    uint32_t block_rows_;
    uint32_t rows_late_;
    std::string directory_;
    std::unique_ptr<IoEnvironment> environment_;
    std::shared_ptr<const Schema> schema_;
    std::shared_ptr<const Catalog> catalog_;
    std::vector<std::shared_ptr<const SegmentMeta>> sources_;
    uint64_t last_file_id_ = 0;
    uint64_t next_row_ = 0;
    uint64_t noise_ = 1;
};

// Metrics, rows of a block, blocks of a segment, late rows of a block.
void BM_Merge(benchmark::State& state) {
    MergeBench bench(static_cast<uint32_t>(state.range(0)), static_cast<uint32_t>(state.range(1)),
                     static_cast<uint32_t>(state.range(2)), static_cast<uint32_t>(state.range(3)));
    double seconds = 0;
    MergeOutcome outcome;
    for (auto _ : state) {
        const double before = processor_seconds();
        outcome = bench.merge();
        seconds += processor_seconds() - before;
    }
    const auto points = static_cast<double>(bench.points());
    state.counters["ms_per_mpoint"] =
        1e9 * seconds / static_cast<double>(state.iterations()) / points;
    state.counters["read_per_point"] = static_cast<double>(outcome.bytes_read) / points;
    state.counters["written_per_point"] = static_cast<double>(outcome.bytes_written) / points;
    state.counters["blocks"] = static_cast<double>(outcome.segment->blocks().size());
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(bench.points()));
}
BENCHMARK(BM_Merge)
    ->ArgNames({"metrics", "rows", "blocks", "late"})
    ->Args({20, 512, 100, 0})
    ->Args({100, 512, 50, 0})
    ->Args({1000, 512, 6, 0})
    ->Args({10000, 200, 2, 0})
    ->Args({100000, 20, 1, 0})
    ->Args({1000, 512, 6, 8})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace stepdb
