"""Stores larger than what fits comfortably: ingested over the wire, killed right behind the last
acknowledgement, started again; charts are held against a plain scan of the input, memory against
`--memory`, and the time to be ready is measured.

  scale_test.py                      small stores, in the least memory a server takes (as a test)
  scale_test.py --full               10,000 metrics x 2,000 steps as float32 and as float64, and
                                     2 metrics x 10 M steps, under --memory 512M
  scale_test.py --memory SIZE --workload wide|long --values f32|f64 --metrics N --steps N
                --report-only        figures of one workload; says what is out of bounds, exits 0

Every workload has NaN and infinities, spikes of one step, points that come late and points that are
replaced.
"""

import argparse
import bisect
import json
import math
import os
import random
import shutil
import struct
import sys
import tempfile
import time
from array import array

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from support import Server  # noqa: E402

READY_SECONDS = 2.0  # the target; a machine under load may take longer, so it is reported only
IN_FLIGHT_BYTES = 16 << 20
FRAME_BYTES = 2 << 20
SPECIALS = (math.nan, math.inf, -math.inf)
STATISTICS = "count, nan, pinf, ninf, min, min_x, max, max_x, sum, mean, first, first_x, last, last_x"


def parse_size(text):
    units = {"K": 10, "M": 20, "G": 30}
    return int(text[:-1]) << units[text[-1]] if text[-1] in units else int(text)


class Workload:
    """The input, row by row as it was sent, and column by column as it must be read.

    Row r of a wide workload is a piece of one long line of noise, so that making it costs a copy;
    changes are put over it."""

    def __init__(self, values, metrics, steps, seed):
        self.name = f"{metrics:,} metrics x {steps:,} steps, {values}"
        self.code, self.metrics, self.steps = values[0:1], metrics, steps
        self.code = "f" if values == "f32" else "d"
        self.names = [f"layer/{index // 100}/metric/{index % 100}" for index in range(metrics)]
        self.rng = random.Random(seed)
        noise = [self.rng.gauss(1.0, 0.25) for _ in range(metrics + 65521)]
        self.noise = array(self.code, noise)
        self.changed = {}  # row -> {column: value}
        self.sprinkle()
        self.late = self.pieces(max(1, steps // 20000))
        self.replaced = self.pieces(max(1, steps // 20000))

    def pieces(self, count):
        """Stretches of rows, a few hundred long at most."""
        length = max(1, min(300, self.steps // 40))
        return sorted({self.rng.randrange(self.steps - length) // length * length: length
                       for _ in range(count)}.items())

    def sprinkle(self):
        for _ in range(max(20, self.steps // 5000)):
            row, column = self.rng.randrange(self.steps), self.rng.randrange(self.metrics)
            self.changed.setdefault(row, {})[column] = 1e9 * self.rng.choice((-1, 1))  # a spike
        for _ in range(max(20, self.steps // 5000)):
            first, column = self.rng.randrange(self.steps), self.rng.randrange(self.metrics)
            for row in range(first, min(self.steps, first + self.rng.randint(1, 9))):
                self.changed.setdefault(row, {})[column] = self.rng.choice(SPECIALS)

    def rows(self, first, count):
        """Row-major values of some rows."""
        values = array(self.code)
        for row in range(first, first + count):
            at = row * 7919 % 65521
            values += self.noise[at:at + self.metrics]
            for column, value in self.changed.get(row, {}).items():
                values[(row - first) * self.metrics + column] = value
        return values

    def columns(self, columns):
        """{column: all of its values, by step}."""
        found = {column: array(self.code, bytes(self.steps * self.noise.itemsize))
                 for column in columns}
        for row in range(self.steps):
            at = row * 7919 % 65521
            for column, values in found.items():
                values[row] = self.noise[at + column]
        for row, changes in self.changed.items():
            for column, value in changes.items():
                if column in found:
                    found[column][row] = value
        return found

    def frame_rows(self):
        return max(1, min(65536, FRAME_BYTES // (self.metrics * self.noise.itemsize)))

    def shown(self):
        """Columns whose charts are compared."""
        return range(self.metrics) if self.metrics <= 20 else sorted(
            self.rng.sample(range(self.metrics), 20) + [
                column for changes in list(self.changed.values())[:10] for column in changes])


class LongWorkload(Workload):
    """Few metrics, many steps: whole columns at once. Odd columns hold float32 in float64."""

    def rows(self, first, count):
        values = array("d", bytes(8 * count * self.metrics))
        for column in range(self.metrics):
            values[column::self.metrics] = self.piece(column, first, count)
        for row in self.rows_changed(first, count):
            for column, value in self.changed[row].items():
                values[(row - first) * self.metrics + column] = value
        return values

    def rows_changed(self, first, count):
        if not hasattr(self, "changed_rows"):
            self.changed_rows = sorted(self.changed)
        low = bisect.bisect_left(self.changed_rows, first)
        return self.changed_rows[low:bisect.bisect_left(self.changed_rows, first + count)]

    def piece(self, column, first, count):
        """The noise again and again, over a stretch of a prime length."""
        if not hasattr(self, "lines"):
            exact = array("f", self.noise)
            self.lines = [self.noise if column % 2 == 0 else array("d", exact)
                          for column in range(self.metrics)]
        line, found = self.lines[column], array("d")
        length = len(line)
        at = (first + column * 1000) % length
        while len(found) < count:
            found += line[at:at + count - len(found)]
            at = 0
        return found

    def columns(self, columns):
        found = {column: self.piece(column, 0, self.steps) for column in columns}
        for row, changes in self.changed.items():
            for column, value in changes.items():
                if column in found:
                    found[column][row] = value
        return found


# --- ingest -------------------------------------------------------------------------------------


class Sender:
    """Frames of one run, as many in flight as make up 16 MiB."""

    def __init__(self, port, workload):
        self.workload = workload
        self.connection = wire.Connection(port, os.urandom(16))
        self.hash = wire.schema_hash(wire.STEPPED, workload.names)
        self.connection.send(wire.open_run(1, "p", "run"),
                             wire.schema("p", wire.STEPPED, workload.names))
        self.ordinal, self.number = 2, 0
        self.in_flight = []  # (ordinal, bytes)
        self.late_rows = 0
        self.points = 0

    def rows(self, first, count, values=None):
        values = self.workload.rows(first, count) if values is None else values
        layout = wire.F32 if values.typecode == "f" else wire.F64
        self.number += 1
        self.ordinal += 1
        body = wire.rows_body(1, self.hash, count, range(first, first + count),
                              values=values.tobytes(), layout=layout)
        frame = wire.frame(wire.ROWS, self.number, body)
        self.in_flight.append((self.ordinal, len(frame)))
        self.connection.send(frame)
        self.points += len(values)
        while sum(size for _, size in self.in_flight) > IN_FLIGHT_BYTES:
            self.read()

    def read(self):
        kind, number, body = self.connection.read()
        if kind == wire.ERROR:
            raise wire.Refused(number, body)
        if kind == wire.ACK:
            self.late_rows += struct.unpack_from("<Q", body, 8)[0]
            self.in_flight = [entry for entry in self.in_flight if entry[0] > number]

    def finish(self):
        while self.in_flight:
            self.read()

    def send_all(self):
        """In order, but for the late rows, which come at the end, between wrong and right values for
        the replaced ones."""
        workload, step = self.workload, self.workload.frame_rows()
        late = dict(workload.late)
        first = 0
        while first < workload.steps:
            end = min(first + step, workload.steps)
            inside = [begin for begin in late if first <= begin < end]
            if first in late:
                first += late[first]
                continue
            end = min(inside, default=end)
            self.rows(first, end - first)
            first = end
        for begin, length in workload.replaced:
            self.rows(begin, length, array(workload.code, [-5.0]) * (length * workload.metrics))
        for begin, length in workload.late + workload.replaced:
            self.rows(begin, length)
        self.finish()


# --- charts -------------------------------------------------------------------------------------


def scan(values, low, high, buckets):
    """What `steps low..high | buckets N` must answer for a series with a value at every step: for each
    bucket a dictionary, by plain counting."""
    edges = [low + (high - low) * (index / buckets) for index in range(buckets)] + [high]
    # At every whole number there is a point, so an edge's first point needs no search.
    firsts = [max(0, min(len(values), math.ceil(edge))) for edge in edges[:-1]]
    firsts.append(min(len(values), math.floor(high) + 1))
    return [scan_bucket(values, begin, max(begin, end)) for begin, end in zip(firsts, firsts[1:])]


def scan_bucket(values, begin, end):
    piece = values[begin:end]
    finite, steps = piece, None
    total = math.fsum(map(abs, piece)) if len(piece) else 0.0
    if not math.isfinite(total):
        steps = [begin + index for index, value in enumerate(piece) if math.isfinite(value)]
        finite = array("d", (values[step] for step in steps))
        total = math.fsum(map(abs, finite))
    found = {
        "count": len(finite), "nan": sum(map(math.isnan, piece)) if steps is not None else 0,
        "pinf": piece.count(math.inf) if steps is not None else 0,
        "ninf": piece.count(-math.inf) if steps is not None else 0,
        "total": total, "sum": math.fsum(finite) if len(finite) else None}
    for name, best in (("min", min), ("max", max)):
        found[name] = best(finite) if len(finite) else None
        at = finite.index(found[name]) if len(finite) else None
        found[name + "_x"] = None if at is None else begin + at if steps is None else steps[at]
    for name, index, step in (("first", 0, begin), ("last", -1, end - 1)):
        found[name] = piece[index] if len(piece) else None
        found[name + "_x"] = step if len(piece) else None
    return found


def same(found, want):
    if found is None or want is None:
        return found is want
    return struct.pack("<d", found) == struct.pack("<d", want) or (found != found and want != want)


def compare(answer, wanted, label):
    """Every row of a chart; returns how many there were."""
    if len(answer["count"]) != len(wanted):
        raise AssertionError(f"{label}: {len(answer['count'])} buckets, expected {len(wanted)}")
    columns = {name: answer[name] for name in answer.names}
    for index, want in enumerate(wanted):
        for name, value in want.items():
            if name in ("total", "sum") or name not in columns:
                continue
            if not same(columns[name][index], value):
                raise AssertionError(f"{label}: bucket {index}: {name} {columns[name][index]}, "
                                     f"expected {value}")
        if want["sum"] is None:
            good = columns["mean"][index] is None
        else:
            bound = 1e-12 * want["total"]
            good = abs(columns["mean"][index] - want["sum"] / want["count"]) <= (
                bound / want["count"])
            if "sum" in columns:
                good = good and abs(columns["sum"][index] - want["sum"]) <= bound
        if not good:
            raise AssertionError(f"{label}: bucket {index}: mean {columns['mean'][index]}, expected "
                                 f"{want['sum']} / {want['count']}")
    return len(wanted)


def check_charts(connection, workload):
    """1,000 buckets over everything and over odd ranges, of some series; and of all series one."""
    last = workload.steps - 1
    ranges = [(0, last), (last // 3 + 1, last // 3 * 2 + 7), (0.5, last - 0.25),
              (last // 7, last // 7 + min(997, last // 3)), (-last / 9, last * 1.1)]
    buckets = min(1000, workload.steps)
    shown = list(dict.fromkeys(workload.shown()))
    compared, milliseconds = 0, []
    for column, values in workload.columns(shown).items():
        name = workload.names[column]
        for low, high in ranges:
            text = f"{name} @ p/run | steps {low!r}..{high!r} | buckets {buckets}"
            began = time.perf_counter()
            answer = connection.ask(text)
            milliseconds.append((time.perf_counter() - began) * 1000)
            compared += compare(answer, scan(values, float(low), float(high), buckets), text)
        text = f"{name} @ p/run | buckets {buckets} {STATISTICS}"
        compared += compare(connection.ask(text), scan(values, 0.0, float(last), buckets), text)
    compared += check_totals(connection, workload)
    return compared, sorted(milliseconds)[len(milliseconds) // 2]


def check_totals(connection, workload):
    """Every series by one bucket, in batches."""
    compared = 0
    for first in range(0, workload.metrics, 100):
        columns = workload.columns(range(first, min(first + 100, workload.metrics)))
        for column, values in columns.items():
            text = f"{workload.names[column]} @ p/run | buckets 1"
            compared += compare(connection.ask(text),
                                scan(values, 0.0, float(workload.steps - 1), 1), text)
    return compared


# --- lives --------------------------------------------------------------------------------------


def memory_peak(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmHWM"].split()[0]) << 10


def start(data, memory, figures=None, when=None):
    """Notes the time to be ready, and the processor time of it, which a busy machine leaves alone."""
    began = time.perf_counter()
    server = Server(data, "--memory", memory)
    if figures is not None:
        figures[f"ready s, {when}"] = time.perf_counter() - began
        with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
            ticks = file.read().rsplit(")", 1)[1].split()[11:13]
        figures[f"of these CPU s, {when}"] = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return server


def directory_bytes(data):
    return {kind: sum(os.path.getsize(os.path.join(data, name)) for name in os.listdir(data)
                      if name.startswith(kind)) for kind in ("log-", "segment-", "catalog-")}


def measure(workload, memory):
    """One workload through two kills and a clean stop; returns the figures."""
    directory = tempfile.mkdtemp(prefix="stepdb-scale-")
    data = os.path.join(directory, "store")
    figures = {"workload": workload.name, "memory": memory}
    server = None
    try:
        server = start(data, memory)
        sender = Sender(server.port, workload)
        began = time.perf_counter()
        sender.send_all()
        seconds = time.perf_counter() - began
        figures["million points/s, client included"] = round(sender.points / seconds / 1e6, 1)
        figures["late rows"] = sender.late_rows
        figures["peak MiB, ingest"] = memory_peak(server) >> 20
        server.kill()
        figures["log MiB"] = directory_bytes(data)["log-"] >> 20
        figures["segment MiB"] = directory_bytes(data)["segment-"] >> 20
        server = start(data, memory, figures, "after the kill")
        figures["peak MiB, ready"] = memory_peak(server) >> 20
        connection = wire.Connection(server.port, bytes(16))
        began = time.perf_counter()
        figures["buckets compared"], figures["chart ms, median"] = check_charts(connection, workload)
        figures["check s"] = round(time.perf_counter() - began, 1)
        figures["peak MiB, charts"] = memory_peak(server) >> 20
        server.kill()
        server = start(data, memory, figures, "after a second kill")
        figures["peak MiB, ready again"] = memory_peak(server) >> 20
        server.stop()
        server = start(data, memory, figures, "after a clean stop")
        connection = wire.Connection(server.port, bytes(16))
        figures["buckets compared"] += check_totals(connection, workload)
        figures["peak MiB, last"] = memory_peak(server) >> 20
    finally:
        if server:
            server.kill()
        shutil.rmtree(directory)
    bound = parse_size(memory)
    figures["within memory"] = all((value << 20) < bound for name, value in figures.items()
                                   if name.startswith("peak"))
    figures["ready within 2 s"] = all(value <= READY_SECONDS for name, value in figures.items()
                                      if name.startswith("ready s"))
    return {name: round(value, 3) if isinstance(value, float) else value
            for name, value in figures.items()}


def workloads(options):
    if options.workload:
        kind = LongWorkload if options.workload == "long" else Workload
        return [kind(options.values, options.metrics, options.steps, options.seed)]
    if options.full:
        return [Workload("f32", 10000, 2000, options.seed),
                Workload("f64", 10000, 2000, options.seed),
                LongWorkload("f64", 2, 10_000_000, options.seed)]
    return [Workload("f32", 1000, 200, options.seed), Workload("f64", 1000, 200, options.seed),
            LongWorkload("f64", 2, 100_000, options.seed)]


def print_table(results):
    names = list(dict.fromkeys(name for figures in results for name in figures))
    print("| " + " | ".join([""] + [figures["workload"] for figures in results]) + " |")
    print("|---" * (len(results) + 1) + "|")
    for name in names[1:]:
        print("| " + " | ".join([name] + [str(figures.get(name)) for figures in results]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--memory", default=None)
    parser.add_argument("--workload", choices=("wide", "long"))
    parser.add_argument("--values", choices=("f32", "f64"), default="f64")
    parser.add_argument("--metrics", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report-only", action="store_true")
    options = parser.parse_args()
    memory = options.memory or ("512M" if options.full else "256M")
    results = []
    for workload in workloads(options):
        results.append(measure(workload, memory))
        print(json.dumps(results[-1]), flush=True)
    print_table(results)
    beyond = [figures["workload"] for figures in results if not figures["within memory"]]
    if beyond:
        print(f"more memory than {memory}: {'; '.join(beyond)}", file=sys.stderr)
    return 1 if beyond and not options.report_only else 0


if __name__ == "__main__":
    sys.exit(main())
