"""Rows as frames: which columns travel as float32, which rows share a schema, how they gather.

A column travels as float32 while every value of it is one exactly, NaN payloads included, and as
float64 from the first that is not; what is exact is found by packing it and unpacking it again.

A set of metrics is a schema of its own, unless there are many, or one follows the other row by row:
then rows are *sparse*, of a schema that has the metrics of all of them, with a bitmap that says
which ones a row has.
"""

from __future__ import annotations

import re
from array import array
from operator import itemgetter
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from . import _protocol as protocol

SCHEMAS_MAX = 16        # of an axis; further sets of metrics are sparse
SHORT_ROWS = 4          # a frame that ends earlier because other metrics follow is short
SHORT_FRAMES_MAX = 64   # of an axis; then all sets that are not too wide are sparse
SPARSE_COLUMNS_MAX = 1024
_SHAPES_MAX = 4096      # remembered
METRIC_BYTES_MAX = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

Picker = Callable[[Sequence[float]], Sequence[float]]


def _picker(places: List[int], width: int) -> Picker:
    if places == list(range(width)):
        return lambda row: row
    if not places:
        return lambda row: ()
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)


def _is_float32(value: float) -> bool:
    try:
        return array("d", array("f", (value,))).tobytes() == array("d", (value,)).tobytes()
    except OverflowError:  # larger than any float32
        return False


def _why_no_metric(name: str) -> str:
    """As docs/protocol.md says; a schema with one such name would be refused with all its rows."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "no Unicode text"
    if not 0 < length <= METRIC_BYTES_MAX:
        return f"{length} bytes; 1 to {METRIC_BYTES_MAX:,} are possible"
    return "it has a control character" if _CONTROL.search(name) else ""


class Schema:
    """The columns of rows, in their order, and which of them are float64."""

    def __init__(self, axis: int, metrics: Tuple[str, ...],
                 wide: Optional[Sequence[bool]] = None) -> None:
        self.axis, self.metrics = axis, metrics
        self.canonical = protocol.canonical_schema(axis, metrics)
        self.hash = protocol.schema_hash(self.canonical)
        self.wide: List[bool] = list(wide or ())
        self.wide += [False] * (len(metrics) - len(self.wide))
        self.lay_out()

    def lay_out(self) -> None:
        """Anew when a column has become wide."""
        if not any(self.wide):
            self.layout = protocol.RowsLayout(0, b"")
        elif all(self.wide):
            self.layout = protocol.RowsLayout(1, b"")
        else:
            bits = sum(1 << column for column, is_wide in enumerate(self.wide) if is_wide)
            self.layout = protocol.RowsLayout(
                2, protocol.padded(bits.to_bytes((len(self.wide) + 7) // 8, "little")))


class Shape:
    """How rows of one set of metrics are packed: values for all columns, or sparse ones."""

    def __init__(self, schema: Schema, columns: Dict[int, int], values: int,
                 is_sparse: bool) -> None:
        """`columns`: place of a value in the row, which has `values` of them -> its column."""
        self.schema, self._values = schema, values
        self.presence = b""
        self.width = len(columns)
        self._columns = columns
        self._order = sorted(columns, key=columns.__getitem__)
        if is_sparse:
            bits = sum(1 << column for column in columns.values())
            self.presence = bits.to_bytes((len(schema.metrics) + 7) // 8, "little")
        self._layout: Optional[protocol.RowsLayout] = None

    def _lay_out(self) -> None:
        schema = self.schema
        self._layout = schema.layout
        wide = [place for place in self._order if schema.wide[self._columns[place]]]
        narrow = [place for place in self._order if not schema.wide[self._columns[place]]]
        # As many values come as there are names; of some the name may be no metric's.
        self._pick_wide = _picker(wide, self._values)
        self._pick_narrow = _picker(narrow, self._values)
        self._has_wide, self._has_narrow = bool(wide), bool(narrow)

    def pack(self, row: Sequence[float]) -> bytes:
        """The values as the layout has them, which becomes wider first if it must."""
        if self._layout is not self.schema.layout:
            self._lay_out()
        packed = self._pack(row)
        if packed is None:
            self._widen(row)
            packed = self._pack(row)
            assert packed is not None
        return packed

    def _pack(self, row: Sequence[float]) -> Optional[bytes]:
        if not self._has_narrow:
            return array("d", self._pick_wide(row)).tobytes()
        narrow = self._pick_narrow(row)
        try:
            packed = array("f", narrow)
        except OverflowError:  # larger than any float32
            return None
        if array("d", packed).tobytes() != array("d", narrow).tobytes():
            return None
        if not self._has_wide:
            return packed.tobytes()
        return packed.tobytes() + array("d", self._pick_wide(row)).tobytes()

    def _widen(self, row: Sequence[float]) -> None:
        for place, column in self._columns.items():
            if not self.schema.wide[column]:
                self.schema.wide[column] = not _is_float32(row[place])
        self.schema.lay_out()
        self._lay_out()


class RowsFrame:
    """Rows of one schema and attempt that go out together."""

    def __init__(self, schema: Schema, attempt: int, is_sparse: bool) -> None:
        self.schema, self.attempt, self.is_sparse = schema, attempt, is_sparse
        self.layout = schema.layout
        self.rows = 0
        self.bytes = 0
        self._steps, self._times = array("d"), array("q")
        self._presence: List[bytes] = []
        self._values: List[bytes] = []

    def takes(self, shape: Shape, attempt: int) -> bool:
        return self.schema is shape.schema and self.layout is shape.schema.layout and \
            self.is_sparse == bool(shape.presence) and self.attempt == attempt

    def add(self, step: Optional[float], time_us: int, presence: bytes, values: bytes) -> None:
        if step is not None:
            self._steps.append(step)
        self._times.append(time_us)
        if presence:
            self._presence.append(presence)
        self._values.append(values)
        self.rows += 1
        self.bytes += len(values) + len(presence) + 16

    def body(self, handle: int) -> bytes:
        return protocol.rows_body(handle, self.attempt, self.schema.hash, self.rows,
                                  self._steps.tobytes(), self._times.tobytes(), self.layout,
                                  protocol.padded(b"".join(self._presence)),
                                  b"".join(self._values))


class _Axis:
    """The sets of metrics that have been logged with, or without, a step."""

    def __init__(self, axis: int, refuse: Callable[[str], Any]) -> None:
        self._axis, self._refuse = axis, refuse
        self._shapes: Dict[Tuple[Any, ...], Optional[Shape]] = {}
        self._schemas = 0  # of one set each
        self._short_frames = 0
        self._union: Optional[Schema] = None  # of the sparse rows
        self._union_columns: Dict[str, int] = {}

    def shape(self, metrics: Tuple[Any, ...]) -> Optional[Shape]:
        """None if none of them can be a metric."""
        try:
            return self._shapes[metrics]
        except KeyError:
            if len(self._shapes) >= _SHAPES_MAX:
                self._shapes.clear()
            shape = self._shapes[metrics] = self._new_shape(metrics)
            return shape

    def _is_mixed(self) -> bool:
        return self._schemas >= SCHEMAS_MAX or self._short_frames >= SHORT_FRAMES_MAX

    def _new_shape(self, metrics: Tuple[Any, ...]) -> Optional[Shape]:
        names: Dict[str, int] = {}  # place in the row
        for place, metric in enumerate(metrics):
            why = _why_no_metric(str(metric))
            if why:
                self._refuse(f"{str(metric)[:100]!r} is no name of a metric ({why})")
            else:
                names[str(metric)] = place
        if not names:
            return None
        if len(names) > SPARSE_COLUMNS_MAX or not self._is_mixed():
            self._schemas += 1
            columns = {place: column for column, place in enumerate(names.values())}
            return Shape(Schema(self._axis, tuple(names)), columns, len(metrics), is_sparse=False)
        union = self._union_of(names)
        return Shape(union, {place: self._union_columns[name] for name, place in names.items()},
                     len(metrics), is_sparse=True)

    def _union_of(self, names: Iterable[str]) -> Schema:
        """The schema of sparse rows, with these among its metrics."""
        unknown = [name for name in names if name not in self._union_columns]
        if self._union is not None and not unknown:
            return self._union
        wide: Sequence[bool] = ()
        if self._union is None or len(self._union_columns) + len(unknown) > SPARSE_COLUMNS_MAX:
            self._union_columns = {}
            unknown = list(names)
        else:
            wide = self._union.wide
        for name in unknown:
            self._union_columns[name] = len(self._union_columns)
        self._union = Schema(self._axis, tuple(self._union_columns), wide)
        # What is sparse already goes on in this one too, or frames would end at each change.
        self._shapes = {one: shape for one, shape in self._shapes.items()
                        if shape is None or not shape.presence}
        return self._union

    def count_short_frame(self) -> None:
        self._short_frames += 1
        if self._short_frames == SHORT_FRAMES_MAX:
            self._shapes = {}


class RowsPacker:
    """Turns rows into frames, in order. `emit(frame)` takes each that is full or must go;
    `refuse(why)` hears of names that cannot be metrics, whose values are left out."""

    def __init__(self, emit: Callable[[RowsFrame], Any], refuse: Callable[[str], Any],
                 frame_bytes: int = 256 << 10, frame_rows: int = 4096) -> None:
        self._emit, self._frame_bytes, self._frame_rows = emit, frame_bytes, frame_rows
        self._axes = {axis: _Axis(axis, refuse) for axis in (protocol.STEPPED, protocol.TIMED)}
        self._last: Tuple[int, Tuple[Any, ...]] = (protocol.STEPPED, ())
        self._last_shape: Optional[Shape] = None
        # One for each axis: no metric is of both, so it does not matter which goes first.
        self._frames: Dict[int, RowsFrame] = {}

    def _shape(self, axis: int, metrics: Tuple[Any, ...]) -> Optional[Shape]:
        if self._last == (axis, metrics):
            return self._last_shape
        self._last_shape = self._axes[axis].shape(metrics)
        self._last = axis, metrics
        return self._last_shape

    def add(self, metrics: Tuple[Any, ...], row: Sequence[float], step: Optional[float],
            time_us: int, attempt: int) -> int:
        """How many of the values can be stored: all, unless names are none."""
        axis = protocol.TIMED if step is None else protocol.STEPPED
        shape = self._shape(axis, metrics)
        if shape is None:
            return 0
        values = shape.pack(row)
        frame = self._frames.get(axis)
        if frame is None or not frame.takes(shape, attempt):
            if frame is not None and frame.rows < SHORT_ROWS and frame.schema is not shape.schema:
                self._axes[axis].count_short_frame()
            self._flush(axis)
            frame = self._frames[axis] = RowsFrame(shape.schema, attempt, bool(shape.presence))
        frame.add(step, time_us, shape.presence, values)
        if frame.bytes >= self._frame_bytes or frame.rows >= self._frame_rows:
            self._flush(axis)
        return shape.width

    def _flush(self, axis: int) -> None:
        frame = self._frames.pop(axis, None)
        if frame is not None:
            self._emit(frame)

    def flush(self) -> None:
        for axis in list(self._frames):
            self._flush(axis)
