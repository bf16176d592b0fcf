"""StepDB itself: by its native protocol on one connection, written with the encoder of the end-to-end
tests; and, for reference, what `stepdb bench ingest` measures with a client in C++."""

import ctypes
import glob
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import measure
from stores.store import NotInstalled, ServerStore, wait_until_quiet

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import wire  # pylint: disable=wrong-import-position

PROJECT = "peers"
FRAME_POINTS = 16_384
WINDOW_BYTES = 8 << 20  # sent and not yet acknowledged, as `stepdb bench` has it
XXH3, CRC32 = 1, 2


def program():
    return os.environ.get("STEPDB_BIN", os.path.join(ROOT, "build", "release", "bin", "stepdb"))


def find_program():
    if not os.access(program(), os.X_OK):
        raise NotInstalled("build it (cmake --build --preset release) or name it in STEPDB_BIN")


def program_version():
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return "StepDB " + said.stdout.split()[-1]


class Checksum:
    """XXH3 where the machine has the library, which StepDB needs anyway; else CRC-32."""

    def __init__(self):
        try:
            self.xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits_withSeed
            self.xxh3.restype = ctypes.c_uint64
            self.xxh3.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64)
        except (OSError, AttributeError):
            self.xxh3 = None
        self.kind = XXH3 if self.xxh3 else CRC32

    def stamp(self, frame, address, number, handle):
        """Puts number, handle and checksum into a frame of one run, in place."""
        struct.pack_into("<QI", frame, 16, number, handle)
        if self.xxh3:
            seed = struct.unpack_from("<Q", frame)[0]
            value = self.xxh3(address + 16, len(frame) - 16, seed)
        else:
            value = zlib.crc32(memoryview(frame)[16:], zlib.crc32(frame[:8]))
        struct.pack_into("<Q", frame, 8, value)


class Frames:
    """Whole frames out of a socket."""

    def __init__(self, connection):
        self.socket = connection
        self.buffer = bytearray(1 << 20)
        self.begin = self.end = 0

    def next(self):
        """Type, number and body (valid until the next call) of the next frame."""
        while self.end - self.begin < 24 or self.end - self.begin < self._length():
            self._receive()
        at, length = self.begin, self._length()
        self.begin += length
        return (self.buffer[at + 5], struct.unpack_from("<Q", self.buffer, at + 16)[0],
                memoryview(self.buffer)[at + 24:at + length])

    def _length(self):
        return struct.unpack_from("<I", self.buffer, self.begin)[0]

    def _receive(self):
        if self.begin:
            rest = bytes(memoryview(self.buffer)[self.begin:self.end])
            self.begin, self.end = 0, len(rest)
            self.buffer[:len(rest)] = rest
        if self.end >= 4 and self._length() > len(self.buffer) or self.end == len(self.buffer):
            self.buffer = self.buffer + bytes(len(self.buffer))
        received = self.socket.recv_into(memoryview(self.buffer)[self.end:])
        if not received:
            raise EOFError("the server has closed the connection")
        self.end += received


class StepdbServer(ServerStore):
    """A `stepdb serve` on a free port."""

    def version(self):
        return program_version()

    def start(self):
        errors = open(os.path.join(self.directory, "server.out"), "ab")  # pylint: disable=R1732
        self.process = subprocess.Popen(
            [program(), "serve", "--data", os.path.join(self.directory, "store"), "--listen",
             "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            text=True)
        errors.close()
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"stepdb serve says {line!r}")
        self.port = int(line.rpartition(":")[2])
        self.asking = None

    def bytes_stored(self):
        store = os.path.join(self.directory, "store")
        logs = measure.disk_bytes(*glob.glob(os.path.join(store, "log-*")))
        whole = measure.disk_bytes(store)
        return whole - logs, whole

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def hello(self, writer):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=600)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(wire.frame(wire.HELLO, 0, struct.pack("<IQ16s", 1, 0, writer) +
                                      wire.text("") + wire.text("bench/peers")))
        frames = Frames(connection)
        kind, number, body = frames.next()
        if kind != wire.HELLO_OK:
            raise wire.Refused(number, bytes(body))
        return connection, frames

    def ask(self, text):
        """The frames of the answer as (type, body)."""
        if self.asking is None:
            self.asking = self.hello(bytes(16))
        connection, frames = self.asking
        connection.sendall(wire.query(1, text))
        answer = []
        while True:
            kind, number, body = frames.next()
            if kind == wire.ERROR:
                raise wire.Refused(number, bytes(body))
            answer.append((kind, bytes(body)))
            if kind == wire.RESULT_END:
                return answer

    @staticmethod
    def table(answer):
        """Its columns by name."""
        table = wire.Answer()
        for kind, body in answer:
            if kind == wire.RESULT_COLUMNS:
                table.begin(body)
            elif kind == wire.RESULT_BLOCK:
                table.add_block(body)
            else:
                table.end(body)
        return table


class Stepdb(StepdbServer):
    name = "stepdb"
    layout = "rows, their steps and times stored once"
    sent = (f"native protocol, frames of about {FRAME_POINTS:,} points of one run, "
            f"{WINDOW_BYTES >> 20} MiB in flight")
    durability = "synced, and visible to queries"
    is_synced = True

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        self.checksum = Checksum()
        self.metrics = [shape.metric(column) for column in range(shape.metrics)]
        self.schema = wire.schema_hash(wire.STEPPED, self.metrics)

    @classmethod
    def find(cls):
        find_program()

    def encode(self, batch):
        """(run, frame, its address) in the order of arrival within each run."""
        steps = [float(step) for step in batch.steps()]
        times, runs = batch.times_us(), self.shape.runs
        rows_max = max(FRAME_POINTS // self.shape.metrics, 1)
        frames = []
        for run_at in range(min(runs, batch.count)):
            rows = range(run_at, batch.count, runs)
            for first in range(0, len(rows), rows_max):
                taken = rows[first:first + rows_max]
                frames.append(((batch.first + run_at) % runs,
                               *self._frame(batch, taken, steps, times)))
        return frames

    def _frame(self, batch, rows, steps, times):
        width = self.shape.metrics
        part = slice(rows[0], rows[-1] + 1, rows.step)
        if rows.step == 1:
            values = batch.values[rows[0] * width:(rows[-1] + 1) * width].tobytes()
        else:
            values = b"".join(batch.values[row * width:(row + 1) * width].tobytes() for row in rows)
        body = wire.rows_body(0, self.schema, len(rows), steps[part], list(times[part]), values)
        head = struct.pack("<IBBBBQQ", 24 + len(body), 1, wire.ROWS, self.checksum.kind, 0, 0, 0)
        frame = bytearray(head + body)
        return frame, ctypes.addressof((ctypes.c_char * len(frame)).from_buffer(frame))

    def feed(self, clock, outcomes):
        _Feed(self, clock, outcomes).run()

    def settle(self):
        state = ("flushes", "merges", "segments", "merging now", "tails")

        def stats():
            table = self.table(self.ask("stats"))
            values = dict(zip(table["what"], table["value"]))
            return (values["merging now"] == 0 and values["tails"] == 0,
                    tuple(values[name] for name in state))

        return "flushed and merged; 7 s without a change", wait_until_quiet(self, stats, 7)

    def count_points(self):
        table = self.table(self.ask(f"{self.metrics[0]} @ {PROJECT}/* | summary count"))
        return int(sum(table["count"])) * self.shape.metrics

    def run_of(self, lap, run=0):
        return f"{PROJECT}/{self.shape.run(lap, run)}"

    def totals(self, column):
        table = self.table(self.ask(f"{self.metrics[column]} @ {self.run_of(0)} | steps 0.."
                                    f"{self.shape.rows} | buckets 1 count, min, max, sum"))
        return tuple(table[name][0] for name in ("count", "min", "max", "sum"))

    def chart(self, columns):
        """Edges lie between steps, so that no rounding of an edge moves a point."""
        metrics = ", ".join(self.metrics[column] for column in columns)
        return self.ask(f"{metrics} @ {self.run_of(0)} | steps -0.5..{self.shape.rows - 0.5} | "
                        f"buckets 1000 count, min, max, mean")

    def read_chart(self, answer, columns):
        table = self.table(answer)
        width = self.shape.bucket_width
        charts = {self.metrics[column]: [] for column in columns}
        for row in zip(*(table[name] for name in ("metric", "lo", "count", "min", "max", "mean"))):
            if row[2]:
                charts[row[0]].append((round((row[1] + 0.5) / width), *row[2:]))
        return list(charts.values())

    def last_values(self):
        return self.ask(f"** @ {self.run_of(0)} | summary last")

    def read_last_values(self, answer):
        table = self.table(answer)
        by_metric = dict(zip(table["metric"], table["last"]))
        return [by_metric[metric] for metric in self.metrics]

    def leaders(self, column):
        return self.ask(f"runs {PROJECT}/run-000-* | show min({self.metrics[column]}) as least | "
                        "sort least | limit 10")

    def read_leaders(self, answer):
        table = self.table(answer)
        return [(int(run[-4:]), least) for run, least in zip(table["run"], table["least"])]


class _Feed:
    """One connection on which frames are sent while a thread reads what is acknowledged."""

    def __init__(self, store, clock, outcomes):
        self.store, self.clock, self.outcomes = store, clock, outcomes
        self.connection, self.frames = store.hello(os.urandom(16))
        self.ordinal = 0
        self.bytes_in_flight = 0
        self.changed = threading.Condition()
        self.batches = []  # (last ordinal, lap, points, bytes, sent at), in order
        self.failure = None
        self.is_sending = True

    def run(self):
        self.send_changing([wire.schema(PROJECT, wire.STEPPED, self.store.metrics)])
        reader = threading.Thread(target=self.read)
        reader.start()
        lap_open = -1
        numbers = {}
        while self.failure is None and (taken := self.clock.take()):
            lap, points, frames = taken
            if lap != lap_open:
                lap_open, numbers = lap, {}
                self.open_runs(lap)
            self.send_batch(lap, points, frames, numbers)
        with self.changed:
            self.is_sending = False
            if self.batches:
                self.changed.wait_for(lambda: self.failure or not self.batches)
        self.connection.shutdown(socket.SHUT_RDWR)
        reader.join()
        self.connection.close()
        if self.failure:
            raise self.failure

    def send_changing(self, frames):
        self.ordinal += len(frames)
        self.connection.sendall(b"".join(frames))

    def open_runs(self, lap):
        runs = range(self.store.shape.runs)
        self.send_changing([wire.open_run(run, PROJECT, self.store.shape.run(lap, run))
                            for run in runs])

    def send_batch(self, lap, points, frames, numbers):
        for run, frame, address in frames:
            numbers[run] = numbers.get(run, 0) + 1
            self.store.checksum.stamp(frame, address, numbers[run], run)
        size = sum(len(frame) for _, frame, _ in frames)
        with self.changed:
            self.changed.wait_for(lambda: self.failure or self.bytes_in_flight < WINDOW_BYTES)
            self.bytes_in_flight += size
            self.ordinal += len(frames)
            self.batches.append((self.ordinal, lap, points, size, time.perf_counter()))
        if len(frames) > 16:
            self.connection.sendall(b"".join(frame for _, frame, _ in frames))
        else:
            for _, frame, _ in frames:
                self.connection.sendall(frame)

    def read(self):
        try:
            while True:
                kind, number, body = self.frames.next()
                if kind == wire.ERROR:
                    raise wire.Refused(number, bytes(body))
                if kind == wire.ACK:
                    self.acknowledged(number)
        except (EOFError, OSError, wire.Refused) as error:
            with self.changed:
                if self.is_sending or self.batches:
                    self.failure = error
                self.changed.notify_all()

    def acknowledged(self, ordinal):
        at = time.perf_counter()
        with self.changed:
            while self.batches and self.batches[0][0] <= ordinal:
                _, lap, points, size, sent_at = self.batches.pop(0)
                self.bytes_in_flight -= size
                self.outcomes.add(lap, points, at - sent_at, at)
            self.changed.notify_all()


class StepdbBench(StepdbServer):
    """Not fed by this harness: `stepdb bench ingest` makes its own values, of the same kind."""

    name = "stepdb-bench"
    layout = Stepdb.layout
    sent = "`stepdb bench ingest`: the native protocol from C++"
    durability = Stepdb.durability
    is_synced = True

    @classmethod
    def find(cls):
        find_program()

    @staticmethod
    def measured(shape, plan, directory):
        """The figures of a session, those of them that the benchmark has."""
        runs, connections = (1, 1) if shape.runs == 1 else (shape.runs // 4, 4)
        points = min(FRAME_POINTS, plan.batch_points or FRAME_POINTS)
        rows = max(points // shape.metrics, 1) if shape.runs == 1 else 2
        command = [program(), "bench", "ingest", "--metrics", str(shape.metrics),
                   "--rows-per-frame", str(rows), "--connections", str(connections), "--runs",
                   str(runs), "--seconds", str(int(max(plan.seconds, 1))), "--directory", directory,
                   "--format", "json"]
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        if said.returncode != 0:
            raise RuntimeError(f"stepdb bench: {said.stderr.strip()}")
        told = json.loads(said.stdout)

        def first(*keys):
            return next((told[key] for key in keys if told.get(key) is not None), None)

        ack_us = [first(f"ack_{p}_us") for p in ("p50", "p99")]
        return {
            "version": program_version(),
            "points_per_second": told["points_per_second"], "points_per_second_settled": None,
            "cpu_ms_per_mpoint": first("server_cpu_ms_per_mpoint",
                                       "server_cpu_ms_per_million_points"),
            "client_cpu_ms_per_mpoint": first("client_cpu_ms_per_mpoint"),
            "bytes_per_point": told["bytes_per_point"],
            "bytes_per_point_with_logs": told["bytes_per_point"],
            "points_a_request": rows * shape.metrics,
            "request_p50_ms": first("ack_p50_ms") if ack_us[0] is None else ack_us[0] / 1000,
            "request_p99_ms": first("ack_p99_ms") if ack_us[1] is None else ack_us[1] / 1000,
            "is_first_lap_whole": True, "queries": {}, "wrong": [],
        }


STORES = (Stepdb, StepdbBench)
