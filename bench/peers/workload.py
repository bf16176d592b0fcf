"""What every store is given: shapes of training logs, and values by seed.

A row is one log call: a run, a step, a time, and a value of every metric. Rows arrive in the order
of their steps, and within a step in the order of the runs. Values are noise with a standard deviation
of a tenth of their scale around levels that drift, exactly representable as float32 and without
repetition; now and then one is a spike. Made by the standard library alone, at tens of millions of
values a second, so that the making costs nothing beside the storing.
"""

import array
import math
import random
import statistics
import struct

SEED = 20260101
FIRST_TIME_MS = 1_700_000_000_000  # any time will do
SPIKE_EVERY = 10_007  # points, on average
LAPS_MAX = 1_000
BUCKETS = 1_000


class Shape:
    """A workload: `runs` runs, of `metrics` metrics and `rows` rows each."""

    def __init__(self, name, runs, metrics, rows, told):
        self.name, self.runs, self.metrics, self.rows, self.told = name, runs, metrics, rows, told

    @property
    def points_a_step(self):
        return self.runs * self.metrics

    @property
    def points(self):
        return self.points_a_step * self.rows

    def with_points(self, points):
        """The same shape with so many rows that it has about `points` points, in whole buckets."""
        rows = max(points // self.points_a_step, 1)
        if rows > BUCKETS:
            rows -= rows % BUCKETS
        return Shape(self.name, self.runs, self.metrics, rows, self.told)

    @property
    def bucket_width(self):
        """Steps in a bucket of the charts."""
        return max(self.rows // BUCKETS, 1)

    def metric(self, column):
        return f"bench/{column:06d}"

    def run(self, lap, run=0):
        """Names of equal length, so that another lap of the same data is a matter of replacing."""
        return f"run-{lap:03d}-{run:04d}"

    def run_number(self, lap, run=0):
        return lap * self.runs + run


SHAPES = {shape.name: shape for shape in (
    Shape("long", 1, 20, 1_000_000, "one run, 20 metrics a row"),
    Shape("hundred", 1, 100, 200_000, "one run, 100 metrics a row"),
    Shape("wide", 1, 1_000, 20_000, "one run, 1,000 metrics a row"),
    Shape("fleet", 1_000, 50, 400, "1,000 runs, 50 metrics a row, rows interleaved over the runs"),
)}


class Batch:
    """Rows that are sent together, in the order of their arrival: whole rows `first` and after."""

    def __init__(self, shape, first, count, values):
        self.shape, self.first, self.count = shape, first, count
        self.values = values  # float32, row after row

    @property
    def points(self):
        return self.count * self.shape.metrics

    def steps(self):
        runs = self.shape.runs
        if runs == 1:
            return array.array("q", range(self.first, self.first + self.count))
        return array.array("q", (row // runs for row in range(self.first, self.first + self.count)))

    def runs(self):
        """The number of each row's run within the lap."""
        runs = self.shape.runs
        return [row % runs for row in range(self.first, self.first + self.count)]

    def times_ms(self):
        return array.array("q", (FIRST_TIME_MS + step for step in self.steps()))

    def times_us(self):
        return array.array("q", (1000 * (FIRST_TIME_MS + step) for step in self.steps()))

    def column(self, column):
        return self.values[column::self.shape.metrics]


def _bell(centre):
    """A table from an even byte to seven bits that are normally distributed around `centre`."""
    bell = statistics.NormalDist(centre, 12.8)
    return bytes(min(max(round(bell.inv_cdf((byte + 0.5) / 256)), 0), 127) for byte in range(256))


_BELLS = [_bell(centre) for centre in range(30, 99)]


class Data:
    """One lap of a shape: every value, and what a store must answer about them."""

    TILE_POINTS = 100_000  # about; levels move from tile to tile, those of all runs together
    TILE_ROWS_MIN = 100

    def __init__(self, shape, seed=SEED):
        self.shape = shape
        self.values = array.array("f", bytes(4 * shape.points))
        rows, tile_rows = shape.rows * shape.runs, max(self.TILE_POINTS // shape.metrics,
                                                       self.TILE_ROWS_MIN)
        levels = [len(_BELLS) // 2] * shape.metrics
        for first in range(0, rows, tile_rows):
            self._fill(random.Random(f"{seed}/{shape.name}/{first}"), levels, first,
                       min(tile_rows, rows - first))

    def _fill(self, source, levels, first, rows):
        width = self.shape.metrics
        noise = source.randbytes(3 * rows * width)
        begin, end = first * width, (first + rows) * width
        for metric in range(width):
            levels[metric] = min(max(levels[metric] + source.choice((-1, 0, 0, 1)), 0),
                                 len(_BELLS) - 1)
            self.values[begin + metric:end:width] = _column(
                metric, noise[3 * rows * metric:3 * rows * (metric + 1)], rows,
                _BELLS[levels[metric]])
        for _ in range(max(rows * width // SPIKE_EVERY, 1)):
            self.values[source.randrange(begin, end)] *= source.choice((-64.0, 64.0))

    def batches(self, points):
        """All rows, in batches of about `points` points: whole rows, and whole steps of a fleet
        if they fit."""
        rows = self.shape.rows * self.shape.runs
        count = max(points // self.shape.metrics, 1)
        if count > self.shape.runs:
            count -= count % self.shape.runs
        width = self.shape.metrics
        for first in range(0, rows, count):
            taken = min(count, rows - first)
            yield Batch(self.shape, first, taken, self.values[first * width:(first + taken) * width])

    def series(self, run, column, arrived):
        """Values by step of one series, of the first `arrived` rows of the lap."""
        width, runs = self.shape.metrics, self.shape.runs
        return self.values[run * width + column:arrived * width:runs * width]

    def totals(self, run, column, arrived):
        """Count, min, max, sum."""
        values = self.series(run, column, arrived)
        return len(values), min(values), max(values), math.fsum(values)

    def chart(self, run, column, arrived):
        """Of each bucket with a point: its number, count, min, max, mean."""
        values = self.series(run, column, arrived)
        width = self.shape.bucket_width
        chart = []
        for first in range(0, len(values), width):
            bucket = values[first:first + width]
            chart.append((first // width, len(bucket), min(bucket), max(bucket),
                          math.fsum(bucket) / len(bucket)))
        return chart

    def last_values(self, run, arrived):
        return [self.series(run, column, arrived)[-1] for column in range(self.shape.metrics)]

    def leaders(self, column, arrived, count=10):
        """The runs with the least minimum of a metric, least first: pairs of run and minimum."""
        ranked = sorted((min(self.series(run, column, arrived)), run)
                        for run in range(self.shape.runs))
        return [(run, least) for least, run in ranked[:count]]


def _column(metric, noise, count, bell):
    """Float32 values of one metric: sign and scale by the metric, the upper seven bits of the
    mantissa by the bell, the lower sixteen at random."""
    data = bytearray(4 * count)
    data[0::4] = noise[:count]
    data[1::4] = noise[count:2 * count]
    upper = noise[2 * count:].translate(bell)
    exponent = 127 - metric % 7
    if exponent & 1:
        upper = upper.translate(_WITH_TOP_BIT)
    data[2::4] = upper
    data[3::4] = bytes([(0x80 if metric % 5 == 3 else 0) | exponent >> 1]) * count
    return array.array("f", bytes(data))


_WITH_TOP_BIT = bytes(byte | 0x80 for byte in range(256))


def texts(values):
    """Each float32 with as few digits as name it."""
    short = ("%.8g," * len(values) % tuple(values)).split(",")
    short.pop()
    back = array.array("f", map(float, short))
    if back == values:
        return short
    for index, (came, is_meant) in enumerate(zip(back, values)):
        if came != is_meant:
            short[index] = "%.9g" % is_meant
    return short


def little_endian(values):
    """The bytes of an array; the harness is for little-endian machines."""
    assert struct.pack("=I", 1) == struct.pack("<I", 1)
    return values.tobytes()
