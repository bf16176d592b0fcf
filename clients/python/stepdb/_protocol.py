"""The native protocol (docs/protocol.md): frames as bytes, and what comes back.

Frames carry CRC-32, the checksum for clients without XXH3. Nothing here touches a socket but
`Socket`, which reads and writes whole frames.
"""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import struct
import time
import zlib
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

HELLO, SCHEMA, OPEN_RUN, ROWS, FINISH_RUN, SET_ATTRIBUTES, RESTART_RUN = 1, 2, 3, 4, 5, 6, 7
QUERY, CANCEL, WATCH = 16, 17, 18
HELLO_OK, ACK, RUN_OPENED, ERROR = 129, 130, 131, 132
RESULT_COLUMNS, RESULT_BLOCK, RESULT_END, RESULT_UPDATE = 144, 145, 146, 147

STEPPED, TIMED = 0, 1
NEWEST = 0xFFFFFFFF  # an attempt, in a spool alone: the newest when the run was opened
FRAME_HEAD = 24
FRAME_BYTES_MAX = 1 << 25
DEFAULT_PORT = 7420

INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION = 1, 2, 3, 4
RESOURCE_EXHAUSTED, UNAVAILABLE, UNSUPPORTED_VERSION = 5, 6, 9
CANCELLED, PERMISSION_DENIED = 10, 11
FEATURE_WATCH = 1

_CRC32 = 2
_HEAD = struct.Struct("<IBBBB")
_TEXT = struct.Struct("<I")


class Frame(NamedTuple):
    kind: int
    number: int
    body: bytes


class Error(Exception):
    """What stepdb raises. `code` is that of docs/protocol.md, or 0 for one of this side."""

    def __init__(self, message: str, code: int = 0, number: int = 0, scope: int = 0) -> None:
        super().__init__(message)
        self.code, self.number, self.scope = code, number, scope


def frame(kind: int, number: int, body: bytes) -> bytes:
    head = _HEAD.pack(FRAME_HEAD + len(body), 1, kind, _CRC32, 0)
    numbered = struct.pack("<Q", number)
    checksum = zlib.crc32(body, zlib.crc32(numbered, zlib.crc32(head)))
    return b"".join((head, struct.pack("<Q", checksum), numbered, body))


def text(value: str) -> bytes:
    data = value.encode()
    return _TEXT.pack(len(data)) + data


# --- what is sent ---------------------------------------------------------------------------------


def hello(writer: bytes, token: str, client: str) -> bytes:
    return frame(HELLO, 0, struct.pack("<IQ16s", 1, FEATURE_WATCH, writer) +
                 text(token) + text(client))


def canonical_schema(axis: int, metrics: Sequence[str]) -> bytes:
    return struct.pack("<BI", axis, len(metrics)) + b"".join(map(text, metrics))


def schema_hash(canonical: bytes) -> bytes:
    return hashlib.sha256(canonical).digest()[:16]


def schema_frames(project: str, canonical: bytes, piece_bytes: int = 1 << 24) -> List[bytes]:
    name = schema_hash(canonical)
    return [frame(SCHEMA, 0, text(project) + name + struct.pack("<II", len(canonical), at) +
                  canonical[at:at + piece_bytes])
            for at in range(0, len(canonical), piece_bytes)]


def open_run(handle: int, first_number: int, project: str, run: str,
             fork: Optional[Tuple[str, float]] = None) -> bytes:
    """Made if it is missing; with `fork`, of that run of the project at that step."""
    body = struct.pack("<IB3xQ", handle, 1, first_number) + text(project) + text(run)
    if fork is None:
        return frame(OPEN_RUN, 0, body + b"\0")
    return frame(OPEN_RUN, 0, body + b"\1" + text(fork[0]) + struct.pack("<d", fork[1]))


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


class RowsLayout(NamedTuple):
    """How the values of a frame of rows lie: 0 all float32, 1 all float64, 2 by `wide`."""
    kind: int
    wide: bytes  # of kind 2: bit c set: column c is float64; padded


def rows_body(handle: int, attempt: int, schema: bytes, count: int, steps: bytes, times: bytes,
              layout: RowsLayout, presence: bytes, values: bytes) -> bytes:
    """`presence`: of sparse rows, padded."""
    parts = (1 if steps else 0) | (2 if times else 0) | (4 if presence else 0)
    return b"".join((struct.pack("<II16sIBBBB", handle, attempt, schema, count, parts,
                                 layout.kind, 0, 0), steps, times, layout.wide, presence, values))


def restart_run(handle: int, attempt: int, step: Optional[float]) -> bytes:
    return struct.pack("<IIB7xd", handle, attempt, step is not None, step or 0.0)


def finish_run(handle: int, attempt: int, state: int) -> bytes:
    return struct.pack("<IIB7x", handle, attempt, state)


AttributeValue = Union[None, bool, int, float, str, datetime.datetime, List[str], Tuple[str, ...],
                       "set[str]"]


def attribute_value(name: str, value: AttributeValue) -> bytes:
    if value is None:
        return b"\0"
    if isinstance(value, bool):
        return struct.pack("<BB", 1, value)
    if isinstance(value, int):
        if -1 << 63 <= value < 1 << 63:
            return struct.pack("<Bq", 2, value)
        return struct.pack("<Bd", 3, float(value))
    if isinstance(value, float):
        return struct.pack("<Bd", 3, value)
    if isinstance(value, str):
        return b"\4" + text(value)
    if isinstance(value, datetime.datetime):
        return struct.pack("<Bq", 5, round(value.timestamp() * 1e6))
    if isinstance(value, (set, frozenset, list, tuple)):
        members = sorted({str(member).encode() for member in value})
        return struct.pack("<BI", 6, len(members)) + b"".join(
            _TEXT.pack(len(member)) + member for member in members)
    raise Error(f"attribute {name!r}: no value of type {type(value).__name__}; give a number, "
                f"text, truth value, time, None or a set of texts", INVALID_ARGUMENT)


SET, REMOVE, ADD_TO_SET, REMOVE_FROM_SET = 1, 2, 3, 4


def attribute_change(kind: int, name: str, value: AttributeValue) -> bytes:
    return struct.pack("<B", kind) + text(name) + \
        (b"" if kind == REMOVE else attribute_value(name, value))


def set_attributes(handle: int,
                   changes: Iterable[Tuple[int, str, AttributeValue]]) -> bytes:
    parts = [attribute_change(*change) for change in changes]
    return struct.pack("<II", handle, len(parts)) + b"".join(parts)


def query(request: int, content: str, parameters: Dict[str, str]) -> bytes:
    return _question(QUERY, request, content, parameters)


def watch(request: int, content: str, parameters: Dict[str, str]) -> bytes:
    return _question(WATCH, request, content, parameters)


def _question(kind: int, request: int, content: str, parameters: Dict[str, str]) -> bytes:
    return frame(kind, request, text(content) + _TEXT.pack(len(parameters)) + b"".join(
        text(name) + text(value) for name, value in parameters.items()))


# --- what comes back ------------------------------------------------------------------------------


class RunOpened(NamedTuple):
    handle: int
    attempt: int
    run: int
    last_number: int
    is_created: bool


def decode_run_opened(body: bytes) -> RunOpened:
    handle, attempt, run, last, created = struct.unpack_from("<IIQQB", body)
    return RunOpened(handle, attempt, run, last, bool(created))


def decode_texts(body: bytes, at: int) -> List[str]:
    """A count, and as many texts."""
    texts = []
    count = struct.unpack_from("<I", body, at)[0]
    at += 4
    for _ in range(count):
        length = struct.unpack_from("<I", body, at)[0]
        texts.append(body[at + 4:at + 4 + length].decode())
        at += 4 + length
    return texts


def decode_error(one: Frame) -> Error:
    scope, code, _, _, length = struct.unpack_from("<BBxxIII", one.body)
    return Error(one.body[16:16 + length].decode(errors="replace"), code, one.number, scope)


# --- the socket -----------------------------------------------------------------------------------


class Address(NamedTuple):
    host: str
    port: int
    has_tls: bool


def parse_address(address: str) -> Address:
    """HOST:PORT, stepdb://HOST:PORT, stepdbs://HOST:PORT (TLS); the port may be left out."""
    scheme, _, rest = address.rpartition("://")
    if scheme not in ("", "stepdb", "stepdbs"):
        raise Error(f"address {address!r}: expected HOST:PORT, stepdb:// or stepdbs://",
                    INVALID_ARGUMENT)
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port[1:]
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    if not host or not (port == "" or port.isdecimal()):
        raise Error(f"address {address!r}: expected HOST:PORT, such as 127.0.0.1:7420",
                    INVALID_ARGUMENT)
    return Address(host, int(port or DEFAULT_PORT), scheme == "stepdbs")


class Socket:
    """A connection that has said hello. One thread may send while another receives."""

    def __init__(self, address: str, writer: bytes, token: str, client: str,
                 ca_file: Optional[str] = None, seconds: float = 20.0) -> None:
        host, port, has_tls = parse_address(address)
        self._socket = socket.create_connection((host, port), timeout=seconds)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if has_tls:
                context = ssl.create_default_context(cafile=ca_file)
                self._socket = context.wrap_socket(self._socket, server_hostname=host)
            self._buffer = bytearray()
            self.send(hello(writer, token, client))
            first = self.receive()
            if first.kind == ERROR:
                raise decode_error(first)
            if first.kind != HELLO_OK:
                raise Error(f"{address} answers hello by a frame of type {first.kind}: no StepDB?")
            self.features = struct.unpack_from("<Q", first.body, 4)[0]
            self.frame_bytes_max, self.frame_rows_max = struct.unpack_from("<II", first.body, 28)
            self._socket.settimeout(None)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def has_frame(self, seconds: Optional[float] = None) -> bool:
        """Whether the next frame comes within that time; without one, waits for it."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while len(self._buffer) < self._length():
                if until is not None:
                    self._socket.settimeout(max(0.001, until - time.monotonic()))
                received = self._socket.recv(1 << 20)
                if not received:
                    raise ConnectionError("the server has closed the connection")
                self._buffer += received
        except socket.timeout:
            if until is None:
                raise
            return False
        finally:
            if until is not None:
                self._socket.settimeout(None)
        return True

    def _length(self) -> int:
        """Of the frame in the buffer, as far as that is known."""
        if len(self._buffer) < FRAME_HEAD:
            return FRAME_HEAD
        length, version = struct.unpack_from("<IB", self._buffer)
        if version != 1 or not FRAME_HEAD <= length <= FRAME_BYTES_MAX + FRAME_HEAD:
            raise ConnectionError(f"a frame of version {version} and {length} bytes: no StepDB?")
        return int(length)

    def receive(self) -> Frame:
        """The next frame. Its checksum is XXH3, which the standard library has not: TCP's, or
        TLS's, has to do in this direction."""
        self.has_frame()
        length = self._length()
        kind, number = self._buffer[5], struct.unpack_from("<Q", self._buffer, 16)[0]
        body = bytes(memoryview(self._buffer)[FRAME_HEAD:length])
        del self._buffer[:length]
        return Frame(kind, number, body)

    def shut_down(self) -> None:
        """Wakes who receives; may be called from another thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # gone already

    def close(self) -> None:
        self._socket.close()
