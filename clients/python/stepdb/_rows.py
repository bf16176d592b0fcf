"""Rows as frames: which columns travel as float32, how rows gather.

A column travels as float32 while every value of it is one exactly, NaN payloads included, and as
float64 from the first that is not; what is exact is found by packing it and unpacking it again.
"""

from __future__ import annotations

from array import array
from operator import itemgetter
from typing import Any, Callable, List, Optional, Sequence, Tuple

from . import _protocol as protocol


def _picker(columns: Sequence[int]) -> Callable[[Sequence[float]], Sequence[float]]:
    if not columns:
        return lambda row: ()
    if len(columns) == 1:
        only = columns[0]
        return lambda row: (row[only],)
    return itemgetter(*columns)


class Schema:
    """The columns of rows, in their order, and how they are packed."""

    def __init__(self, axis: int, metrics: Tuple[str, ...]) -> None:
        self.axis, self.metrics = axis, metrics
        self.canonical = protocol.canonical_schema(axis, metrics)
        self.hash = protocol.schema_hash(self.canonical)
        self._wide: List[bool] = [False] * len(metrics)
        self._lay_out()

    def _lay_out(self) -> None:
        wide = [column for column, is_wide in enumerate(self._wide) if is_wide]
        narrow = [column for column, is_wide in enumerate(self._wide) if not is_wide]
        self._pick_wide, self._pick_narrow = _picker(wide), _picker(narrow)
        if not wide:
            self.layout = protocol.RowsLayout(0, b"")
        elif not narrow:
            self.layout = protocol.RowsLayout(1, b"")
        else:
            bits = sum(1 << column for column in wide)
            self.layout = protocol.RowsLayout(
                2, protocol.padded(bits.to_bytes((len(self._wide) + 7) // 8, "little")))

    def pack(self, row: Sequence[float]) -> Optional[bytes]:
        """The values as the layout has them; None if the layout must become wider first."""
        if self.layout.kind == 1:
            return array("d", row).tobytes()
        narrow = self._pick_narrow(row)
        try:
            packed = array("f", narrow)
        except OverflowError:  # larger than any float32
            return None
        if array("d", packed).tobytes() != array("d", narrow).tobytes():
            return None
        if self.layout.kind == 0:
            return packed.tobytes()
        return packed.tobytes() + array("d", self._pick_wide(row)).tobytes()

    def widen(self, row: Sequence[float]) -> None:
        for column, value in enumerate(row):
            if not self._wide[column]:
                try:
                    back = array("d", array("f", (value,))).tobytes()
                except OverflowError:
                    back = b""
                self._wide[column] = back != array("d", (value,)).tobytes()
        self._lay_out()


class RowsFrame:
    """Rows of one schema and attempt that go out together."""

    def __init__(self, schema: Schema, attempt: int) -> None:
        self.schema, self.attempt = schema, attempt
        self.layout = schema.layout
        self.rows = 0
        self.bytes = 0
        self._steps, self._times = array("d"), array("q")
        self._values: List[bytes] = []

    def add(self, step: Optional[float], time_us: int, values: bytes) -> None:
        if step is not None:
            self._steps.append(step)
        self._times.append(time_us)
        self._values.append(values)
        self.rows += 1
        self.bytes += len(values) + 16

    def body(self, handle: int) -> bytes:
        return protocol.rows_body(handle, self.attempt, self.schema.hash, self.rows,
                                  self._steps.tobytes(), self._times.tobytes(), self.layout,
                                  b"".join(self._values))


class RowsPacker:
    """Turns rows into frames, in order. `emit(frame)` takes each that is full or must go."""

    def __init__(self, emit: Callable[[RowsFrame], Any], frame_bytes: int = 256 << 10,
                 frame_rows: int = 4096) -> None:
        self._emit, self._frame_bytes, self._frame_rows = emit, frame_bytes, frame_rows
        self._schemas: "dict[Tuple[int, Tuple[str, ...]], Schema]" = {}
        self._last: Optional[Schema] = None
        self._frame: Optional[RowsFrame] = None

    def _schema(self, axis: int, metrics: Tuple[str, ...]) -> Schema:
        last = self._last
        if last is not None and last.axis == axis and last.metrics == metrics:
            return last
        schema = self._schemas.get((axis, metrics))
        if schema is None:
            schema = self._schemas[axis, metrics] = Schema(axis, metrics)
        self._last = schema
        return schema

    def add(self, metrics: Tuple[str, ...], row: Sequence[float], step: Optional[float],
            time_us: int, attempt: int) -> None:
        schema = self._schema(protocol.TIMED if step is None else protocol.STEPPED, metrics)
        values = schema.pack(row)
        if values is None:
            schema.widen(row)
            values = schema.pack(row)
            assert values is not None
        frame = self._frame
        if frame is None or frame.schema is not schema or frame.attempt != attempt or \
                frame.layout is not schema.layout:
            self.flush()
            frame = self._frame = RowsFrame(schema, attempt)
        frame.add(step, time_us, values)
        if frame.bytes >= self._frame_bytes or frame.rows >= self._frame_rows:
            self.flush()

    def flush(self) -> None:
        if self._frame is not None:
            frame, self._frame = self._frame, None
            self._emit(frame)
