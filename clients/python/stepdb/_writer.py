"""From the training loop's queue into the spool, in a thread of its own."""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any, List, NamedTuple, Optional, Tuple

from . import _protocol as protocol
from ._delivery import Delivery
from ._rows import RowsFrame, RowsPacker
from ._spool import Spool, SpoolRun, directory_of

_LINGER = 0.05
_GATHERED_MAX = 1000  # metrics of a row that is put together


def say(message: str) -> None:
    print(f"stepdb: {message}", file=sys.stderr, flush=True)


class Row(NamedTuple):
    metrics: Tuple[str, ...]
    values: List[float]
    step: Optional[float]
    time_us: int
    is_now: bool  # the time is that of the call


class Change(NamedTuple):
    kind: int
    body: bytes


class Mark(NamedTuple):
    """Set once everything before it is in the spool; `number` is then that of the last frame."""
    is_reached: threading.Event
    number: List[int]


class End(NamedTuple):
    state: Optional[int]  # None: the run goes on, in another process


class Writer:
    """The queue, the thread that packs it into the spool, and the delivery. Of one process."""

    def __init__(self, run: SpoolRun, root: str, token: str, ca_file: Optional[str],
                 attempt: int, sync_seconds: float, is_offline: bool) -> None:
        self.spool = Spool(directory_of(root, run.project, run.run, run.writer), run)
        self.delivery = Delivery(self.spool, token, ca_file, say)
        self.queue: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self._is_urgent = threading.Event()
        self.attempt = attempt
        self.failed: Optional[BaseException] = None  # of the spool: nothing more is kept
        self._sync_seconds, self._is_offline = sync_seconds, is_offline
        self._number = run.base
        self._packer = RowsPacker(self._append_rows, self._complain)
        self._gathered: Optional[Row] = None  # not packed yet
        self._gathered_names: "set[str]" = set()
        self.rows_joined = 0  # to the one before
        self.rows_dropped = self.values_refused = 0  # that cannot be stored
        self._has_complained = False
        self._thread = threading.Thread(target=self._pack, name="stepdb-pack", daemon=True)
        self._thread.start()
        if not is_offline:
            self.delivery.start()

    def put_urgent(self, item: Any) -> None:
        """Somebody waits for it."""
        self.queue.put(item)
        self._is_urgent.set()

    def mark(self) -> Mark:
        mark = Mark(threading.Event(), [0])
        self.put_urgent(mark)
        return mark

    # --- the thread that packs ---

    def _pack(self) -> None:
        try:
            self._pack_until_the_end()
        except Exception as error:  # a full disk, most likely: the training goes on without us
            self.failed = error
            say(f"cannot keep rows in {self.spool.directory}: {error}; what is logged from now on "
                 f"is lost")
            self._drain()
        self.delivery.end()

    def _pack_until_the_end(self) -> None:
        synced = time.monotonic()
        while True:
            for item in self._next_items():
                if isinstance(item, Row):
                    self._gather(item)
                    continue
                self._flush_rows()
                if isinstance(item, Change):
                    self._append(item.kind, item.body)
                elif isinstance(item, Mark):
                    self.spool.sync()
                    item.number[0] = self._number
                    item.is_reached.set()
                elif isinstance(item, End):
                    if item.state is not None:
                        self._append(protocol.FINISH_RUN,
                                     protocol.finish_run(1, self.attempt, item.state))
                    self.spool.sync()
                    return
            self._flush_rows()
            if time.monotonic() - synced >= self._sync_seconds:
                self.spool.sync()
                synced = time.monotonic()

    def _next_items(self) -> List[Any]:
        """What has come within the linger: woken for each row, this thread would cost the training
        more than all that it does."""
        try:
            items = [self.queue.get(timeout=self._sync_seconds)]
        except queue.Empty:
            return []
        if isinstance(items[0], Row):
            self._is_urgent.wait(_LINGER)
        self._is_urgent.clear()
        items += [self.queue.get() for _ in range(self.queue.qsize())]
        return items

    def _flush_rows(self) -> None:
        self._pack_gathered()
        self._packer.flush()

    def _gather(self, row: Row) -> None:
        """Metrics of a step that are logged one by one within the linger are a row, with the time
        of the first."""
        last = self._gathered
        if last is not None and row.step is not None and row.step == last.step and \
                row.is_now and last.is_now and len(last.metrics) < _GATHERED_MAX and \
                self._gathered_names.isdisjoint(row.metrics):
            self._gathered = last._replace(metrics=last.metrics + row.metrics,
                                           values=last.values + row.values)
            self._gathered_names.update(row.metrics)
            self.rows_joined += 1
            return
        self._pack_gathered()
        self._gathered = row
        self._gathered_names = set(row.metrics) if row.step is not None else set()

    def _pack_gathered(self) -> None:
        row, self._gathered = self._gathered, None
        if row is None:
            return
        stored = 0
        try:
            stored = self._packer.add(row.metrics, row.values, row.step, row.time_us, self.attempt)
        except (ArithmeticError, TypeError, ValueError) as error:  # an int beyond any float, say
            self._complain(f"a row of {len(row.values)} values is left out: {error}")
        self.values_refused += len(row.values) - stored
        self.rows_dropped += stored == 0

    def _complain(self, why: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            say(f"{self.spool.run.project}/{self.spool.run.run}: {why}")

    def _drain(self) -> None:
        """Nobody waits for what is lost."""
        while True:
            item = self.queue.get()
            if isinstance(item, Mark):
                item.number[0] = self._number
                item.is_reached.set()
            elif isinstance(item, End):
                return

    def _append_rows(self, frame: RowsFrame) -> None:
        schema = frame.schema
        if not self.spool.knows(schema.hash):
            for piece in protocol.schema_frames(self.spool.run.project, schema.canonical):
                self.spool.append(piece)
        self._append(protocol.ROWS, frame.body(1))

    def _append(self, kind: int, body: bytes) -> None:
        self._number += 1
        end = self.spool.append(protocol.frame(kind, self._number, body))
        self.delivery.tell_of_more(end)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
