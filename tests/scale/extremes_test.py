"""Stores of extreme shapes under `--memory 512M`: what a point costs, what the server takes, how many
pieces a settled series is in, how soon a server is ready and how long a chart takes.

  extremes_test.py                      small stores of each shape (as a test)
  extremes_test.py --full [SHAPE...]    the sizes that RESULTS.md tells of; all shapes, or these
  extremes_test.py --full quiet --seconds N
                                        the shape that takes its time, for a shorter one

Shapes:
  wide      one run of 100,000 metrics x 2,000 rows
  runs      100,000 runs of 20 metrics x 100 rows, each finished
  schemas   one run that logs 100,000 different sets of 10 to 20 of 300 metrics, a row each
  points    1 M series of one point: 10,000 runs x 100 metrics x 1 row
  quiet     10,000 runs that log a row of 5 metrics a second, beside one writer at full rate

Bounds, at full size: VmHWM within --memory, at most 8 pieces a settled series, ready within 2 s, a
chart within 20 ms. What is out of bounds is told, and is no failure: RESULTS.md says what stands in
the way. What fails is a frame that is refused, an answer that is wrong, or memory beyond --memory.
"""

import argparse
import collections
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from array import array

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from scale_test import Sender, Workload, compare, memory_peak, parse_size, scan, start  # noqa: E402
from support import STEPDB  # noqa: E402

PIECES_MAX, READY_SECONDS, CHART_MS = 8, 2.0, 20.0
CHARTS = 200
DELETE_RUN = 11
WINDOW = 2000  # frames that may wait for their outcome
SETTLED_SECONDS = 8  # without a flush or merge: a settled store is looked at after five


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Writer:
    """A connection that counts along and keeps a bounded number of frames in flight."""

    def __init__(self, port):
        self.connection = wire.Connection(port, os.urandom(16))
        self.sent = self.answered = 0

    def send(self, *frames):
        self.connection.send(*frames)
        self.sent += len(frames)
        if self.sent - self.answered > WINDOW:
            self.wait(self.sent - WINDOW // 2)

    def wait(self, ordinal=None):
        while self.answered < (self.sent if ordinal is None else ordinal):
            kind, number, body = self.connection.read()
            if kind == wire.ERROR:
                raise wire.Refused(number, body)
            if kind == wire.ACK:
                self.answered = max(self.answered, number)

    def finish(self):
        self.wait()
        self.connection.close()


def finish_run(number, handle):
    return wire.frame(wire.FINISH_RUN, number, struct.pack("<IIB7x", handle, 0, 1))


def now_us():
    return time.time_ns() // 1000


# --- shapes -------------------------------------------------------------------------------------


class Wide:
    """One run of many metrics."""

    def __init__(self, small, options):
        self.workload = Workload("f32", *((2000, 100) if small else (100_000, 2000)), options.seed)
        self.name = f"1 run x {self.workload.metrics:,} metrics x {self.workload.steps:,} rows"

    def write(self, server, figures):
        sender = Sender(server.port, self.workload)
        sender.send_all()
        self.points = self.workload.metrics * self.workload.steps
        self.series = self.workload.metrics

    def charts(self, rng):
        columns = sorted(rng.sample(range(self.workload.metrics), CHARTS))
        last = self.workload.steps - 1
        for column, values in self.workload.columns(columns).items():
            yield (f"{self.workload.names[column]} @ p/run | buckets 100",
                   lambda values=values: scan(values, 0.0, float(last), 100))


class Runs:
    """Many runs of one schema, `rows` rows each in one frame, made, logged and finished."""

    def __init__(self, small, options, shape=(1000, 20, 100), full=(100_000, 20, 100)):
        self.runs, self.metrics, self.rows = shape if small else full
        self.name = f"{self.runs:,} runs x {self.metrics} metrics x {self.rows} rows"
        self.names = [f"train/metric_{index}" for index in range(self.metrics)]
        self.rng = random.Random(options.seed)
        self.pool = [self.noise() for _ in range(61)]

    def noise(self):
        """Rows of metrics that drift from level to level."""
        levels = [self.rng.lognormvariate(0, 1) for _ in range(self.metrics)]
        values = array("f")
        for _ in range(self.rows):
            levels = [level * self.rng.gauss(1, 0.01) for level in levels]
            values.extend(levels)
        return values

    def run_name(self, index):
        return f"sweep-{index:06}"

    def write(self, server, figures):
        schema_name = wire.schema_hash(wire.STEPPED, self.names)
        steps = range(self.rows)
        for first in range(0, self.runs, 1000):
            writer = Writer(server.port)
            writer.send(wire.schema("p", wire.STEPPED, self.names))
            for index in range(first, min(first + 1000, self.runs)):
                began = now_us()
                body = wire.rows_body(index, schema_name, self.rows, steps,
                                      range(began, began + self.rows * 1000, 1000),
                                      self.pool[index % len(self.pool)].tobytes())
                writer.send(wire.open_run(index, "p", self.run_name(index)),
                            wire.frame(wire.ROWS, 1, body), finish_run(2, index))
            writer.finish()
        self.points = self.runs * self.metrics * self.rows
        self.series = self.runs * self.metrics

    def charts(self, rng):
        for _ in range(CHARTS):
            run, column = rng.randrange(self.runs), rng.randrange(self.metrics)
            values = self.pool[run % len(self.pool)][column::self.metrics]
            yield (f"{self.names[column]} @ p/{self.run_name(run)} | buckets 100",
                   lambda values=values: scan(values, 0.0, float(self.rows - 1), 100))


class Points(Runs):
    """One row a run."""

    def __init__(self, small, options):
        super().__init__(small, options, (1000, 100, 1), (10_000, 100, 1))


class Schemas:
    """One run in which every row names another set of metrics."""

    METRICS = 300

    def __init__(self, small, options):
        self.schemas = 2000 if small else 100_000
        self.name = f"1 run x {self.schemas:,} schemas x 1 row"
        self.rng = random.Random(options.seed)
        self.names = [f"model/layer_{index // 10}/stat_{index % 10}" for index in range(self.METRICS)]
        self.points = 0
        self.logged = collections.defaultdict(dict)  # metric -> {step: value}

    def write(self, server, figures):
        writer = Writer(server.port)
        writer.send(wire.open_run(1, "p", "run"))
        for step in range(self.schemas):
            columns = self.rng.sample(range(self.METRICS), self.rng.randint(10, 20))
            names = [self.names[column] for column in columns]
            values = [float32(self.rng.gauss(column, 0.1)) for column in columns]
            for column, value in zip(columns, values):
                self.logged[column][step] = value
            self.points += len(columns)
            writer.send(wire.schema("p", wire.STEPPED, names),
                        wire.rows(step + 1, 1, wire.schema_hash(wire.STEPPED, names), [step], values,
                                  [now_us()]))
        writer.finish()
        self.series = len(self.logged)

    def charts(self, rng):
        for _ in range(CHARTS):
            column = rng.choice(sorted(self.logged))
            points = self.logged[column]
            yield (f"{self.names[column]} @ p/run | steps 0..{self.schemas} | buckets 100",
                   lambda points=points: scan_points(points, self.schemas, 100))


def scan_points(points, last, buckets):
    """The same as scan() for a series with gaps: counts and extremes."""
    edges = [last * (index / buckets) for index in range(buckets)] + [last]
    found = []
    for index in range(buckets):
        values = [value for step, value in points.items()
                  if edges[index] <= step < edges[index + 1] or (index == buckets - 1 and step == last)]
        total = sum(map(abs, values))
        found.append({"count": len(values), "min": min(values, default=None),
                      "max": max(values, default=None), "total": total,
                      "sum": sum(values) if values else None})
    return found


class Quiet:
    """Many runs that log a row a second, beside a writer that sends as fast as it may and deletes what
    it logged first."""

    METRICS = 5

    def __init__(self, small, options):
        self.runs = 200 if small else 10_000
        self.seconds = options.seconds or (5 if small else 600)
        self.store_max = parse_size(options.store_max)
        self.name = f"{self.runs:,} runs at 1 row/s for {self.seconds} s beside a writer"
        self.names = [f"quiet/{index}" for index in range(self.METRICS)]
        self.logged = [array("d") for _ in range(self.runs)]  # steps, by run

    def value(self, run, step, metric):
        return float32((run * 31 + step * 7 + metric) % 1009 / 7)

    def write(self, server, figures):
        busy = BusyWriter(server, self.seconds, self.store_max)
        busy.start()
        try:
            behind = self.write_quietly(server)
        finally:
            figures.update(busy.finish())
        figures["quiet writers behind by s, most"] = round(behind, 2)
        self.points = (sum(len(steps) for steps in self.logged) * self.METRICS +
                       figures["points of the writer that are left"])
        self.series = self.runs * self.METRICS

    def write_quietly(self, server):
        schema_name = wire.schema_hash(wire.STEPPED, self.names)
        writers = []
        for first in range(0, self.runs, 1000):
            writer = Writer(server.port)
            writer.send(wire.schema("p", wire.STEPPED, self.names))
            for run in range(first, min(first + 1000, self.runs)):
                writer.send(wire.open_run(run, "p", f"quiet-{run:05}"))
            writers.append((writer, range(first, min(first + 1000, self.runs))))
        began, behind = time.monotonic(), 0.0
        for step in range(self.seconds):
            for place, (writer, runs) in enumerate(writers):
                due = began + step + place / len(writers)
                behind = max(behind, time.monotonic() - due)
                time.sleep(max(0.0, due - time.monotonic()))
                frames = []
                for run in runs:
                    values = [self.value(run, step, metric) for metric in range(self.METRICS)]
                    frames.append(wire.rows(step + 1, run, schema_name, [step], values, [now_us()]))
                    self.logged[run].append(step)
                writer.send(*frames)
        for writer, _ in writers:
            writer.finish()
        return behind

    def charts(self, rng):
        for _ in range(CHARTS):
            run, metric = rng.randrange(self.runs), rng.randrange(self.METRICS)
            values = array("d", (self.value(run, int(step), metric) for step in self.logged[run]))
            yield (f"{self.names[metric]} @ p/quiet-{run:05} | buckets 100",
                   lambda values=values: scan(values, 0.0, float(len(values) - 1), 100))


class BusyWriter(threading.Thread):
    """`stepdb bench ingest`, again and again: 1,000 metrics as fast as they are taken, each time into
    another project, the oldest of which is deleted when the store has grown to its bound."""

    METRICS, SECONDS = 1000, 20

    def __init__(self, server, seconds, store_max):
        super().__init__()
        self.server, self.until = server, time.monotonic() + seconds
        self.store_max = store_max * 3 // 4  # a merge takes room, and what is deleted goes later
        self.there = collections.deque()  # (project, points)
        self.rates, self.deleted, self.error = [], 0, None

    def run(self):
        try:
            number = 0
            while time.monotonic() < self.until:
                self.write(f"busy-{number}", min(self.SECONDS, max(1, self.until - time.monotonic())))
                number += 1
                while store_bytes(self.server.data) > self.store_max and len(self.there) > 2:
                    self.delete(self.there.popleft()[0])
        except Exception as error:  # told by finish()
            self.error = error

    def write(self, project, seconds):
        done = subprocess.run(
            [STEPDB, "bench", "ingest", "--server", self.server.address, "--project", project,
             "--metrics", str(self.METRICS), "--rows-per-frame", "128", "--warm-up", "0",
             "--seconds", str(int(seconds)), "--format", "json"],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"bench ingest: {done.stderr}")
        figures = json.loads(done.stdout)
        self.rates.append(figures["points_per_second"])
        self.there.append((project, figures["rows_acknowledged"] * self.METRICS))

    def delete(self, project):
        connection = wire.Connection(self.server.port, os.urandom(16))
        for run in sorted(set(connection.ask(f"bench/000000 @ {project}/* | buckets 1")["run"])):
            connection.send(wire.open_run(1, *run.split("/")),
                            wire.frame(DELETE_RUN, 1, struct.pack("<I4x", 1)))
            connection.wait_for(2)
        connection.close()
        self.deleted += 1

    def finish(self):
        self.join()
        if self.error:
            raise self.error
        return {"million points/s of the writer": round(sum(self.rates) / len(self.rates) / 1e6, 1),
                "runs of the writer deleted": self.deleted,
                "points of the writer that are left": sum(points for _, points in self.there)}


SHAPES = {"wide": Wide, "runs": Runs, "schemas": Schemas, "points": Points, "quiet": Quiet}


# --- what is measured ---------------------------------------------------------------------------


def files_of(data):
    found = {}
    for name in os.listdir(data):
        try:
            found[name] = os.path.getsize(os.path.join(data, name))
        except FileNotFoundError:
            pass
    return found


def store_bytes(data, kinds=("segment-", "catalog-", "manifest-", "log-")):
    return sum(size for name, size in files_of(data).items() if name.startswith(kinds))


def stats(connection):
    answer = connection.ask("stats")
    return dict(zip(answer["what"], answer["value"]))


def wait_until_settled(server, seconds_max=600):
    """No merge is under way and none is to come. The seconds until then."""
    connection = wire.Connection(server.port, bytes(16))
    began = since = time.monotonic()
    before = None
    while time.monotonic() - since < SETTLED_SECONDS and time.monotonic() - began < seconds_max:
        time.sleep(0.5)
        found = stats(connection)
        now = (found["flushes"], found["merges"], found["merging now"])
        if now != before or found["merging now"]:
            before, since = now, time.monotonic()
    connection.close()
    return since - began


def count_pieces(data):
    """In how many blocks of segments the series of each (run, attempt, schema) are: mean and most.
    Blocks that share out the columns of a schema count by their share."""
    groups = collections.defaultdict(lambda: [0, 1 << 32, 0])
    segments = [os.path.join(data, name) for name in files_of(data) if name.startswith("segment-")]
    for path in segments:
        with subprocess.Popen([STEPDB, "inspect", path, "--format", "jsonl"], text=True,
                              stdout=subprocess.PIPE) as inspect:
            for line in inspect.stdout:
                row = json.loads(line)
                if row.get("part") != "blocks":
                    continue
                group = groups[row["run"], row["attempt"], row["schema"]]
                group[0] += row["end_column"] - row["first_column"]
                group[1] = min(group[1], row["first_column"])
                group[2] = max(group[2], row["end_column"])
        if inspect.returncode != 0:
            raise AssertionError(f"inspect {path} ended with {inspect.returncode}")
    pieces = [columns / max(1, end - first) for columns, first, end in groups.values()]
    return len(segments), sum(pieces) / max(1, len(pieces)), max(pieces, default=0)


def measure_charts(server, shape, figures):
    connection = wire.Connection(server.port, bytes(16))
    milliseconds = []
    for text, wanted in shape.charts(random.Random(99)):
        began = time.perf_counter()
        answer = connection.ask(text)
        milliseconds.append((time.perf_counter() - began) * 1000)
        compare(answer, wanted(), text)
    milliseconds.sort()
    figures["chart ms, median"] = milliseconds[len(milliseconds) // 2]
    figures["chart ms, 99 of 100"] = milliseconds[len(milliseconds) * 99 // 100]


def measure(shape, memory, keep=None):
    directory = keep or tempfile.mkdtemp(prefix="stepdb-extremes-")
    data = os.path.join(directory, "store")
    figures = {"shape": shape.name, "memory": memory}
    server = None
    try:
        server = start(data, memory)
        began = time.perf_counter()
        shape.write(server, figures)
        figures["ingest s, client included"] = time.perf_counter() - began
        figures["peak MiB, ingest"] = memory_peak(server) >> 20
        figures["settled after s"] = wait_until_settled(server)
        figures["peak MiB, settled"] = memory_peak(server) >> 20
        server.kill()
        server = start(data, memory, figures, "after a kill")
        figures["peak MiB, ready"] = memory_peak(server) >> 20
        measure_charts(server, shape, figures)
        figures["peak MiB, charts"] = memory_peak(server) >> 20
        connection = wire.Connection(server.port, bytes(16))
        figures["resident MiB, counted"] = stats(connection)["resident bytes"] / (1 << 20)
        server.stop()
        server = start(data, memory, figures, "after a clean stop")
        figures["peak MiB, ready again"] = memory_peak(server) >> 20
        server.stop()
        kept = store_bytes(data, ("segment-", "catalog-", "manifest-"))
        figures["series"], figures["points"] = shape.series, shape.points
        figures["bytes a point"] = kept / shape.points
        figures["segments"], figures["pieces a series, mean"], figures["pieces a series, most"] = (
            count_pieces(data))
    finally:
        if server:
            server.kill()
        if not keep:
            shutil.rmtree(directory)
    return {name: round(value, 3) if isinstance(value, float) else value
            for name, value in figures.items()}


def out_of_bounds(figures):
    """What is, in words."""
    peak = max(value for name, value in figures.items() if name.startswith("peak"))
    ready = max(value for name, value in figures.items() if name.startswith("ready s"))
    found = []
    if peak << 20 > parse_size(figures["memory"]):
        found.append(f"{peak} MiB of {figures['memory']}")
    if figures["pieces a series, most"] > PIECES_MAX:
        found.append(f"{figures['pieces a series, most']} pieces of {PIECES_MAX}")
    if ready > READY_SECONDS:
        found.append(f"ready after {ready} s of {READY_SECONDS}")
    if figures["chart ms, median"] > CHART_MS:
        found.append(f"a chart in {figures['chart ms, median']} ms of {CHART_MS}")
    return found


def print_table(results):
    names = list(dict.fromkeys(name for figures in results for name in figures))
    print("| " + " | ".join([""] + [figures["shape"] for figures in results]) + " |")
    print("|---" * (len(results) + 1) + "|")
    for name in names[1:]:
        print("| " + " | ".join([name] + [str(figures.get(name, "")) for figures in results]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", choices=[*SHAPES, []], metavar="SHAPE",
                        help=", ".join(SHAPES))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--seconds", type=int, help="of the shape `quiet`")
    parser.add_argument("--store-max", default="20G",
                        help="size at which the shape `quiet` deletes its oldest data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", metavar="DIR", help="where the store stays")
    parser.add_argument("--report-only", action="store_true")
    options = parser.parse_args()
    results, beyond = [], False
    for name in options.shapes or SHAPES:
        figures = measure(SHAPES[name](not options.full, options), options.memory, options.keep)
        found = out_of_bounds(figures)
        figures["out of bounds"] = "; ".join(found) or "nothing"
        results.append(figures)
        print(json.dumps(figures), flush=True)
        beyond = beyond or any("MiB" in words for words in found)
    print_table(results)
    return 1 if beyond and not options.report_only else 0


if __name__ == "__main__":
    sys.exit(main())
