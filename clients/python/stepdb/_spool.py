"""The spool: frames on disk that the server may not have yet.

A directory for each process that logs to a run:

    run.json          what the run is, and under which writer id and numbers its frames go out
    00000001.frames   frames as they go over the wire, one after the other; a schema stands before
                      the first rows of it in each file, so that every file can be sent by itself
    lock              held (flock) by who writes or sends it

A frame checks itself by its length and CRC-32; the file ends before the first that does not. What
was written survives the end of the process at once, and a crash of the machine after the next
sync. A file goes once the server has acknowledged all of it.
"""

from __future__ import annotations

import json
import os
import struct
import urllib.parse
import zlib
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

from . import _protocol as protocol

FORMAT = 1
FILE_BYTES = 16 << 20


class SpoolRun(NamedTuple):
    """What is needed to send a spool without the process that wrote it."""
    server: str
    project: str
    run: str
    parent: Optional[str]
    fork_step: Optional[float]
    writer: str  # hex
    base: int    # the frame numbered n goes out as n - base
    attempt: Optional[int] = None  # of frames that leave it open (NEWEST), once it is known


def directory_of(root: str, project: str, run: str, writer: str) -> str:
    def quote(name: str) -> str:
        return urllib.parse.quote(name, safe="").replace(".", "%2E")
    return os.path.join(root, quote(project), quote(run), writer)


def find_spools(root: str) -> List[str]:
    """Directories with a spool below `root`, the oldest first."""
    found = [base for base, _, files in os.walk(root) if "run.json" in files]
    return sorted(found, key=lambda path: os.stat(os.path.join(path, "run.json")).st_mtime_ns)


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Spool:
    """One directory. A thread appends while another reads behind it and a third lets go of files;
    whoever does so holds the lock of the run's delivery."""

    def __init__(self, directory: str, run: Optional[SpoolRun] = None) -> None:
        """Made for `run`, or opened; `BlockingIOError` if another process holds it."""
        self.directory = directory
        self._file: Optional[BinaryIO] = None
        self._file_number = 0
        self._written = 0  # bytes of the file that is written
        self._dirty = False
        self._schemas: "set[bytes]" = set()  # in the file that is written
        if run is not None:
            os.makedirs(directory, exist_ok=True)
        self._lock = open(os.path.join(directory, "lock"), "a+b")
        try:
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if run is not None:
                self.run = run
                self.save_run(run)
            else:
                self.run = self._load_run()
        except BaseException:
            self._lock.close()
            raise
        numbers = self.file_numbers()
        self._file_number = numbers[-1] if numbers else 0

    def _load_run(self) -> SpoolRun:
        path = os.path.join(self.directory, "run.json")
        try:
            with open(path, encoding="utf-8") as file:
                fields: Dict[str, Any] = json.load(file)
            if fields.pop("format") != FORMAT:
                raise protocol.Error(f"{path} is of another format than {FORMAT}; send it with the "
                                     f"version of stepdb that wrote it")
            return SpoolRun(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise protocol.Error(f"{path} is not what a spool begins with: {error}") from error

    def save_run(self, run: SpoolRun) -> None:
        path = os.path.join(self.directory, "run.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, **run._asdict()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        _sync_directory(self.directory)
        self.run = run

    def _path(self, number: int) -> str:
        return os.path.join(self.directory, f"{number:08d}.frames")

    def file_numbers(self) -> List[int]:
        return sorted(int(name[:-7]) for name in os.listdir(self.directory)
                      if name.endswith(".frames"))

    # --- writing ---

    def append(self, frame: bytes) -> Tuple[int, int]:
        """Where the frame ends: file and offset."""
        if self._file is None or self._written >= FILE_BYTES:
            self._begin_file()
        assert self._file is not None
        self._file.write(frame)
        self._written += len(frame)
        self._dirty = True
        return self._file_number, self._written

    def knows(self, schema: bytes) -> bool:
        """Whether the file that is written has the schema; it will, for who asks appends it."""
        if self._file is None or self._written >= FILE_BYTES:
            self._begin_file()
        if schema in self._schemas:
            return True
        self._schemas.add(schema)
        return False

    def _begin_file(self) -> None:
        self.sync()
        if self._file is not None:
            self._file.close()
        self._file_number += 1
        self._file = open(self._path(self._file_number), "xb", buffering=0)
        self._written = 0
        self._schemas.clear()
        _sync_directory(self.directory)

    def sync(self) -> None:
        if self._dirty and self._file is not None:
            os.fdatasync(self._file.fileno())
            self._dirty = False

    # --- reading ---

    def read(self, number: int, offset: int,
             limit: int = 1 << 20) -> List[Tuple[protocol.Frame, bytes]]:
        """Whole frames of a file from `offset` on, some `limit` bytes of them, each with its bytes;
        none at its end, and none from the first that is torn or damaged on."""
        with open(self._path(number), "rb") as file:
            file.seek(offset)
            data = file.read(limit)
            if len(data) >= 4:
                first = struct.unpack_from("<I", data)[0]
                if len(data) < first <= protocol.FRAME_BYTES_MAX:
                    data += file.read(first - len(data))
        return list(_frames_of(data))

    def is_last(self, number: int) -> bool:
        numbers = self.file_numbers()
        return not numbers or number >= numbers[-1]

    # --- letting go ---

    def remove_file(self, number: int) -> None:
        if number != self._file_number or self._file is None:
            os.unlink(self._path(number))

    def bytes_left(self) -> int:
        return sum(os.stat(self._path(number)).st_size for number in self.file_numbers())

    def remove(self) -> None:
        """All of it: everything has its outcome."""
        self.close()
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        os.rmdir(self.directory)
        for above in (os.path.dirname(self.directory),
                      os.path.dirname(os.path.dirname(self.directory))):
            try:
                os.rmdir(above)
            except OSError:
                break  # of another process, or another run

    def close(self) -> None:
        self.sync()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.close()


def _frames_of(data: bytes) -> Iterator[Tuple[protocol.Frame, bytes]]:
    at = 0
    while at + protocol.FRAME_HEAD <= len(data):
        length, version, kind, checksum_kind, _, checksum, number = struct.unpack_from(
            "<IBBBBQQ", data, at)
        if version != 1 or checksum_kind != 2 or \
                not protocol.FRAME_HEAD <= length <= protocol.FRAME_BYTES_MAX or \
                at + length > len(data):
            return
        whole = data[at:at + length]
        if zlib.crc32(whole[16:], zlib.crc32(whole[:8])) != checksum:
            return
        yield protocol.Frame(kind, number, whole[protocol.FRAME_HEAD:]), whole
        at += length
