"""The native protocol in a hundred lines, written from docs/protocol.md alone: what a client in
another language needs. Frames carry CRC-32, the checksum for those who have no XXH3."""

import hashlib
import socket
import struct
import zlib

HELLO, SCHEMA, OPEN_RUN, ROWS, FINISH_RUN, QUERY = 1, 2, 3, 4, 5, 16
HELLO_OK, ACK, RUN_OPENED, ERROR = 129, 130, 131, 132
STEPPED, TIMED = 0, 1
CRC32 = 2
CREATE_IF_MISSING = 1


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


def open_run(handle, project, run, first_number=1):
    return frame(OPEN_RUN, 0, struct.pack("<IB3xQ", handle, CREATE_IF_MISSING, first_number) +
                 text(project) + text(run) + b"\0")


def rows_body(handle, schema_name, count, steps=None, times=None, values=b"", attempt=0):
    parts = (1 if steps is not None else 0) | (2 if times is not None else 0)
    body = struct.pack("<II16sIBBBB", handle, attempt, schema_name, count, parts, 0, 0, 0)
    body += b"".join(struct.pack("<d", step) for step in steps or [])
    body += b"".join(struct.pack("<q", time) for time in times or [])
    return body + values


def rows(number, handle, schema_name, steps, values, times=None):
    """Full rows of float32 values."""
    packed = struct.pack(f"<{len(values)}f", *values)
    return frame(ROWS, number, rows_body(handle, schema_name, len(steps), steps, times, packed))


class Connection:
    """One connection that has said hello."""

    def __init__(self, port, writer=b"a python client!"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.buffer = b""
        self.send(frame(HELLO, 0, struct.pack("<IQ16s", 1, 0, writer) + text("") + text("wire.py")))
        kind, _, _ = self.read()
        assert kind == HELLO_OK, kind

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def read_bytes(self, count):
        while len(self.buffer) < count:
            received = self.socket.recv(65536)
            if not received:
                raise EOFError(f"closed with {len(self.buffer)} of {count} bytes")
            self.buffer += received
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
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
            assert kind in (ACK, RUN_OPENED), (kind, body)
            if kind == ACK and number >= ordinal:
                return

    def close(self):
        self.socket.close()
