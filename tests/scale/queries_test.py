"""A hundred heavy queries at a time, each on a connection of its own, in the least memory a server
takes, while a writer goes on writing and a small chart goes on being asked: memory stays within
`--memory`, each query gets its right answer or an error that says what it lacked, and no row is
refused.

  queries_test.py                        1.2 million points (as a test)
  queries_test.py --rounds N             the hundred again and again
  queries_test.py --connections N        fewer or more than a hundred
  queries_test.py --report-only          figures; says what is out of bounds, exits 0
"""

import argparse
import array
import collections
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from support import SECONDS_MAX, Server  # noqa: E402

MEMORY = 256 << 20
RUNS, METRICS, STEPS = 4, 10, 30_000
FRAME_ROWS = 4096
NAMES = [f"m/{metric}" for metric in range(METRICS)]
SCHEMA = wire.schema_hash(wire.STEPPED, NAMES)
HEAVY = {
    "raw": "** @ load/r{run}",
    "across": "m/* @ load/r* | buckets 2k | across mean, max, p95",
    "pivot": "m/* @ load/r{run} | last 5k | pivot",
    "group by": "m/{{l}} @ load/r* | buckets 1k | group by l mean, p95, std",
    "sort": "m/{run} @ load/r{run} | sort value desc | limit 1k",
}
CHART = "m/0 @ load/r0 | buckets 200"
# How an error must read that is about memory or time and nothing else.
CLEAR = ("s for memory, and others still have", "of memory, and of the", "of memory, and one query may take", "has taken longer than",
         "of memory that newer rows need")


def value_at(run, metric, step):
    """Exact as a float32."""
    return float((step * 7919 + metric * 104729 + run * 15485863) % 65521)


class Digest(wire.Answer):
    """An answer of which the cells are not kept, but what is the same only of equal ones, however
    they are divided into blocks."""

    def __init__(self):
        super().__init__()
        self.rows, self.hashes = 0, []

    def begin(self, body):
        super().begin(body)
        self.hashes = [hashlib.blake2b(name.encode()) for name in self.names]

    def add_block(self, body):
        super().add_block(body)
        for kind, cells, digest in zip(self.types, self.columns, self.hashes):
            if kind == wire.TEXT_COLUMN or None in cells:
                digest.update("\n".join(map(str, cells)).encode() + b"\n")
            else:
                digest.update(array.array("d" if kind in (1, 2) else "q", cells).tobytes())
        self.rows += len(self.columns[0])
        self.columns = [[] for _ in self.columns]

    def end(self, body):
        self.columns = []
        super().end(body)

    def whole(self):
        return self.rows, [digest.hexdigest() for digest in self.hashes]


def ask(connection, text, answer):
    connection.send(wire.query(1, text))
    while True:
        kind, number, body = connection.read()
        if kind == wire.ERROR:
            raise wire.Refused(number, body)
        if kind == wire.RESULT_COLUMNS:
            answer.begin(body)
        elif kind == wire.RESULT_BLOCK:
            answer.add_block(body)
        else:
            assert kind == wire.RESULT_END, kind
            answer.end(body)
            return answer


def rows_frame(number, handle, run, first, count):
    values = array.array("f", (value_at(run, metric, step) for step in range(first, first + count)
                               for metric in range(METRICS)))
    return wire.frame(wire.ROWS, number, wire.rows_body(
        handle, SCHEMA, count, list(map(float, range(first, first + count))),
        list(range(first, first + count)), values.tobytes()))


def load(server):
    connection = wire.Connection(server.port, b"the loader......")
    connection.send(wire.schema("load", wire.STEPPED, NAMES))
    ordinal = 1
    for run in range(RUNS):
        connection.send(wire.open_run(run + 1, "load", f"r{run}"))
        ordinal += 1
        for number, first in enumerate(range(0, STEPS, FRAME_ROWS), 1):
            connection.send(rows_frame(number, run + 1, run, first,
                                       min(FRAME_ROWS, STEPS - first)))
            ordinal += 1
    connection.wait_for(ordinal)
    connection.close()


class Writer(threading.Thread):
    """Writes a run of its own until it is told to stop; a refused row ends it."""

    def __init__(self, server):
        super().__init__()
        self.connection = wire.Connection(server.port, b"the writer......")
        self.stopping = threading.Event()
        self.rows, self.slowest, self.error = 0, 0.0, None

    def run(self):
        try:
            self.connection.send(wire.schema("load", wire.STEPPED, NAMES),
                                 wire.open_run(1, "load", "live"))
            self.connection.wait_for(2)
            number = 0
            while not self.stopping.is_set():
                number += 1
                began = time.monotonic()
                self.connection.send(rows_frame(number, 1, RUNS, self.rows, 256))
                self.connection.wait_for(2 + number)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.rows += 256
        except Exception as error:  # judged by the main thread
            self.error = error


class Chart(threading.Thread):
    """Asks for a small chart until it is told to stop. Where others have all the memory it may be told
    to ask again."""

    def __init__(self, server, expected):
        super().__init__()
        self.connection = wire.Connection(server.port, bytes(16))
        self.expected = expected
        self.stopping = threading.Event()
        self.seconds, self.refused, self.error = [], [], None

    def run(self):
        try:
            while not self.stopping.is_set() or not self.seconds:
                began = time.monotonic()
                try:
                    got = ask(self.connection, CHART, Digest()).whole()
                except wire.Refused as refusal:
                    self.refused.append(refusal.message)
                    continue
                self.seconds.append(time.monotonic() - began)
                assert got == self.expected, "another chart"
        except Exception as error:  # judged by the main thread
            self.error = error


class Asker(threading.Thread):
    """One heavy query, as often as there are rounds, all of a round at the same time."""

    def __init__(self, server, kind, text, expected, rounds, together):
        super().__init__()
        self.connection = wire.Connection(server.port, bytes(16))
        self.kind, self.text, self.expected = kind, text, expected
        self.rounds, self.together = rounds, together
        self.right, self.refused, self.error = 0, [], None

    def run(self):
        try:
            for _ in range(self.rounds):
                self.together.wait(SECONDS_MAX)
                try:
                    got = ask(self.connection, self.text, Digest()).whole()
                    assert got == self.expected, f"another answer to {self.text}"
                    self.right += 1
                except wire.Refused as refusal:
                    self.refused.append(refusal.message)
        except Exception as error:  # judged by the main thread
            self.error = error
            self.together.abort()


def peak_bytes(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM of the server")


def heavy_texts(count):
    kinds = list(HEAVY)
    return [(kind, HEAVY[kind].format(run=number // len(kinds) % RUNS))
            for number, kind in ((number, kinds[number % len(kinds)]) for number in range(count))]


def ask_alone(server, texts):
    """The answers of one query at a time; of some of them what they must be is plain."""
    connection = wire.Connection(server.port, bytes(16))
    answers = {text: ask(connection, text, Digest()).whole()
               for text in [CHART, *sorted({text for _, text in texts})]}
    raw = connection.ask("m/3 @ load/r2")
    assert list(raw["step"]) == list(map(float, range(STEPS)))
    assert list(raw["value"]) == [value_at(2, 3, step) for step in range(STEPS)]
    highest = connection.ask("m/1 @ load/r1 | sort value desc | limit 1k")
    assert list(highest["value"]) == sorted(
        (value_at(1, 1, step) for step in range(STEPS)), reverse=True)[:1000]
    pivot = connection.ask("m/* @ load/r3 | last 5k | pivot")
    assert list(pivot["step"]) == list(map(float, range(STEPS - 5_000, STEPS)))
    assert list(pivot.columns[-1]) == [value_at(3, METRICS - 1, int(step))
                                       for step in pivot["step"]]
    grouped = connection.ask("m/{l} @ load/r* | buckets 1k | group by l mean, p95, std")
    assert sum(grouped["count"]) == RUNS * METRICS * 1000, sum(grouped["count"])
    connection.close()
    return answers


def measure(server, connections, rounds):
    texts = heavy_texts(connections)
    load(server)
    answers = ask_alone(server, texts)
    together = threading.Barrier(connections)
    askers = [Asker(server, kind, text, answers[text], rounds, together)
              for kind, text in texts]
    writer, chart = Writer(server), Chart(server, answers[CHART])
    began = time.monotonic()
    for thread in [writer, chart, *askers]:
        thread.start()
    for asker in askers:
        asker.join()
    seconds = time.monotonic() - began
    for thread in (writer, chart):
        thread.stopping.set()
        thread.join()
    for thread in [writer, chart, *askers]:
        thread.connection.close()
        if thread.error:
            raise thread.error
    return askers, writer, chart, seconds


def facts_of(server):
    connection = wire.Connection(server.port, bytes(16))
    answer = connection.ask("stats")
    connection.close()
    return dict(zip(answer["what"], answer["value"]))


def judge(askers, chart, rounds, peak):
    """What is out of bounds."""
    wrong = [f"not clear: {message}" for asker in [*askers, chart] for message in asker.refused
             if not any(clear in message for clear in CLEAR)]
    right = collections.Counter()
    for asker in askers:
        right[asker.kind] += asker.right
    if right.total() < sum(rounds for _ in askers) / 2:
        wrong.append(f"only {right.total()} were answered")
    wrong += [f"no '{kind}' was answered" for kind in HEAVY if right[kind] == 0]
    if peak > MEMORY:
        wrong.append(f"peak memory {peak >> 20} MiB of {MEMORY >> 20} MiB")
    for kind in HEAVY:
        asked = rounds * sum(asker.kind == kind for asker in askers)
        print(f"  {kind:10} {asked:4} asked, {right[kind]:4} answered")
    for message, count in collections.Counter(
            message for asker in askers for message in asker.refused).most_common(3):
        print(f"  {count} times: {message}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--report-only", dest="is_judged", action="store_false",
                        help="do not fail for memory, as under a sanitizer")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="stepdb-queries-")
    server = None
    try:
        server = Server(os.path.join(directory, "store"), "--memory", "256M", "--slow-query", "off")
        askers, writer, chart, seconds = measure(server, options.connections, options.rounds)
        peak = peak_bytes(server)
        print(f"{options.connections} heavy queries at a time, {options.rounds} times: {seconds:.1f} s, "
              f"peak memory {peak / 2**20:.0f} MiB")
        wrong = judge(askers, chart, options.rounds, peak)
        times = sorted(chart.seconds)
        print(f"  {len(times)} charts meanwhile, {len(chart.refused)} refused, median {1e3 * times[len(times) // 2]:.1f} ms, "
              f"slowest {1e3 * times[-1]:.0f} ms; {writer.rows} rows written, slowest "
              f"{1e3 * writer.slowest:.0f} ms")
        facts = facts_of(server)
        assert facts["queries running"] == 1 and facts["queries waiting for memory"] == 0, facts
        assert facts["query memory bytes"] == 0, facts
        assert facts["queries failed"] == sum(
            len(asker.refused) for asker in [*askers, chart]), facts
        server.stop()
        server = None
    finally:
        if server:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(directory, ignore_errors=True)
    for line in wrong:
        print(line)
    if wrong and options.is_judged:
        sys.exit("out of bounds")


if __name__ == "__main__":
    main()
