"""Queries that are watched: answers that are kept up to date."""

from __future__ import annotations

import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import _protocol as protocol
from ._answer import Answer

_GONE, _NEW, _CHANGED = "gone", "new", "changed"


class Update(NamedTuple):
    """What has changed since the one before. `changes` has the columns `change` (gone, new,
    changed) and `place` before those of the answer; of a row that is gone, `place` is where it was,
    and only the columns that say which row it is are there."""
    sequence: int      # of the server's log: everything up to it is in the answer
    is_reset: bool     # the answer is told anew: what there was before is void
    key_columns: int   # the first columns of the answer, which say which row a row is
    changes: Answer
    notes: List[str]


class Watch:
    """Iterate over it, or ask `next` with a time; `names` and `rows` are the answer as it is then.

        with stepdb.connect().watch("train/loss @ gpt/* | last 1") as watch:
            for update in watch:
                print(watch.rows)
    """

    def __init__(self, connection: protocol.Socket, text: str,
                 parameters: Dict[str, str]) -> None:
        self.names: List[str] = []
        self.rows: List[Tuple[Any, ...]] = []
        self._socket: Optional[protocol.Socket] = connection
        self._columns = b""
        self._changes: Optional[Answer] = None
        if not connection.features & protocol.FEATURE_WATCH:
            connection.close()
            raise protocol.Error("the server is too old for queries to be watched",
                                 protocol.UNSUPPORTED_VERSION)
        connection.send(protocol.watch(1, text, parameters))

    def next(self, seconds: Optional[float] = None) -> Optional[Update]:
        """The next update; None if none has come within `seconds`. An `Error` if the watch has
        ended, such as when a run that it names was deleted."""
        while True:
            if self._socket is None:
                raise protocol.Error("the watch is closed", protocol.CANCELLED)
            if not self._socket.has_frame(seconds):
                return None
            one = self._socket.receive()
            if one.kind == protocol.ERROR:
                self.close()
                raise protocol.decode_error(one)
            if one.kind == protocol.RESULT_COLUMNS:
                self._columns = one.body
                self._begin()
                assert self._changes is not None
                self.names = self._changes.names[2:]
            elif one.kind == protocol.RESULT_BLOCK and self._changes is not None:
                self._changes._add_block(one.body)
            elif one.kind == protocol.RESULT_UPDATE:
                return self._end(one.body)

    def _begin(self) -> None:
        self._changes = Answer()
        self._changes._begin(self._columns)

    def _end(self, body: bytes) -> Update:
        changes = self._changes
        assert changes is not None
        self._begin()
        sequence, flags, key_columns, rows = struct.unpack_from("<QB3xIQ", body)
        update = Update(sequence, bool(flags & 1), key_columns, changes,
                        protocol.decode_texts(body, 24))
        if update.is_reset:
            self.rows = []
        self._apply(changes)
        if len(self.rows) != rows:
            self.close()
            raise protocol.Error(f"the answer has {rows} rows after an update, and "
                                 f"{len(self.rows)} came")
        return update

    def _apply(self, changes: Answer) -> None:
        """By places: out with what is gone, then in with what is new, in order."""
        told = list(changes)
        gone = {place for change, place, *_ in told if change == _GONE}
        if gone:
            self.rows = [row for place, row in enumerate(self.rows) if place not in gone]
        new = [(place, row) for change, place, *row in told if change == _NEW]
        if new and new[0][0] >= len(self.rows):  # most often points at the end
            self.rows += [tuple(row) for _, row in new]
        elif new:
            self.rows = _merged(self.rows, new)
        for change, place, *row in told:
            if change == _CHANGED:
                self.rows[place] = tuple(row)

    def __iter__(self) -> Iterator[Update]:
        while self._socket is not None:
            update = self.next()
            if update is not None:
                yield update

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _merged(rows: List[Tuple[Any, ...]], new: List[Tuple[int, List[Any]]]) -> List[Tuple[Any, ...]]:
    merged: List[Tuple[Any, ...]] = []
    taken = 0
    for place, row in new:
        count = place - len(merged)
        merged += rows[taken:taken + count]
        taken += count
        merged.append(tuple(row))
    return merged + rows[taken:]
