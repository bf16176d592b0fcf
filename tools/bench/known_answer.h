// What an answer must be, and whether it is: computed from what was stored by plain scans, which
// know nothing of the server's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

// What a cell must be.
class Expected {
  public:
    Expected() = default;  // nothing
    static Expected of_text(std::string_view text);
    static Expected of_number(double number);

    void set_text(std::string_view text);
    // A count, or a double bit for bit.
    void set_number(double number);
    // A double that lies within `tolerance` of it.
    void set_about(double number, double tolerance);
    void set_nothing() { kind_ = Kind::kNothing; }

    // `text` is the row's entry of ColumnCells::texts() for a text column.
    bool matches(const ColumnCells& cells, uint32_t row, std::string_view text) const;
    std::string shown() const;

  private:
    enum class Kind : uint8_t { kNothing, kText, kNumber, kAbout };

    Kind kind_ = Kind::kNothing;
    double number_ = 0;
    double tolerance_ = 0;
    std::string text_;
};

// Takes an answer block by block and compares every cell. Of one answer, in one thread.
class AnswerCheck {
  public:
    virtual ~AnswerCheck() = default;

    void begin(std::span<const ResultColumn> columns);
    void take(const ResultBlock& block);
    // Names the first row and column that is not as it must be, or what is missing.
    Status finish() const;

  protected:
    AnswerCheck(std::vector<std::string> columns, uint64_t rows)
        : columns_(std::move(columns)), rows_(rows) {}

    const std::vector<std::string>& columns() const { return columns_; }
    // Fills a cell for each of columns(); rows are asked for in order.
    virtual void expect(uint64_t row, std::span<Expected> cells) = 0;

  private:
    void compare_row(const ResultBlock& block, std::span<const std::vector<std::string_view>> texts,
                     uint32_t row);

    std::vector<std::string> columns_;
    uint64_t rows_;
    uint64_t rows_taken_ = 0;
    std::vector<Expected> cells_;
    std::string wrong_;
};

// An answer of rows that are all known before.
class RowsCheck final : public AnswerCheck {
  public:
    RowsCheck(std::vector<std::string> columns, std::vector<std::vector<Expected>> rows)
        : AnswerCheck(std::move(columns), rows.size()), known_(std::move(rows)) {}

  private:
    void expect(uint64_t row, std::span<Expected> cells) override;

    std::vector<std::vector<Expected>> known_;
};

// A series of which every point is known: one at each of the steps 0, 1, ... below `steps`.
struct KnownSeries {
    KnownSeries() = default;

    std::string run;
    std::string metric;
    uint64_t steps = 0;
    std::function<double(uint64_t)> value;  // at a step
};

// Of `buckets N` from step `lo` to `hi`.
struct KnownGrid {
    uint64_t lo = 0;
    uint64_t hi = 0;
    uint32_t buckets = 1;

    double edge(uint32_t at) const;
};

// What is true of the points of one bucket.
struct KnownBucket {
    uint64_t count = 0;
    uint64_t nan = 0;
    uint64_t pinf = 0;
    uint64_t ninf = 0;
    double min = 0;
    double min_x = 0;
    double max = 0;
    double max_x = 0;
    long double sum = 0;
    long double absolute_sum = 0;
    double first = 0;
    double first_x = 0;
    double last = 0;
    double last_x = 0;

    uint64_t points() const { return count + nan + pinf + ninf; }
    double mean() const;
    // How far a sum and a mean of these points may be from the true one.
    double sum_tolerance() const;
    double mean_tolerance() const;
    void add(double x, double value);
};
std::vector<KnownBucket> known_buckets(const KnownSeries& series, const KnownGrid& grid);

// Of `buckets N` of several series, in the order of the answer; all statistics, or those named.
std::unique_ptr<AnswerCheck> check_buckets(std::vector<KnownSeries> series, const KnownGrid& grid,
                                           const std::vector<std::string>& statistics = {});
// Of `buckets N | across mean, max`.
std::unique_ptr<AnswerCheck> check_across(const std::vector<KnownSeries>& series,
                                          const KnownGrid& grid);
// The points of a series from step `lo` to `hi`.
std::unique_ptr<AnswerCheck> check_points(const KnownSeries& series, uint64_t lo, uint64_t hi);

}  // namespace stepdb
