"""Sends a spool: connects, sends what has no outcome, reads outcomes, connects again.

A frame keeps its number until it has an outcome, so the server takes each once however often the
connection is lost. Where the server cannot take frames for a while (its disk is full, its store
read-only) they use up their numbers; then everything from the first of them on goes out once more
under a new writer id, in order, which leaves the same points: the last write of a step wins.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections import deque
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple

from . import _protocol as protocol
from ._spool import Spool
from ._version import CLIENT

RETRY_MIN, RETRY_MAX = 0.05, 5.0
# Each send wakes two threads here, which a training that holds the interpreter's lock feels.
SEND_EVERY = 0.1
_LATER = (protocol.UNAVAILABLE, protocol.RESOURCE_EXHAUSTED)
# Of an open_run or a hello: may be mended on the server's side while we wait.
_LATER_TO_OPEN = _LATER + (protocol.NOT_FOUND, protocol.PERMISSION_DENIED)


class _Pending(NamedTuple):
    ordinal: int
    number: int
    file: int
    rows: int


class Progress:
    """What became of the frames, and of the connection. Read from any thread."""

    def __init__(self) -> None:
        self.rows_acknowledged = 0
        self.rows_refused = 0
        self.frames_refused = 0
        self.refusals: List[str] = []  # the first ones, in words
        self.trouble: Optional[str] = None  # why there is no connection now
        self.attempt: Optional[int] = None  # the newest of the run, once it was opened
        self.is_done = False
        self.failed: Optional[protocol.Error] = None  # nothing more will be sent


class _StartOver(Exception):
    """Frames from this number on are to go out under a new writer id."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


class Delivery:
    """Of one spool, in a thread of its own (`start`) or in the caller's (`run`)."""

    def __init__(self, spool: Spool, token: str, ca_file: Optional[str] = None,
                 warn: Callable[[str], None] = lambda message: None,
                 is_leftover: bool = False) -> None:
        """`is_leftover`: the process that wrote it is gone."""
        self.spool, self.progress, self._is_leftover = spool, Progress(), is_leftover
        self._token, self._ca_file, self._warn = token, ca_file, warn
        self._news = threading.Condition()
        # Under _news.
        self._is_ended = False    # nothing more is appended
        self._is_stopped = False  # give up
        self._appended = 0
        self._end_of_spool: Optional[Tuple[int, int]] = None
        self._lowest_file = 0  # files below have been let go
        self._hurry = threading.Event()
        self._sent_at = 0.0
        self._pending: Deque[_Pending] = deque()
        self._opened: Optional[protocol.RunOpened] = None
        self._lost: Optional[BaseException] = None
        self._acked = self._first_number() - 1  # in numbers of the spool
        self._reading_file = 0
        self._thread = threading.Thread(target=self.run, name="stepdb-send", daemon=True)

    def _first_number(self) -> int:
        for file in self.spool.file_numbers():
            at = 0
            while True:
                frames = self.spool.read(file, at)
                for one, _ in frames:
                    if one.number:
                        return one.number
                if not frames:
                    break
                at += sum(len(whole) for _, whole in frames)
        return self.spool.run.base + 1

    # --- for whoever appends ---

    def start(self) -> None:
        self._thread.start()

    def tell_of_more(self, end: Tuple[int, int]) -> None:
        """`end`: file and offset behind what was appended."""
        with self._news:
            self._appended += 1
            self._end_of_spool = end
            self._news.notify_all()

    def end(self) -> None:
        """Nothing more comes: ends when everything has its outcome."""
        with self._news:
            self._is_ended = True
            self._news.notify_all()
        self._hurry.set()

    def stop(self) -> None:
        """Gives up; what has no outcome stays in the spool."""
        with self._news:
            self._is_stopped = True
            self._news.notify_all()
        self._hurry.set()

    def hurry(self) -> None:
        """Somebody waits for what has been appended."""
        self._hurry.set()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Until `condition`, of `progress` or `acked`, holds, or nothing more will be sent."""
        with self._news:
            self._news.wait_for(lambda: condition() or self.progress.is_done, seconds)
            return condition()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def acked(self) -> int:
        return self._acked

    # --- the thread ---

    def run(self) -> None:
        delay = RETRY_MIN
        while not self._is_stopped:
            connection = None
            try:
                connection = self._open()
                delay = RETRY_MIN
                if self._send(connection):
                    break
            except _StartOver as again:
                self._start_over(again)
            except protocol.Error as error:
                if error.code not in _LATER_TO_OPEN and error.scope != 0:
                    self.progress.failed = error
                    self._warn(f"{self._name()}: {error}; what is not sent stays in "
                               f"{self.spool.directory}")
                    break
                self._trouble(str(error))
            except OSError as error:
                self._trouble(f"{self.spool.run.server}: {error}")
            finally:
                if connection is not None:
                    self._end(connection)
            with self._news:
                self._news.wait_for(lambda: self._is_stopped, delay)
            delay = min(2 * delay, RETRY_MAX)
        with self._news:
            self.progress.is_done = True
            self._news.notify_all()

    def _name(self) -> str:
        return f"{self.spool.run.project}/{self.spool.run.run}"

    def _trouble(self, why: str) -> None:
        if self.progress.trouble is None:
            self._warn(f"{self._name()}: {why}; rows wait in {self.spool.directory}")
        self.progress.trouble = why

    def _start_over(self, again: _StartOver) -> None:
        self._trouble(str(again))
        run = self.spool.run
        self.spool.save_run(run._replace(writer=os.urandom(16).hex(), base=again.number - 1))
        self._acked = again.number - 1

    def _open(self) -> protocol.Socket:
        run = self.spool.run
        connection = protocol.Socket(run.server, bytes.fromhex(run.writer), self._token, CLIENT,
                                     self._ca_file)
        with self._news:
            self._pending.clear()
            self._opened = self._lost = None
        self._receiver = threading.Thread(target=self._receive, args=(connection,),
                                          name="stepdb-receive", daemon=True)
        self._receiver.start()
        try:
            self._open_run(connection)
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _end(self, connection: protocol.Socket) -> None:
        connection.shut_down()
        self._receiver.join()
        connection.close()

    def _open_run(self, connection: protocol.Socket) -> None:
        run = self.spool.run
        fork = None if run.parent is None else (run.parent, run.fork_step or 0.0)
        first = self._acked - run.base + 1
        connection.send(protocol.open_run(1, first, run.project, run.run, fork))
        with self._news:
            self._news.wait_for(lambda: self._opened is not None or self._lost is not None or
                                self._is_stopped)
            if self._opened is None:
                raise self._lost or ConnectionError("given up")
            # Not `last_number`: frames up to there may have been refused, and those are told again
            # when they are sent again.
            if self.spool.run.attempt is None:
                # What a dead process has left, and never opened the run for, is of its beginning:
                # the newest attempt may be that of the job that goes on in its place.
                attempt = 0 if self._is_leftover else self._opened.attempt
                self.spool.save_run(self.spool.run._replace(attempt=attempt))
            self.progress.attempt = self._opened.attempt
            self.progress.trouble = None
            self._news.notify_all()

    def _send(self, connection: protocol.Socket) -> bool:
        """True when everything has its outcome; False to give up."""
        ordinal = 1  # of the open_run
        files = self.spool.file_numbers()
        self._reading_file, at = (files[0] if files else 0), 0
        while True:
            with self._news:
                self._check_lost()
                appended, is_ended, end = self._appended, self._is_ended, self._end_of_spool
                if self._is_stopped:
                    return False
            if (self._reading_file, at) == end:  # without asking the disk
                if self._wait_at_the_end(appended, is_ended):
                    return not self._is_stopped
                self._linger()
                continue
            frames = self.spool.read(self._reading_file, at) if self._reading_file else []
            if not frames:
                files = [file for file in self.spool.file_numbers() if file > self._reading_file]
                if files:
                    self._reading_file, at = files[0], 0
                    self._let_go()
                    continue
                if self._wait_at_the_end(appended, is_ended):
                    return not self._is_stopped
                continue
            batch, pending = [], []
            for one, whole in frames:
                at += len(whole)
                if one.number and one.number <= self._acked:
                    continue
                ordinal += 1
                if one.number:
                    batch.append(self._as_sent(one, whole))
                    rows = (struct.unpack_from("<I", one.body, 24)[0]
                            if one.kind == protocol.ROWS else 0)
                    pending.append(_Pending(ordinal, one.number, self._reading_file, rows))
                else:
                    batch.append(whole)
            with self._news:
                self._pending.extend(pending)
            self._send_whole(connection, b"".join(batch))

    def _linger(self) -> None:
        self._hurry.wait(max(0.0, self._sent_at + SEND_EVERY - time.monotonic()))
        self._hurry.clear()

    def _send_whole(self, connection: protocol.Socket, data: bytes) -> None:
        self._sent_at = time.monotonic()
        try:
            connection.send(data)
        except OSError:
            # What was received before says why: rows refused, perhaps, not just a lost connection.
            connection.shut_down()
            self._receiver.join()
            self._check_lost()
            raise

    def _as_sent(self, one: protocol.Frame, whole: bytes) -> bytes:
        """Under the numbers of the writer, and for an attempt."""
        run, body = self.spool.run, one.body
        if one.kind in (protocol.ROWS, protocol.FINISH_RUN):
            handle, attempt = struct.unpack_from("<II", body)
            if attempt == protocol.NEWEST:
                body = struct.pack("<II", handle, run.attempt or 0) + body[8:]
        if body is one.body and run.base == 0:
            return whole
        return protocol.frame(one.kind, one.number - run.base, body)

    def _wait_at_the_end(self, appended: int, is_ended: bool) -> bool:
        """True if that was all."""
        with self._news:
            self._news.wait_for(lambda: self._appended != appended or self._is_stopped or
                                self._lost is not None or
                                (self._is_ended and (not is_ended or not self._pending)))
            self._check_lost()
            return self._is_stopped or (is_ended and self._appended == appended and
                                        not self._pending)

    def _check_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    # --- what comes back; in the receiver's thread ---

    def _receive(self, connection: protocol.Socket) -> None:
        try:
            while True:
                one = connection.receive()
                with self._news:
                    self._take(one)
                    self._news.notify_all()
                self._let_go()
        except Exception as error:  # whatever it is, the sender has to hear of it
            if not isinstance(error, (OSError, protocol.Error, _StartOver)):
                error = ConnectionError(f"what the server sends cannot be read: {error!r}")
            with self._news:
                self._lost = self._lost or error
                self._news.notify_all()
            self._hurry.set()
            connection.shut_down()

    def _take(self, one: protocol.Frame) -> None:
        if one.kind == protocol.RUN_OPENED:
            self._opened = protocol.decode_run_opened(one.body)
        elif one.kind == protocol.ACK:
            while self._pending and self._pending[0].ordinal <= one.number:
                done = self._pending.popleft()
                self._acked = done.number
                self.progress.rows_acknowledged += done.rows
        elif one.kind == protocol.ERROR:
            self._take_error(protocol.decode_error(one))

    def _take_error(self, error: protocol.Error) -> None:
        if error.scope != 1 or error.number == 1:  # the connection's, or of the open_run
            raise error
        for at, refused in enumerate(self._pending):
            if refused.ordinal == error.number:
                if error.code in _LATER:
                    raise _StartOver(self._pending[0].number, str(error))
                del self._pending[at]
                self._acked = max(self._acked, refused.number) if at == 0 else self._acked
                self._count_refused(refused, error)
                return
        # A schema: the rows that need it are refused too.

    def _count_refused(self, refused: _Pending, error: protocol.Error) -> None:
        self.progress.frames_refused += 1
        self.progress.rows_refused += refused.rows
        if len(self.progress.refusals) < 10:
            self.progress.refusals.append(str(error))
        if self.progress.frames_refused == 1:
            self._warn(f"{self._name()}: the server refuses {refused.rows} rows: {error}")

    def _let_go(self) -> None:
        """Of files of which everything has its outcome."""
        with self._news:
            low = self._pending[0].file if self._pending else self._reading_file
            if low == self._lowest_file:
                return
            self._lowest_file = low
        for number in self.spool.file_numbers():
            if number < low:
                self.spool.remove_file(number)
