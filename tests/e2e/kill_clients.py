"""The clients of the kill test: they number their frames, remember what had an outcome, and know what
must be read. See kill_test.py."""

import collections
import math
import random
import select
import struct
import threading
from array import array

import wire
from support import SECONDS_MAX

WIDE = 1000  # metrics of a wide row
WIDE_ROWS = 64
WIDE_SHOWN = (0, 333, 777, 999)  # of these metrics the model knows the values
KEYS = 150
EXHAUSTED, UNAVAILABLE = 5, 6
THIRD = 1.0 / 3
KEPT_FRAMES = 40  # of those that have their outcome, to send them again


class Wrong(AssertionError):
    """The store is not in a state it may be in."""


class Frame:
    """What a client keeps of a frame until it has its outcome, and the test for longer."""

    def __init__(self, number, body, cells, kind=wire.ROWS, bad=False):
        self.number, self.kind, self.bad = number, kind, bad
        self.body = body
        self.cells = cells  # {(metric, key): value}

    def bytes(self):
        return wire.frame(self.kind, self.number, self.body)


class Shape:
    """A schema and how rows of it are drawn."""

    def __init__(self, name, axis, metrics, layout=wire.F64, sparse=False):
        self.axis, self.layout, self.sparse = axis, layout, sparse
        self.metrics = [f"{name}/{metric}" for metric in metrics]
        self.hash = wire.schema_hash(axis, self.metrics)

    def draw(self, rng, handle, number):
        """Body and cells of a frame of some rows, the first of which is sometimes replaced by a
        later one."""
        width = len(self.metrics)
        keys = rng.sample(range(KEYS), rng.randint(1, 8))
        if rng.random() < 0.3:
            keys.append(keys[0])
        wide = [self.layout == wire.F64 or (self.layout == wire.MIXED and column % 2)
                for column in range(width)]
        cells, presence, values = {}, [], []
        for row, key in enumerate(keys):
            replaced = key in keys[row + 1:]
            given = [replaced or not self.sparse or rng.random() < 0.6 for _ in range(width)]
            if not any(given) or row == len(keys) - 1:
                given = [True] * width
            presence.append(wire.bitmap(given))
            value = -1.0 if replaced else float(number)
            row_values = [[], []]
            for column, metric in enumerate(self.metrics):
                if given[column]:
                    cell = value + THIRD if wide[column] else value
                    row_values[wide[column]].append(cell)
                    cells[metric, key] = cell
            values.append(struct.pack(f"<{len(row_values[0])}f{len(row_values[1])}d",
                                      *row_values[0], *row_values[1]))
        times = [1_700_000_000_000_000 + key for key in keys]
        timed = self.axis == wire.TIMED
        if timed:
            cells = {(metric, times[keys.index(key)]): value
                     for (metric, key), value in cells.items()}
        head = wire.padded(wire.bitmap(wide)) if self.layout == wire.MIXED else b""
        shown = wire.padded(b"".join(presence)) if self.sparse else b""
        body = wire.rows_body(handle, self.hash, len(keys), None if timed else keys,
                              times if timed or rng.random() < 0.5 else None,
                              head + shown + b"".join(values), layout=self.layout)
        if self.sparse:
            body = with_presence(body)
        return body, cells


def with_presence(body):
    """Sets the presence bit of a rows body."""
    return body[:28] + bytes([body[28] | 4]) + body[29:]


class WideShape(Shape):
    """Half a megabyte a frame, of values no codec gets small: makes flushes come."""

    def __init__(self, name, rng):
        super().__init__(name, wire.STEPPED, [f"{index:03}" for index in range(WIDE)])
        self.noise = [rng.random() for _ in range(WIDE * WIDE_ROWS)]

    def draw(self, rng, handle, number):
        first = rng.randrange(KEYS)
        keys = range(first, first + WIDE_ROWS)
        values = array("d", [number + noise for noise in self.noise])
        body = wire.rows_body(handle, self.hash, WIDE_ROWS, keys, values=values.tobytes(),
                              layout=wire.F64)
        cells = {(self.metrics[column], key): values[row * WIDE + column]
                 for column in WIDE_SHOWN for row, key in enumerate(keys)}
        return body, cells


class Stream:
    """The frames of one writer to one run."""

    def __init__(self, run, handle, shapes):
        self.run, self.handle, self.shapes = run, handle, shapes
        self.known = False  # an open of it was acknowledged
        self.next_number = 1
        self.pending = collections.deque()  # sent, without outcome
        self.kept = collections.deque(maxlen=KEPT_FRAMES)  # the last ones with outcome
        self.outcome_number = 0  # the highest with an outcome
        self.seen_number = 0  # of the highest frame that any reader was shown
        self.settled, self.frames = {}, []  # a state, and the frames since

    def selector(self):
        """All of it by one query, which is answered as of one moment."""
        shape = self.shapes[0]
        if isinstance(shape, WideShape):
            return f"{', '.join(shape.metrics[column] for column in WIDE_SHOWN)} @ p/{self.run}"
        return f"{shape.metrics[0].split('/')[0]}/* @ p/{self.run}"

    def make(self, rng):
        number = self.next_number
        self.next_number += 1
        chance = rng.random()
        shape = rng.choice(self.shapes)
        if chance < 0.02:
            body = wire.rows_body(self.handle, shape.hash, 1, None, None, b"")
            frame = Frame(number, body, {}, bad=True)  # neither step nor time
        elif chance < 0.04:
            body = struct.pack("<IIB7x", self.handle, 0, rng.choice((1, 2)))
            frame = Frame(number, body, {}, kind=wire.FINISH_RUN)
        else:
            frame = Frame(number, *shape.draw(rng, self.handle, number))
        self.frames.append(frame)
        self.pending.append(frame)
        return frame

    def on_outcome(self, frame):
        if self.pending and self.pending[0] is frame:
            self.pending.popleft()
            self.kept.append(frame)
            self.outcome_number = frame.number

    def numbers_needed(self):
        """The highest frame of rows that must be there."""
        bound = max(self.outcome_number, self.seen_number)
        return max((frame.number for frame in list(self.frames)
                    if frame.cells and frame.number <= bound), default=0)

    def state_at(self, number):
        state = dict(self.settled)
        for frame in list(self.frames):
            if frame.number <= number:
                state.update(frame.cells)
        return state

    def check(self, observed, needed, where):
        """Holds an observed state against the model; returns the number of frames that are in it."""
        number = max((int(math.floor(value)) for value in observed.values()), default=0)
        label = f"{where}: run {self.run}, metrics {self.shapes[0].metrics[0]}...: "
        if number < needed:
            raise Wrong(f"{label}frame {needed} had been acknowledged or shown, the newest there is "
                        f"{number}")
        if number >= self.next_number:
            raise Wrong(f"{label}frame {number} was never sent")
        want = self.state_at(number)
        if observed != want:
            differing = [(key, observed.get(key), want.get(key))
                         for key in sorted(set(observed) | set(want))
                         if observed.get(key) != want.get(key)]
            raise Wrong(f"{label}the newest frame is {number}; (metric, key), found, expected: "
                        f"{differing[:8]} and {max(0, len(differing) - 8)} more")
        self.seen_number = max(self.seen_number, number)
        return number

    def settle(self, number):
        """What is there after a restart is the new ground; the frames stay until they are known."""
        self.settled = self.state_at(number)
        self.frames = [frame for frame in self.frames if frame.number > number]


def observe(connection, stream, statistics=None):
    """With `statistics` rows are coming in meanwhile, and a server that is short of memory may ask
    to be asked again; how often is counted."""
    while True:
        try:
            return state_of(connection.ask(stream.selector()))
        except wire.Refused as error:
            if "there is no" in error.message or "no metric" in error.message:
                return {}
            if error.code != EXHAUSTED or statistics is None:
                raise
            statistics["queries refused for memory"] += 1


def state_of(answer):
    keys = [column for name, column in zip(answer.names, answer.columns) if name in ("step", "time")]
    state = {}
    for index, (metric, value) in enumerate(zip(answer["metric"], answer["value"])):
        key = next(column[index] for column in keys if column[index] is not None)
        if (metric, key) in state:
            raise Wrong(f"{metric} has two values at {key}")
        state[metric, key] = value
    return state


# --- one life of the server ---------------------------------------------------------------------


class Life:
    """What the threads of one life share: how much was acknowledged, and whether it is over."""

    def __init__(self, port):
        self.port = port
        self.changed = threading.Condition()
        self.acknowledged = 0
        self.killed = False
        self.error = None

    def count(self, frames):
        with self.changed:
            self.acknowledged += frames
            self.changed.notify_all()

    def fail_unless_over(self, who, error):
        """A server that is killed or stopping may cut connections and refuse, nothing else."""
        cut = isinstance(error, (OSError, EOFError)) or (
            isinstance(error, wire.Refused) and error.code == UNAVAILABLE)
        with self.changed:
            if not (cut and self.killed):
                self.error = self.error or (Wrong(f"{who}: {error!r}") if cut else error)
            self.changed.notify_all()

    def wait(self, acknowledged=None, seconds=SECONDS_MAX):
        """Until so many frames are acknowledged, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.error or (acknowledged is not None and
                                                         self.acknowledged >= acknowledged), seconds)
            if self.error:
                raise self.error
            if acknowledged is not None and self.acknowledged < acknowledged:
                raise Wrong(f"{self.acknowledged} frames acknowledged in {seconds} s")


class Client:
    """A process that logs: a writer id, streams, and one connection at a time."""

    def __init__(self, name, rng, fault=None):
        self.name, self.rng, self.fault = name, rng, fault
        self.writer = rng.randbytes(16)
        self.streams = []
        self.sent_order = []  # of this life: (stream, frame), as they went out
        self.statistics = collections.Counter()
        self.schemas_made = 0

    def add_stream(self, run, wide=False):
        self.schemas_made += 1
        name = f"{self.name}-{self.schemas_made}"
        rng = self.rng
        if wide:
            shapes = [WideShape(name, rng)]
        else:
            shapes = [Shape(name, wire.STEPPED, "abc"),
                      Shape(name, wire.STEPPED, ["b", "d", "e", "f", "g"], wire.MIXED,
                            sparse=rng.random() < 0.7),
                      Shape(name, wire.TIMED, ["gpu0", "gpu1"], wire.F32, sparse=True)]
        self.streams.append(Stream(run, len(self.streams) + 1, shapes))

    # The thread of a life.
    def live(self, life):
        try:
            self.life = life
            self.sent_order = []
            while True:
                self.connect()
                self.send_again()
                until = self.rng.randint(20, 1500) if self.rng.random() < 0.5 else None
                self.log(until)
                self.statistics["reconnects"] += 1
                self.connection.close()
                self.reader.close()
        except Exception as error:  # the main thread reports it
            life.fail_unless_over(f"writer {self.name}", error)

    def connect(self):
        self.connection = wire.Connection(self.life.port, self.writer)
        self.reader = wire.Connection(self.life.port, bytes(16))
        self.ordinal = 0
        self.expected = collections.deque()  # (ordinal, stream, frame) without outcome
        self.opened = {}
        for stream in self.streams:
            first = stream.pending[0].number if stream.pending else stream.next_number
            stream.first_again = first
            if self.rng.random() < 0.5 and stream.kept:
                stream.first_again = stream.kept[self.rng.randrange(len(stream.kept))].number
            mode = wire.RESUME if stream.known else wire.CREATE_IF_MISSING
            self.transmit(stream, None, wire.open_run(stream.handle, "p", stream.run,
                                                      stream.first_again, mode))
            for shape in stream.shapes:
                self.transmit(stream, None, wire.schema("p", shape.axis, shape.metrics))
        self.read_until_idle()

    def transmit(self, stream, frame, data=None):
        self.ordinal += 1
        self.expected.append((self.ordinal, stream, frame))
        if frame is not None:
            if frame.number > self.opened[stream.handle]:  # else it had been there before
                self.sent_order.append((stream, frame))
            data = frame.bytes() if self.fault is None else self.fault.bytes(stream, frame)
        self.connection.send(data)

    def send_again(self):
        """Everything without outcome, and sometimes what had one; in the midst of it the state is
        still that of before, whatever was sent that the server knows."""
        for stream in self.streams:
            known = self.opened[stream.handle]
            self.check_opened(stream, known)
            again = [frame for frame in list(stream.kept) + list(stream.pending)
                     if frame.number >= stream.first_again]
            self.statistics["sent again"] += len(again)
            old = [frame for frame in again if frame.number <= known]
            self.statistics["sent again though known"] += len(old)
            cut = self.rng.randint(0, len(old))
            for part in (old[:cut], old[cut:]):
                for frame in part:
                    self.transmit(stream, frame)
                    self.bound_flight()
                self.read_until_idle()
                if self.rng.random() < 0.5:
                    self.check_in_life(stream)
            for frame in again[len(old):]:
                self.transmit(stream, frame)
                self.bound_flight()

    def check_opened(self, stream, known):
        if known < stream.numbers_needed():
            raise Wrong(f"run {stream.run}: opened with last number {known}, but frame "
                        f"{stream.numbers_needed()} had been acknowledged or shown")
        if known >= stream.next_number:
            raise Wrong(f"run {stream.run}: opened with last number {known}, sent were only "
                        f"{stream.next_number - 1}")
        number = self.check_in_life(stream)
        newest = max((frame.number for frame in stream.frames
                      if frame.cells and frame.number <= known), default=0)
        if number < newest:
            raise Wrong(f"run {stream.run}: opened with last number {known}, readers see {number}")

    def check_in_life(self, stream):
        needed = stream.numbers_needed()
        number = stream.check(observe(self.reader, stream, self.statistics), needed, f"writer {self.name}")
        self.statistics["checks in life"] += 1
        return number

    def log(self, until):
        """Sends frames, many in flight, until so many are sent or the server is gone."""
        sent = 0
        while until is None or sent < until:
            stream = self.rng.choice(self.streams)
            self.transmit(stream, stream.make(self.rng))
            sent += 1
            self.bound_flight()
            if self.rng.random() < 0.02:
                self.check_in_life(self.rng.choice(self.streams))

    def bound_flight(self):
        bound = 4 if any(isinstance(stream.shapes[0], WideShape) for stream in self.streams) else 60
        while len(self.expected) > bound or self.readable():
            self.read_outcome()

    def readable(self):
        return bool(self.connection.buffer) or bool(
            select.select([self.connection.socket], [], [], 0)[0])

    def read_until_idle(self):
        while self.expected:
            self.read_outcome()

    def read_outcome(self):
        kind, number, body = self.connection.read()
        if kind == wire.RUN_OPENED:
            handle = struct.unpack_from("<I", body)[0]
            self.opened[handle] = struct.unpack_from("<Q", body, 16)[0]
            return
        if kind == wire.ERROR:
            self.on_refused(wire.Refused(number, body))
            return
        if kind != wire.ACK:
            raise Wrong(f"writer {self.name}: a frame of type {kind}")
        acknowledged = 0
        while self.expected and self.expected[0][0] <= number:
            _, stream, frame = self.expected.popleft()
            acknowledged += 1
            if frame is None:
                stream.known = True
                continue
            if frame.bad and frame.number > self.opened[stream.handle]:
                raise Wrong(f"run {stream.run}: bad frame {frame.number} was acknowledged")
            stream.on_outcome(frame)
        self.life.count(acknowledged)

    def on_refused(self, error):
        if error.code == UNAVAILABLE:
            raise error  # it is stopping, or else fails the test
        if not self.expected:
            raise Wrong(f"writer {self.name}: {error}")
        ordinal, stream, frame = self.expected.popleft()
        if error.scope != "frame" or error.number != ordinal or frame is None or not frame.bad:
            raise Wrong(f"writer {self.name}: {error}; the next outcome was due to ordinal {ordinal}, "
                        f"frame {frame and frame.number} of run {stream.run}")
        stream.on_outcome(frame)
        self.statistics["refused"] += 1

    # After a kill.
    def check_order(self):
        """What one connection sent is there up to one place, over all its runs."""
        missing = None
        for stream, frame in self.sent_order:
            if not frame.cells:
                continue
            there = frame.number <= stream.seen_number
            if there and missing and missing[1].number > missing[0].seen_number:
                raise Wrong(f"writer {self.name}: frame {missing[1].number} of run {missing[0].run} "
                            f"is missing, frame {frame.number} of run {stream.run}, sent after it, "
                            "is there")
            if not there and missing is None:
                missing = (stream, frame)


class Reader:
    """Looks at the streams all the time: whole frames, and nothing that a kill takes back."""

    def __init__(self, rng):
        self.rng = rng
        self.statistics = collections.Counter()

    def live(self, life, clients):
        try:
            connection = wire.Connection(life.port, bytes(16))
            while True:
                stream = self.rng.choice(self.rng.choice(clients).streams)
                needed = stream.numbers_needed()
                stream.check(observe(connection, stream, self.statistics), needed, "reader")
                self.statistics["checks by the reader"] += 1
        except Exception as error:  # the main thread reports it
            life.fail_unless_over("reader", error)


# --- faults of the self-check -------------------------------------------------------------------


class Fault:
    """A bug in a client that amounts to one in the server: it must be found."""

    def __init__(self, kind, at):
        self.kind, self.at = kind, at
        self.sent = 0
        self.done = 0

    def bytes(self, stream, frame):
        self.sent += 1
        if self.sent < self.at or not frame.cells or len(stream.kept) < 10:
            return frame.bytes()
        older = next((old for old in stream.kept if old.cells and old.kind == wire.ROWS), None)
        if older is None or isinstance(stream.shapes[0], WideShape):
            return frame.bytes()
        if older.body[8:24] != frame.body[8:24] or older.body[8:24] != stream.shapes[0].hash:
            return frame.bytes()  # plain rows only
        changed = getattr(self, self.kind)(frame, older)
        if changed is None:
            return frame.bytes()
        self.done, self.sent = self.done + 1, 0
        return changed

    def old_frame_again(self, frame, older):
        return wire.frame(wire.ROWS, frame.number, older.body)

    def lost_frame(self, frame, _older):
        """Its number is used for nothing."""
        return wire.frame(wire.FINISH_RUN, frame.number, frame.body[:8] + bytes([1]) + bytes(7))

    def half_frame(self, frame, _older):
        """Without its last row."""
        count, parts = struct.unpack_from("<IB", frame.body, 24)
        sections, at = [], 32
        for size in [8] * (parts & 1) + [8] * (parts >> 1 & 1) + [8 * 3]:
            sections.append(frame.body[at:at + size * (count - 1)])
            at += size * count
        assert at == len(frame.body), (at, len(frame.body))
        if count < 2:
            return None
        return wire.frame(wire.ROWS, frame.number,
                          frame.body[:24] + struct.pack("<I", count - 1) + frame.body[28:32] +
                          b"".join(sections))
