"""Answers to queries, as columns."""

from __future__ import annotations

import struct
from array import array
from typing import Any, Dict, Iterator, List, Tuple

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

TEXT, FLOAT64, STEP, TIME, UINT64 = 0, 1, 2, 3, 4
_CODES = {FLOAT64: "d", STEP: "d", TIME: "q", UINT64: "Q"}


class Column:
    """Cells of one type: `values`, and which of them are null."""

    def __init__(self, name: str, kind: int) -> None:
        self.name, self.kind = name, kind
        self.values: Any = [] if kind == TEXT else array(_CODES[kind])
        self.nulls: List[int] = []  # rows

    def cell(self, row: int) -> Any:
        return self.values[row]

    def to_numpy(self) -> Any:
        """float64, uint64, datetime64[us] or objects; null is NaN, NaT, None, and 0 of uint64."""
        if self.kind == TEXT:
            cells = numpy.array(self.values, dtype=object)
        elif self.kind == TIME:
            cells = numpy.array(self.values, dtype="datetime64[us]")
        else:
            cells = numpy.frombuffer(self.values, dtype=self.values.typecode).copy()
        if self.nulls and self.kind != UINT64:
            cells[self.nulls] = (None if self.kind == TEXT else
                                 numpy.datetime64("NaT") if self.kind == TIME else numpy.nan)
        return cells


class Answer:
    """What a query gave: columns by name, rows by iteration, and `notes` on what was left out.

    `answer["value"]` is a NumPy array where NumPy is there, else a list; null is None in lists and
    rows, and NaN in arrays.
    """

    def __init__(self) -> None:
        self.columns: List[Column] = []
        self.notes: List[str] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def names(self) -> List[str]:
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{name!r}; the answer has {', '.join(self.names)}")

    def __getitem__(self, name: str) -> Any:
        column = self.column(name)
        return self._cells(column) if numpy is None else column.to_numpy()

    @staticmethod
    def _cells(column: Column) -> List[Any]:
        cells = list(column.values)
        for row in column.nulls:
            cells[row] = None
        return cells

    def __iter__(self) -> Iterator[Tuple[Any, ...]]:
        return iter(zip(*map(self._cells, self.columns)))

    def to_dicts(self) -> List[Dict[str, Any]]:
        names = self.names
        return [dict(zip(names, row)) for row in self]

    def to_pandas(self) -> Any:
        import pandas
        return pandas.DataFrame({column.name: column.to_numpy() for column in self.columns})

    def __repr__(self) -> str:
        return f"<Answer of {self._rows} rows: {', '.join(self.names)}>"

    def to_svg(self, width: int = 720, height: int = 280) -> str:
        """The chart of an answer in buckets: a band from min to max, the mean, and marks where
        something is not finite."""
        from ._chart import draw
        return draw(self, width, height)

    def _repr_html_(self) -> str:
        """In a notebook: the chart if it is one, else the first rows."""
        from ._chart import as_html
        return as_html(self)

    # --- as it comes in ---

    def _begin(self, body: bytes) -> None:
        at = 4
        for _ in range(struct.unpack_from("<I", body)[0]):
            length = struct.unpack_from("<I", body, at + 1)[0]
            self.columns.append(Column(body[at + 5:at + 5 + length].decode(), body[at]))
            at += 5 + length

    def _add_block(self, body: bytes) -> None:
        rows = struct.unpack_from("<I", body)[0]
        at = 8
        for column in self.columns:
            flags, runs = struct.unpack_from("<II", body, at)
            at += 8
            if flags & 1:
                length = (rows + 7) // 8
                valid = int.from_bytes(body[at:at + length], "little")
                column.nulls += [self._rows + row for row in range(rows) if not valid >> row & 1]
                at += (length + 7) // 8 * 8
            if column.kind == TEXT:
                begin = at
                for _ in range(runs):
                    count, length = struct.unpack_from("<II", body, at)
                    column.values += [body[at + 8:at + 8 + length].decode()] * count
                    at += 8 + length
                at += -(at - begin) % 8
            else:
                column.values.frombytes(body[at:at + 8 * rows])
                at += 8 * rows
        self._rows += rows

    def _end(self, body: bytes) -> None:
        at = 12
        for _ in range(struct.unpack_from("<I", body, 8)[0]):
            length = struct.unpack_from("<I", body, at)[0]
            self.notes.append(body[at + 4:at + 4 + length].decode())
            at += 4 + length
