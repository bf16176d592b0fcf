#include "engine/model/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>

#include "engine/base/float_bits.h"
#include "engine/base/lz4.h"
#include "engine/model/limits.h"

namespace stepdb::rows_test {

using ::testing::HasSubstr;
using Row = std::vector<std::optional<double>>;

uint64_t test_seed() {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
}

std::shared_ptr<const Schema> make_schema(uint32_t width, Axis axis = Axis::kStepped) {
    std::vector<std::string> metrics;
    for (uint32_t i = 0; i < width; ++i) {
        metrics.push_back(fmt::format("m/{}", i));
    }
    return std::make_shared<const Schema>(Schema::create(axis, std::move(metrics)).value());
}

// Reads one row back as the engine would.
Row read_row(const RowsView& view, uint32_t row, Bytes& values) {
    Row out(view.width());
    for (const bool wide : {false, true}) {
        for (uint32_t column = 0; column < view.width(); ++column) {
            if (view.is_float64(column) != wide || !view.is_present(row, column)) {
                continue;
            }
            const size_t bytes = wide ? 8 : 4;
            out[column] =
                wide ? load_le<double>(values.data()) : widen(load_le<uint32_t>(values.data()));
            values = values.subspan(bytes);
        }
    }
    return out;
}

void expect_rows(const RowsView& view, const std::vector<Row>& expected) {
    ASSERT_EQ(view.rows(), expected.size());
    Bytes values = view.values();
    for (uint32_t row = 0; row < view.rows(); ++row) {
        const Row got = read_row(view, row, values);
        for (uint32_t column = 0; column < view.width(); ++column) {
            ASSERT_EQ(got[column].has_value(), expected[row][column].has_value())
                << "row " << row << " column " << column;
            if (got[column]) {
                EXPECT_EQ(bits_of(*got[column]), bits_of(*expected[row][column]))
                    << "row " << row << " column " << column;
            }
        }
    }
    EXPECT_TRUE(values.empty());
}

std::vector<std::byte> body_of(const std::vector<std::byte>& frame) {
    const Bytes body = frame_body(frame);
    return {body.begin(), body.end()};
}

std::vector<std::byte> two_rows(const std::shared_ptr<const Schema>& schema,
                                bool compress = false) {
    RowsBuilder builder(schema);
    std::vector<double> values(schema->width(), 1.5);
    builder.add(10, 1000, values);
    builder.add(11, 1001, values);
    return body_of(builder.finish(3, 0, 1, compress));
}

struct Refused {
    std::string message;
    RowPosition bad;
};

Refused refusal(Bytes body, const Schema& schema) {
    Refused refused;
    const auto view = RowsView::decode(body, schema, refused.bad);
    EXPECT_FALSE(view.has_value());
    if (!view) {
        EXPECT_EQ(view.error().code(), ErrorCode::kInvalidArgument);
        refused.message = view.error().message();
    }
    return refused;
}

TEST(Rows, EveryFloatClassComesBackBitForBit) {
    const auto schema = make_schema(1);
    for (const uint64_t bits :
         {0x7FF0000000000001ULL, 0x7FF4000000000000ULL, 0xFFF0000000000001ULL,
          0x7FF8000000000000ULL, 0xFFF8000000000123ULL, 0x7FF0000020000000ULL,
          0x7FF0000000000000ULL, 0xFFF0000000000000ULL, 0x8000000000000000ULL,
          0x0000000000000001ULL, 0x3FF0000000000000ULL, 0x3FB999999999999AULL}) {
        RowsBuilder builder(schema);
        const Row row = {std::bit_cast<double>(bits)};
        builder.add(1, std::nullopt, row);
        const auto body = body_of(builder.finish(1, 0, 1));
        RowPosition bad;
        const RowsView view = RowsView::decode(body, *schema, bad).value();
        expect_rows(view, {row});
        EXPECT_EQ(view.layout() == ValueLayout::kFloat32,
                  narrow(std::bit_cast<double>(bits)).has_value())
            << bits;
    }
}

TEST(Rows, HeadStepsAndTimesComeBack) {
    const auto schema = make_schema(2);
    const auto body = two_rows(schema);
    const RowsView::Head head = RowsView::decode_head(body).value();
    EXPECT_EQ(head.run_handle, 3U);
    EXPECT_EQ(head.attempt, 0U);
    EXPECT_EQ(head.rows, 2U);
    EXPECT_EQ(head.schema, schema->hash());
    RowPosition bad;
    const RowsView view = RowsView::decode(body, *schema, bad).value();
    EXPECT_EQ(view.step(0), 10);
    EXPECT_EQ(view.step(1), 11);
    EXPECT_EQ(view.time(0), 1000);
    EXPECT_EQ(view.time(1), 1001);
    EXPECT_EQ(view.full_row_bytes(), 8U);
}

TEST(Rows, TimedRowsHaveTimesAlone) {
    const auto schema = make_schema(1, Axis::kTimed);
    RowsBuilder builder(schema);
    const std::vector<double> values = {0.1};
    builder.add(std::nullopt, -5, values);
    RowPosition bad;
    const auto body = body_of(builder.finish(1, 0, 1));
    const RowsView view = RowsView::decode(body, *schema, bad).value();
    EXPECT_FALSE(view.has_steps());
    EXPECT_EQ(view.time(0), -5);
    EXPECT_EQ(view.layout(), ValueLayout::kFloat64);
}

double random_value(std::mt19937_64& random) {
    switch (random() % 4) {
        case 0:
            return static_cast<double>(static_cast<float>(random()) / 3);
        case 1:
            return std::bit_cast<double>(random());
        case 2:
            return widen(static_cast<uint32_t>(random()));
        default:
            return static_cast<double>(random() % 100);
    }
}

struct RandomFrame {
    std::vector<Row> rows;
    std::vector<std::byte> body;
};

RandomFrame random_frame(std::mt19937_64& random, const std::shared_ptr<const Schema>& schema) {
    RandomFrame frame;
    RowsBuilder builder(schema);
    const auto rows = static_cast<uint32_t>(1 + random() % 20);
    const bool sparse = random() % 2 == 0;
    const bool times = schema->axis() == Axis::kTimed || random() % 2 == 0;
    // Columns that are float32 throughout make the layout mixed.
    std::vector<bool> small(schema->width());
    for (uint32_t column = 0; column < schema->width(); ++column) {
        small[column] = random() % 2 == 0;
    }
    for (uint32_t row = 0; row < rows; ++row) {
        Row values(schema->width());
        for (uint32_t column = 0; column < schema->width(); ++column) {
            if (!sparse || random() % 3 != 0) {
                values[column] = small[column] ? 0.5 : random_value(random);
            }
        }
        const auto step = schema->axis() == Axis::kStepped
                              ? std::optional<double>(static_cast<double>(random() % 1000))
                              : std::nullopt;
        const auto time = times ? std::optional<int64_t>(row) : std::nullopt;
        builder.add(step, time, values);
        frame.rows.push_back(std::move(values));
    }
    frame.body = body_of(builder.finish(1, 0, 1, random() % 3 == 0));
    return frame;
}

TEST(Rows, RandomFramesComeBack) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < 500; ++round) {
        const auto schema = make_schema(static_cast<uint32_t>(1 + random() % 70),
                                        random() % 4 == 0 ? Axis::kTimed : Axis::kStepped);
        const RandomFrame frame = random_frame(random, schema);
        RowPosition bad;
        const auto view = RowsView::decode(frame.body, *schema, bad);
        ASSERT_TRUE(view.has_value()) << view.error().message();
        expect_rows(*view, frame.rows);
    }
}

// Walks over everything an accepted view claims to have, for the sanitizers.
void touch(const RowsView& view) {
    Bytes values = view.values();
    for (uint32_t row = 0; row < view.rows(); ++row) {
        if (view.has_steps()) {
            EXPECT_TRUE(std::isfinite(view.step(row)));
        }
        read_row(view, row, values);
    }
    EXPECT_TRUE(values.empty());
}

TEST(Rows, DamagedBodiesAreRefusedOrConsistent) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < 40; ++round) {
        const auto schema = make_schema(static_cast<uint32_t>(1 + random() % 20));
        const RandomFrame frame = random_frame(random, schema);
        for (size_t bytes = 0; bytes < frame.body.size(); ++bytes) {
            RowPosition bad;
            // A copy of exact size, so that a read past the end is seen.
            const std::vector<std::byte> cut(frame.body.begin(),
                                             frame.body.begin() + static_cast<ptrdiff_t>(bytes));
            EXPECT_FALSE(RowsView::decode(cut, *schema, bad).has_value()) << bytes;
        }
        for (int flip = 0; flip < 500; ++flip) {
            std::vector<std::byte> body = frame.body;
            const size_t at = random() % body.size();
            if (at >= 8 && at < 24) {
                continue;  // the hash chooses the schema and is looked up before
            }
            body[at] ^= std::byte{1} << (random() % 8);
            RowPosition bad;
            const auto view = RowsView::decode(body, *schema, bad);
            if (view) {
                touch(*view);
            }
        }
    }
}

TEST(Rows, NonFiniteStepNamesItsRow) {
    const auto schema = make_schema(2);
    for (const double step :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        RowsBuilder builder(schema);
        const std::vector<double> values = {1, 2};
        builder.add(1, std::nullopt, values);
        builder.add(step, std::nullopt, values);
        const Refused refused = refusal(body_of(builder.finish(1, 0, 1)), *schema);
        EXPECT_EQ(refused.bad.row, 1U);
        EXPECT_THAT(refused.message, HasSubstr("row 1 has step " + format_value(step)));
    }
}

TEST(Rows, AxisMustMatch) {
    const auto stepped = make_schema(1);
    const auto timed = make_schema(1, Axis::kTimed);
    const auto with_parts = [](const std::shared_ptr<const Schema>& schema, uint8_t parts) {
        ByteWriter body;
        body.put<uint64_t>(0);
        body.put_bytes(schema->hash().bytes);
        body.put<uint32_t>(1);
        body.put(parts);
        body.put_zeros(3);
        body.put_zeros(8 * static_cast<size_t>(std::popcount(parts)) + 4);
        return refusal(body.bytes(), *schema);
    };
    EXPECT_THAT(with_parts(stepped, 0).message, HasSubstr("row 0 has no step"));
    EXPECT_THAT(with_parts(stepped, 2).message, HasSubstr("'m/0'"));
    EXPECT_EQ(with_parts(stepped, 2).bad.row, 0U);
    EXPECT_THAT(with_parts(timed, 0).message, HasSubstr("row 0 has no time"));
    EXPECT_THAT(with_parts(timed, 3).message, HasSubstr("row 0 has a step"));
}

TEST(Rows, WrongSizeNamesExpectedAndGot) {
    const auto schema = make_schema(3);
    std::vector<std::byte> body = two_rows(schema);
    body.resize(body.size() - 4);
    EXPECT_THAT(refusal(body, *schema).message,
                HasSubstr("values of 2 rows x 3 columns take 24 bytes, got 20"));
    body.resize(body.size() + 8);
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("take 24 bytes, got 28"));
}

TEST(Rows, HeadFieldsOutOfRangeAreRefused) {
    const auto schema = make_schema(3);
    const auto with = [&](size_t at, auto value) {
        std::vector<std::byte> body = two_rows(schema);
        store_le(body.data() + at, value);
        return refusal(body, *schema).message;
    };
    EXPECT_THAT(with(24, uint32_t{0}), HasSubstr("0 rows"));
    EXPECT_THAT(with(24, uint32_t{kFrameRowsMax + 1}), HasSubstr("65537 rows"));
    EXPECT_THAT(with(28, uint8_t{8}), HasSubstr("parts 0x8"));
    EXPECT_THAT(with(29, uint8_t{3}), HasSubstr("values 3"));
    EXPECT_THAT(with(30, uint8_t{2}), HasSubstr("compression 2"));
    EXPECT_THAT(with(31, uint8_t{1}), HasSubstr("row flags 1"));
}

std::vector<std::byte> sparse_mixed(const std::shared_ptr<const Schema>& schema) {
    RowsBuilder builder(schema);
    builder.add(1, std::nullopt, Row{0.1, std::nullopt, 1.0});
    builder.add(2, std::nullopt, Row{std::nullopt, 2.0, 3.0});
    return body_of(builder.finish(1, 0, 1));
}

TEST(Rows, BitsBeyondTheWidthAndPaddingAreRefused) {
    const auto schema = make_schema(3);
    const std::vector<std::byte> good = sparse_mixed(schema);
    constexpr size_t kColumnsAt = 32 + 16;
    constexpr size_t kPresenceAt = kColumnsAt + 8;
    std::vector<std::byte> body = good;
    body[kColumnsAt] |= std::byte{8};
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("beyond the schema's 3"));
    EXPECT_EQ(refusal(body, *schema).bad.column, 3U);
    body = good;
    body[kColumnsAt + 1] = std::byte{1};
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("padding after the float64 columns"));
    body = good;
    body[kPresenceAt + 1] |= std::byte{8};
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("presence bits of row 1"));
    EXPECT_EQ(refusal(body, *schema).bad.row, 1U);
    body = good;
    body[kPresenceAt + 2] = std::byte{1};
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("padding after the presence bits"));
}

TEST(Rows, Lz4BombsAreRefusedByTheirDeclaredSize) {
    const auto schema = make_schema(3);
    std::vector<std::byte> body = two_rows(schema, true);
    RowPosition bad;
    ASSERT_TRUE(RowsView::decode(body, *schema, bad).has_value());
    for (const uint32_t declared : {0xFFFFFFFFU, kFrameBytesMax + 1, 1U << 20U}) {
        store_le(body.data() + 32, declared);
        EXPECT_THAT(refusal(body, *schema).message,
                    HasSubstr(fmt::format("declared to unpack to {}", declared)));
    }
    store_le(body.data() + 32, uint32_t{60});
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("does not unpack"));
    store_le(body.data() + 36, uint32_t{1});
    EXPECT_THAT(refusal(body, *schema).message, HasSubstr("reserved field 1"));
}

TEST(RowsBuilder, ChoosesTheLayoutByTheValues) {
    const auto schema = make_schema(3);
    const auto layout = [&](const Row& row) {
        RowsBuilder builder(schema);
        builder.add(1, std::nullopt, row);
        RowPosition bad;
        const auto body = body_of(builder.finish(1, 0, 1));
        return RowsView::decode(body, *schema, bad)->layout();
    };
    EXPECT_EQ(layout({1.0, 2.0, 0.5}), ValueLayout::kFloat32);
    EXPECT_EQ(layout({0.1, 0.2, 0.3}), ValueLayout::kFloat64);
    EXPECT_EQ(layout({0.1, 2.0, 0.3}), ValueLayout::kMixed);
    EXPECT_EQ(layout({std::nullopt, 2.0, 0.5}), ValueLayout::kFloat32);
}

TEST(RowsBuilder, IsEmptyAfterFinish) {
    const auto schema = make_schema(2);
    RowsBuilder builder(schema);
    builder.add(1, 5, Row{std::nullopt, 2.0});
    builder.finish(1, 0, 1);
    EXPECT_EQ(builder.rows(), 0U);
    builder.add(2, std::nullopt, Row{1.0, 2.0});
    RowPosition bad;
    const auto body = body_of(builder.finish(1, 0, 2));
    const RowsView view = RowsView::decode(body, *schema, bad).value();
    EXPECT_FALSE(view.has_presence());
    EXPECT_FALSE(view.has_times());
    EXPECT_EQ(view.step(0), 2);
}

}  // namespace stepdb::rows_test
