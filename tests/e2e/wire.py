"""The native protocol in a hundred lines, written from docs/protocol.md alone: what a client in
another language needs. Frames carry CRC-32, the checksum for those who have no XXH3."""

import hashlib
import socket
import struct
import zlib

HELLO, SCHEMA, OPEN_RUN, ROWS, FINISH_RUN = 1, 2, 3, 4, 5
QUERY, CANCEL, WATCH, BACKUP = 16, 17, 18, 19
HELLO_OK, ACK, RUN_OPENED, ERROR = 129, 130, 131, 132
RESULT_COLUMNS, RESULT_BLOCK, RESULT_END, RESULT_UPDATE = 144, 145, 146, 147
FEATURE_WATCH, FEATURE_BACKUP = 1, 2
STEPPED, TIMED = 0, 1
CRC32 = 2
CREATE_IF_MISSING, RESUME = 1, 4
F32, F64, MIXED = 0, 1, 2
TEXT_COLUMN = 0
SCOPES = ("connection", "frame", "query", "other")


def frame(kind, number, body, checksum=None, length=None, version=1):
    length = 24 + len(body) if length is None else length
    head = struct.pack("<IBBBB", length, version, kind, CRC32, 0)
    rest = struct.pack("<Q", number) + body
    if checksum is None:
        checksum = zlib.crc32(head + rest)
    return head + struct.pack("<Q", checksum) + rest


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def canonical(axis, metrics):
    return struct.pack("<BI", axis, len(metrics)) + b"".join(text(metric) for metric in metrics)


def schema_hash(axis, metrics):
    return hashlib.sha256(canonical(axis, metrics)).digest()[:16]


def schema(project, axis, metrics, name=None):
    content = canonical(axis, metrics)
    name = schema_hash(axis, metrics) if name is None else name
    return frame(SCHEMA, 0, text(project) + name + struct.pack("<II", len(content), 0) + content)


def open_run(handle, project, run, first_number=1, mode=CREATE_IF_MISSING):
    return frame(OPEN_RUN, 0, struct.pack("<IB3xQ", handle, mode, first_number) +
                 text(project) + text(run) + b"\0")


def padded(data):
    return data + bytes(-len(data) % 8)


def bitmap(bits):
    """Bytes with bit i set where `bits[i]` is true, lowest first."""
    value = sum(1 << index for index, bit in enumerate(bits) if bit)
    return value.to_bytes((len(bits) + 7) // 8, "little")


def rows_body(handle, schema_name, count, steps=None, times=None, values=b"", attempt=0,
              layout=F32, presence=None):
    """`values` follows behind steps, times and presence; a mixed layout begins with its bitmap of
    float64 columns there if there is no presence."""
    parts = ((1 if steps is not None else 0) | (2 if times is not None else 0) |
             (4 if presence is not None else 0))
    return b"".join([
        struct.pack("<II16sIBBBB", handle, attempt, schema_name, count, parts, layout, 0, 0),
        struct.pack(f"<{len(steps)}d", *steps) if steps is not None else b"",
        struct.pack(f"<{len(times)}q", *times) if times is not None else b"",
        padded(presence) if presence is not None else b"", values])


def rows(number, handle, schema_name, steps, values, times=None):
    """Full rows of float32 values."""
    packed = struct.pack(f"<{len(values)}f", *values)
    return frame(ROWS, number, rows_body(handle, schema_name, len(steps), steps, times, packed))


def query(request, content, parameters=(), kind=QUERY):
    """`parameters`: pairs of name and value."""
    return frame(kind, request, text(content) + struct.pack("<I", len(parameters)) +
                 b"".join(text(name) + text(value) for name, value in parameters))


def watch(request, content, parameters=()):
    return query(request, content, parameters, WATCH)


def backup(request, directory):
    return frame(BACKUP, request, text(directory))


def cancel(request):
    return frame(CANCEL, request, b"")


class Refused(Exception):
    """An `error` frame."""

    def __init__(self, number, body):
        self.number = number
        scope, self.code, self.row, self.column, length = struct.unpack_from("<BBxxIII", body)
        self.scope = SCOPES[scope]
        self.message = body[16:16 + length].decode()
        super().__init__(f"{self.scope} {number}, code {self.code}: {self.message}")


class Answer:
    """Of one query: the names of its columns, a list of cells for each, and notes."""

    def __init__(self):
        self.names, self.types, self.columns, self.notes = [], [], [], []
        self.blocks = []  # as they came: to compare two answers bit for bit

    def begin(self, body):
        at = 4
        for _ in range(struct.unpack_from("<I", body)[0]):
            self.types.append(body[at])
            length = struct.unpack_from("<I", body, at + 1)[0]
            self.names.append(body[at + 5:at + 5 + length].decode())
            at += 5 + length
        self.columns = [[] for _ in self.names]

    def add_block(self, body):
        rows, columns = struct.unpack_from("<II", body)
        assert columns == len(self.names), (columns, self.names)
        at = 8
        for kind, cells in zip(self.types, self.columns):
            flags, runs = struct.unpack_from("<II", body, at)
            at += 8
            valid = None
            if flags & 1:
                length = (rows + 7) // 8
                valid = int.from_bytes(body[at:at + length], "little")
                at += (length + 7) // 8 * 8
            if kind == TEXT_COLUMN:
                begin, block = at, []
                for _ in range(runs):
                    count, length = struct.unpack_from("<II", body, at)
                    block += [body[at + 8:at + 8 + length].decode()] * count
                    at += 8 + length
                at += -(at - begin) % 8
            else:
                code = "d" if kind in (1, 2) else "q" if kind == 3 else "Q"
                block = struct.unpack_from(f"<{rows}{code}", body, at)
                at += 8 * rows
            if valid is not None:
                block = [cell if valid >> row & 1 else None for row, cell in enumerate(block)]
            cells += block
        assert at == len(body), (at, len(body))

    def end(self, body):
        at = 12
        for _ in range(struct.unpack_from("<I", body, 8)[0]):
            length = struct.unpack_from("<I", body, at)[0]
            self.notes.append(body[at + 4:at + 4 + length].decode())
            at += 4 + length
        rows = struct.unpack_from("<Q", body)[0]
        assert not self.columns or rows == len(self.columns[0]), (rows, len(self.columns[0]))

    def __getitem__(self, name):
        return self.columns[self.names.index(name)]


class Watched:
    """The answer to a watched query, kept up to date by places: `rows` as tuples."""

    def __init__(self):
        self.names, self.rows = [], []
        self.updates, self.resets, self.sequence, self.keys = 0, 0, 0, 0
        self.told = []  # the rows of the last update, with `change` and `place`
        self.update = Answer()

    def take(self, kind, body):
        """A frame of the watch. True if it ends an update."""
        if kind == RESULT_COLUMNS:
            self.update.begin(body)
            self.names = self.update.names[2:]
        elif kind == RESULT_BLOCK:
            self.update.add_block(body)
        else:
            assert kind == RESULT_UPDATE, kind
            self.end(body)
            return True
        return False

    def end(self, body):
        sequence, flags, self.keys, rows = struct.unpack_from("<QB3xIQ", body)
        assert sequence >= self.sequence, (sequence, self.sequence)
        self.sequence = sequence
        self.told = list(zip(*self.update.columns))
        self.update.columns = [[] for _ in self.update.columns]
        before = self.rows
        if flags & 1:
            before = []
            self.resets += 1
        gone = {row[1] for row in self.told if row[0] == "gone"}
        others = {row[1]: row for row in self.told if row[0] != "gone"}
        kept = iter([row for place, row in enumerate(before) if place not in gone])
        self.rows = []
        for place in range(rows):
            row = others.get(place)
            if row is None or row[0] == "changed":
                old = next(kept)
                assert row is None or old[:self.keys] == row[2:2 + self.keys], (old, row)
            self.rows.append(old if row is None else row[2:])
        assert next(kept, None) is None
        self.updates += 1


class Connection:
    """One connection that has said hello."""

    def __init__(self, port, writer=b"a python client!", features=0, receive_bytes=None,
                 token="", host="127.0.0.1"):
        if receive_bytes is None:
            self.socket = socket.create_connection((host, port), timeout=120)
        else:  # what it does not read fills the sender's buffer soon
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.socket.settimeout(120)
            self.socket.connect((host, port))
        self.buffer = bytearray()
        self.send(frame(HELLO, 0,
                        struct.pack("<IQ16s", 1, features, writer) + text(token) + text("wire.py")))
        kind, number, body = self.read()
        if kind == ERROR:
            self.socket.close()
            raise Refused(number, body)
        assert kind == HELLO_OK, kind
        self.features = struct.unpack_from("<Q", body, 4)[0]

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def read_bytes(self, count):
        while len(self.buffer) < count:
            received = self.socket.recv(1 << 20)
            if not received:
                raise EOFError(f"closed with {len(self.buffer)} of {count} bytes")
            self.buffer += received
        taken = bytes(memoryview(self.buffer)[:count])
        del self.buffer[:count]
        return taken

    def read_frame(self):
        head = self.read_bytes(4)
        return head + self.read_bytes(struct.unpack("<I", head)[0] - 4)

    def read(self):
        """Type, number and body of the next frame."""
        whole = self.read_frame()
        return whole[5], struct.unpack_from("<Q", whole, 16)[0], whole[24:]

    def read_error(self):
        """Scope, code, row, column and message of the next error; acks before it are passed by."""
        while True:
            kind, number, body = self.read()
            if kind == ERROR:
                scope, code, row, column = struct.unpack_from("<BBxxII", body)
                length = struct.unpack_from("<I", body, 12)[0]
                return scope, code, row, column, body[16:16 + length].decode()
            assert kind in (ACK, RUN_OPENED), (kind, number)

    def wait_for(self, ordinal):
        """Reads until everything up to `ordinal` is acknowledged."""
        while True:
            kind, number, body = self.read()
            if kind == ERROR:
                raise Refused(number, body)
            assert kind in (ACK, RUN_OPENED), kind
            if kind == ACK and number >= ordinal:
                return

    def ask(self, content, parse=True, parameters=()):
        """The answer to a query, on a connection on which nothing else is under way. Unparsed it has
        only `blocks` and `notes`."""
        self.send(query(1, content, parameters))
        answer = Answer()
        while True:
            kind, number, body = self.read()
            if kind == ERROR:
                raise Refused(number, body)
            assert number == 1, (kind, number)
            if kind == RESULT_COLUMNS:
                answer.begin(body)
                continue
            if kind == RESULT_END:
                if not parse:
                    answer.columns = []
                answer.end(body)
                return answer
            assert kind == RESULT_BLOCK, kind
            answer.blocks.append(body)
            if parse:
                answer.add_block(body)

    def read_update(self, watched, request=1):
        """Reads the next update of a watch, on a connection on which nothing else is under way."""
        while True:
            kind, number, body = self.read()
            if kind == ERROR:
                raise Refused(number, body)
            assert number == request, (kind, number)
            if watched.take(kind, body):
                return watched

    def watch(self, content, request=1):
        """Begins a watch; returns it after its first update."""
        self.send(watch(request, content))
        return self.read_update(Watched(), request)

    def close(self):
        self.socket.close()
