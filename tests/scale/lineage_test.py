#!/usr/bin/env python3
"""What a long life costs a chart: a run with fifty restarts and a chain of ten forks on top of it,
beside a run that logged the same points in one go.

  lineage_test.py           small runs (as a test)
  lineage_test.py --full    the size that RESULTS.md tells of: a million points each

Every attempt and fork goes on behind the place where the next one begins, so that a tenth of what is
stored is read by nobody. Charts of both runs are compared with each other and with the points sent, as
the rows lie in memory, after a merge, and after a restart of the server; what is told is the median
time of a chart of each, and their ratio.
"""

import argparse
import json
import os
import random
import struct
import sys
import time
import tempfile
from array import array

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from extremes_test import Writer, float32, stats, wait_until_settled  # noqa: E402
from scale_test import compare, scan, start  # noqa: E402

RESTART_RUN = 7
RESTARTS, FORKS = 50, 10
METRICS = ["loss", "grad_norm"]
SCHEMA = wire.schema_hash(wire.STEPPED, METRICS)
FRAME_ROWS = 512
BUCKETS = 1000


class Run:
    """A run that one writer logs to; frames count from 1."""

    def __init__(self, writer, handle, name, parent=None, fork_step=0):
        self.writer, self.handle, self.number, self.attempt = writer, handle, 0, 0
        body = struct.pack("<IB3xQ", handle, wire.CREATE_IF_MISSING, 1) + wire.text("p") + wire.text(name)
        body += (b"\0" if parent is None
                 else b"\1" + wire.text(parent) + struct.pack("<d", fork_step))
        writer.send(wire.frame(wire.OPEN_RUN, 0, body))

    def next_number(self):
        self.number += 1
        return self.number

    def log(self, first, values):
        """Steps from `first` on; `values` row by row."""
        width = len(METRICS)
        for at in range(0, len(values) // width, FRAME_ROWS):
            part = values[at * width:(at + FRAME_ROWS) * width]
            count = len(part) // width
            body = wire.rows_body(self.handle, SCHEMA, count,
                                  [float(first + at + row) for row in range(count)],
                                  [1_700_000_000_000_000 + (first + at + row) * 1000
                                   for row in range(count)],
                                  struct.pack(f"<{len(part)}f", *part), attempt=self.attempt)
            self.writer.send(wire.frame(wire.ROWS, self.next_number(), body))

    def restart(self, step):
        self.attempt += 1
        self.writer.send(wire.frame(RESTART_RUN, self.next_number(),
                                    struct.pack("<IIB7xd", self.handle, self.attempt, 1, step)))


def log_both(server, values, rng):
    """`straight` in one go; `fork-10` through all restarts and forks. The same points are read."""
    width, steps = len(METRICS), len(values) // len(METRICS)
    writer = Writer(server.port)
    writer.send(wire.schema("p", wire.STEPPED, METRICS))
    Run(writer, 1, "straight").log(0, values)
    pieces = RESTARTS + FORKS + 1
    ends = [steps * (piece + 1) // pieces for piece in range(pieces)]
    run, name, begin = Run(writer, 2, "job"), "job", 0
    for piece, end in enumerate(ends):
        own = values[begin * width:end * width]
        if end < steps:  # what is cut off: other values, as a restart computes them anew
            lost = array("f", (rng.gauss(0, 1) for _ in range((end - begin) // 10 * width)))
            own = own + lost
        run.log(begin, own)
        begin = end
        if piece < RESTARTS:
            run.restart(end - 1)
        elif end < steps:
            parent, name = name, f"fork-{piece - RESTARTS + 1}"
            run = Run(writer, 3 + piece, name, parent, float(end - 1))
    writer.finish()
    return name


def measure(server, forked, values, charts):
    """Median milliseconds of a chart of each run, asked for in turns."""
    width, steps = len(METRICS), len(values) // len(METRICS)
    wanted = {column: scan(values[column::width], 0.0, float(steps - 1), BUCKETS)
              for column in range(width)}
    connection = wire.Connection(server.port, bytes(16))
    taken = {"straight": [], forked: []}
    for _ in range(charts):
        for run, times in taken.items():
            for column, metric in enumerate(METRICS):
                text = f"{metric} @ p/{run} | buckets {BUCKETS}"
                began = time.perf_counter()
                answer = connection.ask(text)
                times.append((time.perf_counter() - began) * 1000)
                compare(answer, wanted[column], text)
    connection.close()
    return [sorted(times)[len(times) // 2] for times in taken.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    steps, charts = (1_000_000, 15) if options.full else (20_000, 2)
    rng = random.Random(options.seed)
    values = array("f", (float32(rng.gauss(3, 1)) for _ in range(steps * len(METRICS))))
    results = []
    with tempfile.TemporaryDirectory(prefix="stepdb-lineage-") as directory:
        server = start(os.path.join(directory, "store"), "512M")
        try:
            forked = log_both(server, values, rng)
            results.append(["as logged", *measure(server, forked, values, charts)])
            wait_until_settled(server)
            results.append(["settled", *measure(server, forked, values, charts)])
            connection = wire.Connection(server.port, bytes(16))
            segments = stats(connection)["segments"]
            connection.close()
            server.stop()
            server = start(os.path.join(directory, "store"), "512M")
            results.append(["after a restart", *measure(server, forked, values, charts)])
        finally:
            server.kill()
    print(f"{steps:,} points a series, {RESTARTS} restarts, {FORKS} forks, charts of {BUCKETS} buckets, "
          f"{segments:g} segments")
    for when, straight, forked_ms in results:
        print(json.dumps({"when": when, "straight ms": round(straight, 2),
                          "restarted and forked ms": round(forked_ms, 2),
                          "ratio": round(forked_ms / straight, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
