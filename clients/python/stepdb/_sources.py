"""Logs of other tools as series, read by this package alone: what a store holds can so be compared
with what the loop itself had written. Names are those that `stepdb import` gives them.

Only points with a step are read. A later point of a step replaces an earlier one, as in a store.
"""

from __future__ import annotations

import csv
import glob
import gzip
import json
import os
import struct
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import _protocol as protocol
from ._values import flatten

STEP_NAMES = ("step", "_step", "global_step", "trainer/global_step", "iteration")
TIME_NAMES = ("wall_time", "wall time", "_timestamp", "timestamp")
_WANDB_HEAD = b":W&B\xe1\xbe\0"
_WANDB_BLOCK = 32 << 10

Points = Dict[str, Dict[float, float]]  # metric -> step -> value


class Source(NamedTuple):
    name: str
    points: Points
    values_without_step: int


class _Collector:
    def __init__(self) -> None:
        self.points: Points = {}
        self.values_without_step = 0

    def add(self, step: Optional[float], metric: str, value: float) -> None:
        if step is None:
            self.values_without_step += 1
        else:
            self.points.setdefault(metric, {})[step] = value


def _number(cell: Any) -> Optional[float]:
    """Of a cell of JSON or CSV; None if it is none."""
    if isinstance(cell, (bool, int, float)):
        return float(cell) if not isinstance(cell, int) or abs(cell) < 1 << 1023 else None
    if isinstance(cell, str):
        try:
            return float(cell)
        except ValueError:
            return None
    return None


def _json_number(cell: Any) -> Optional[float]:
    if isinstance(cell, str) and cell not in ("NaN", "Infinity", "-Infinity"):
        return None
    return _number(cell)


def _open_text(path: str) -> Any:
    if path.endswith(".zst"):
        raise protocol.Error(f"{path} is compressed by zstd, which Python cannot read; unpack it",
                             protocol.INVALID_ARGUMENT)
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8", newline="")


def _key_names(step_column: Optional[str]) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    return ((step_column,) if step_column else STEP_NAMES), TIME_NAMES


def _add_row(collector: _Collector, row: Dict[str, Any], step_column: Optional[str],
             number: Callable[[Any], Optional[float]]) -> None:
    steps, times = _key_names(step_column)
    lower = {name.lower(): name for name in reversed(list(row))}
    step_name = next((lower[name.lower()] for name in steps if name.lower() in lower), None)
    step = None if step_name is None else number(row[step_name])
    for name, cell in row.items():
        value = number(cell)
        if name != step_name and name.lower() not in times and value is not None:
            collector.add(step, name, value)


def _read_jsonl(path: str, step_column: Optional[str], collector: _Collector) -> None:
    with _open_text(path) as file:
        for place, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise protocol.Error(f"{path}, line {place}: {error}",
                                     protocol.INVALID_ARGUMENT) from error
            if isinstance(row, dict) and list(row) != ["run"]:
                _add_row(collector, flatten(row), step_column, _json_number)


def _read_csv(path: str, step_column: Optional[str], collector: _Collector) -> None:
    with _open_text(path) as file:
        for row in csv.DictReader(file):
            _add_row(collector, {name: cell for name, cell in row.items() if name and cell},
                     step_column, _number)


# --- protocol buffers, as far as logs need them ---


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _fields(data: bytes) -> Iterator[Tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = _varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
        yield key >> 3, data[at:at + size]
        at += size


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _scalar_of_tensor(tensor: bytes) -> Optional[float]:
    """float, double, int32 and int64, in `tensor_content` or in the list of their type."""
    parts = dict(_fields(tensor))
    form, listed = {1: ("<f", 5), 2: ("<d", 6), 3: ("<i", 7), 9: ("<q", 10)}.get(
        parts.get(1, 0), ("", 0))
    if not form:
        return None
    if len(parts.get(4, b"")) == struct.calcsize(form):
        return float(struct.unpack(form, parts[4])[0])
    one = parts.get(listed)
    if isinstance(one, int):
        return float(_signed(one))
    if isinstance(one, bytes) and form in ("<f", "<d") and len(one) == struct.calcsize(form):
        return float(struct.unpack(form, one)[0])
    if isinstance(one, bytes) and one and form in ("<i", "<q"):
        value, end = _varint(one, 0)
        return float(_signed(value)) if end == len(one) else None
    return None


def _add_event(collector: _Collector, event: bytes) -> None:
    step, values = 0, []
    for number, content in _fields(event):
        if number == 2:
            step = _signed(content)
        elif number == 5:
            values += [part for which, part in _fields(content) if which == 1]
    for value in values:
        tag, scalar = "", None
        for number, content in _fields(value):
            if number == 1:
                tag = content.decode(errors="replace")
            elif number == 2:
                scalar = struct.unpack("<f", content)[0]
            elif number == 8:
                scalar = _scalar_of_tensor(content)
        if scalar is not None:
            collector.add(float(step), tag, scalar)


def _read_tensorboard(path: str, _: Optional[str], collector: _Collector) -> None:
    files = [path]
    if os.path.isdir(path):
        files = sorted(glob.glob(os.path.join(glob.escape(path), "*tfevents*")))
        if not files:
            raise protocol.Error(f"{path} has no event file in it; a run is one directory",
                                 protocol.NOT_FOUND)
    for name in files:
        with open(name, "rb") as file:
            while True:
                head = file.read(12)
                size = struct.unpack_from("<Q", head)[0] if len(head) == 12 else 0
                data = file.read(size + 4) if size else b""
                if len(data) < size + 4 or not size:
                    break  # the end, or a record that is being written
                _add_event(collector, data[:-4])


def _wandb_records(data: bytes) -> Iterator[bytes]:
    """Records in fragments: checksum, length, and 1 for a whole one, else first, middle, last."""
    at, record = len(_WANDB_HEAD), b""
    while at + 7 <= len(data):
        left = _WANDB_BLOCK - at % _WANDB_BLOCK
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if kind == 0 or at + 7 + length > len(data):
            return
        record = data[at + 7:at + 7 + length] if kind in (1, 2) else record + \
            data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record


def _wandb_items(history: bytes) -> Iterator[Tuple[str, Any]]:
    for number, item in _fields(history):
        if number == 1:
            key, nested, text = "", [], b""
            for which, content in _fields(item):
                if which == 1:
                    key = content.decode()
                elif which == 2:
                    nested.append(content.decode())
                elif which == 16:
                    text = content
            yield key or ".".join(nested), json.loads(text)


def _read_wandb(path: str, _: Optional[str], collector: _Collector) -> None:
    if os.path.isdir(path):
        found = sorted(glob.glob(os.path.join(glob.escape(path), "*.wandb")))
        if len(found) != 1:
            raise protocol.Error(f"{path} has {len(found)} files *.wandb in it, and should have "
                                 f"one", protocol.INVALID_ARGUMENT)
        path = found[0]
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(_WANDB_HEAD):
        raise protocol.Error(f"{path}: this is no log of W&B", protocol.INVALID_ARGUMENT)
    for record in _wandb_records(data):
        for number, content in _fields(record):
            if number == 2:
                row: Dict[str, Any] = {}
                for name, value in _wandb_items(content):
                    if isinstance(value, dict):
                        row.update({} if "_type" in value else flatten(value, name + ".", "."))
                    else:
                        row[name] = value
                _add_row(collector, row, "_step", _json_number)


_READERS = {"jsonl": _read_jsonl, "csv": _read_csv, "tensorboard": _read_tensorboard,
            "wandb": _read_wandb}
FORMATS = tuple(_READERS)


def read_log(form: str, path: str, step_column: Optional[str] = None) -> Source:
    """`form`: one of FORMATS. `path`: a file; of TensorBoard and W&B also a run's directory."""
    reader = _READERS.get(form)
    if reader is None:
        raise protocol.Error(f"format {form!r}: expected one of {', '.join(FORMATS)}",
                             protocol.INVALID_ARGUMENT)
    collector = _Collector()
    reader(path, step_column, collector)
    return Source(path, collector.points, collector.values_without_step)


def read_run(connection: Any, run: str) -> Source:
    """`run`: PROJECT/RUN, or an attempt, PROJECT/RUN#K."""
    name = '"' + run.replace('"', '""') + '"'
    points: Points = {}
    metrics: List[str] = [metric for _, metric, axis in connection.query(f"metrics ** @ {name}")
                          if axis == "stepped"]
    for metric in metrics:
        answer = connection.query('$metric @ ' + name, metric=metric)
        points[metric] = dict(zip(answer.column("step").values, answer.column("value").values))
    return Source(run, points, 0)
