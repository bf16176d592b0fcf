"""Tables in the shapes that those know who come from Neptune's query library.

Runs and attributes are chosen by a list of names, or by a text: a regular expression that is found
in the name, several of them with ` | ` (or) and ` & ` (and) between them and `!` before (not). In a
table of metrics a series that has no point at a step has nothing there, NaN in pandas.
"""

from __future__ import annotations

import re
from array import array
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from . import _protocol as protocol
from ._answer import FLOAT64, STEP, TEXT, TIME, Answer, Column

Names = Union[str, Sequence[str]]
_TEXT_BYTES = 40_000  # of a query; a server takes 65,536


class Table(Answer):
    """A table with an index: the first `index` columns. Rows and columns as of an `Answer`."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.headings: List[Tuple[str, ...]] = []  # of the other columns, in levels
        self.is_of_intervals = False  # the index is where they begin and end

    def add_column(self, name: str, kind: int, cells: Sequence[Any]) -> None:
        column = Column(name, kind)
        column.nulls = [row for row, cell in enumerate(cells) if cell is None]
        empty: Any = "" if kind == TEXT else 0 if kind == TIME else float("nan")
        filled = [empty if cell is None else cell for cell in cells]
        column.values = filled if kind == TEXT else array("q" if kind == TIME else "d", filled)
        self.columns.append(column)
        self._rows = len(cells)

    def to_pandas(self) -> Any:
        import pandas
        table = pandas.DataFrame({number: column.to_numpy()
                                  for number, column in enumerate(self.columns)})
        if self.is_of_intervals:
            table.index = pandas.IntervalIndex.from_arrays(table.pop(0), table.pop(1),
                                                           closed="left", name="bucket")
        else:
            table = table.set_index(list(range(self.index)))
            table.index.names = self.names[:self.index]
        names = self.headings or self.names[self.index:]
        table.columns = pandas.MultiIndex.from_tuples(names) if self.headings else names
        return table


def chooser(names: Names) -> Callable[[str], bool]:
    """Whether a name is chosen."""
    if not isinstance(names, str):
        return frozenset(names).__contains__
    try:
        ways = [[(part.startswith("!"), re.compile(part.lstrip("!")))
                 for part in way.split(" & ")] for way in names.split(" | ")]
    except re.error as error:
        raise protocol.Error(f"{names!r} is no regular expression: {error}; names that stand for "
                             f"themselves go in a list", protocol.INVALID_ARGUMENT) from error
    return lambda name: any(all(bool(part.search(name)) != is_not for is_not, part in way)
                            for way in ways)


def _literal(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _chunks(names: Sequence[str]) -> Iterator[List[str]]:
    """Few enough for a query."""
    chunk: List[str] = []
    size = 0
    for name in names:
        if chunk and size + len(name.encode()) > _TEXT_BYTES // 2:
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += len(name.encode()) + 8
    if chunk:
        yield chunk


class Fetcher:
    """What is asked of one project."""

    def __init__(self, connection: Any, project: str, runs: Optional[Names],
                 lineage_to_the_root: bool = True) -> None:
        self._connection, self._project = connection, project
        self._form = "{}" if lineage_to_the_root else "own({})"
        is_chosen = chooser(runs) if runs is not None else lambda name: True
        answer = connection.query(f'runs ~"^{re.escape(project)}/" | show sys/created')
        listed = [run for run, _ in answer]
        self.runs = [run for run in listed if is_chosen(run[len(project) + 1:])]
        if not isinstance(runs, str) and runs is not None:
            missing = set(runs) - {run[len(project) + 1:] for run in self.runs}
            if missing:
                raise protocol.Error(f"there is no run {sorted(missing)[0]!r} in project "
                                     f"{project!r}", protocol.NOT_FOUND)

    def of_runs(self, runs: Sequence[str]) -> str:
        return ", ".join(self._form.format(_literal(run)) for run in runs)

    def plain(self, run: str) -> str:
        """As the answer calls it -> the id."""
        if run.startswith("own("):
            run = run[4:-1]
        return run[len(self._project) + 1:]

    def metrics(self, is_chosen: Callable[[str], bool]) -> Dict[str, List[str]]:
        """Stepped metric -> the runs that have it, as `self.runs` calls them."""
        found: Dict[str, List[str]] = {}
        for runs in _chunks(self.runs):
            answer = self._connection.query(f"metrics ** @ {self.of_runs(runs)}")
            for run, metric, axis in answer:
                if axis == "stepped" and is_chosen(metric):
                    found.setdefault(metric, []).append(f"{self._project}/{self.plain(run)}")
        return found

    def ask(self, metrics: Dict[str, List[str]], stages: str) -> Iterator[Tuple[Any, ...]]:
        """Rows of the answers about these, the names of runs being ids."""
        for names in _chunks(list(metrics)):
            having = {run for name in names for run in metrics[name]}
            for runs in _chunks([run for run in self.runs if run in having]):
                present = [name for name in names if not set(metrics[name]).isdisjoint(runs)]
                answer = self._connection.query(f"{', '.join(map(_literal, present))} @ "
                                                f"{self.of_runs(runs)} {stages}")
                for row in answer:
                    yield (self.plain(row[0]), *row[1:])


def _steps_stage(step_range: Tuple[Optional[float], Optional[float]]) -> str:
    first, last = ("" if end is None else repr(float(end)) for end in step_range)
    return f"| steps {first}..{last} " if first or last else ""


def fetch_metrics(connection: Any, project: str, runs: Optional[Names], attributes: Names,
                  include_time: Optional[str], step_range: Tuple[Optional[float], Optional[float]],
                  lineage_to_the_root: bool, tail_limit: Optional[int]) -> Table:
    if include_time not in (None, "absolute"):
        raise protocol.Error(f"include_time={include_time!r}: expected None or 'absolute'",
                             protocol.INVALID_ARGUMENT)
    fetcher = Fetcher(connection, project, runs, lineage_to_the_root)
    metrics = fetcher.metrics(chooser(attributes))
    stages = _steps_stage(step_range)
    stages += f"| last {tail_limit} " if tail_limit is not None else ""
    points: Dict[Tuple[str, float], Dict[str, Any]] = {}
    for run, metric, step, *time, value in fetcher.ask(
            metrics, stages + ("| stamped" if include_time else "")):
        points.setdefault((run, step), {})[metric] = (value, *time)
    places = {fetcher.plain(run): place for place, run in enumerate(fetcher.runs)}
    keys = sorted(points, key=lambda key: (places[key[0]], key[1]))
    table = Table(2)
    table.add_column("run", TEXT, [run for run, _ in keys])
    table.add_column("step", STEP, [step for _, step in keys])
    for metric in metrics:
        cells = [points[key].get(metric, (None, None)) for key in keys]
        table.add_column(metric, FLOAT64, [cell[0] for cell in cells])
        if include_time:
            table.add_column(f"{metric} absolute_time", TIME, [cell[1] for cell in cells])
            table.headings += [(metric, "value"), (metric, "absolute_time")]
    return table


def _typed(kind: str, text: str) -> Any:
    if kind == "bool":
        return text == "true"
    if kind == "int64":
        return int(text)
    if kind == "float64":
        return float(text[:3] if text.startswith("nan:") else text)
    return None if kind == "null" else text


def fetch_runs_table(connection: Any, project: str, runs: Optional[Names],
                     attributes: Names, sort_by: str, sort_direction: str,
                     limit: Optional[int]) -> Table:
    if sort_direction not in ("asc", "desc"):
        raise protocol.Error(f"sort_direction={sort_direction!r}: expected 'asc' or 'desc'",
                             protocol.INVALID_ARGUMENT)
    fetcher = Fetcher(connection, project, runs)
    sort_by = {"sys/creation_time": "sys/created", "sys/modification_time": "sys/last_write"}.get(
        sort_by, sort_by)
    is_chosen = chooser(attributes)
    rows: Dict[str, Dict[str, Any]] = {run: {} for run in fetcher.runs}
    names: Dict[str, None] = {}
    for chunk in _chunks(fetcher.runs):
        for run, name, kind, text in connection.query(f"attributes {fetcher.of_runs(chunk)}"):
            if is_chosen(name) or name == sort_by:
                rows[run][name] = _typed(kind, text)
                if is_chosen(name):
                    names[name] = None
    metrics = fetcher.metrics(lambda name: is_chosen(name) or name == sort_by) \
        if attributes or not sort_by.startswith("sys/") else {}
    for run, metric, last in fetcher.ask(metrics, "| summary last"):
        rows[f"{project}/{run}"][metric] = last
        if is_chosen(metric):
            names[metric] = None
    return _table_of_runs(rows, list(names), sort_by, sort_direction, limit, fetcher)


def _sort_key(cell: Any) -> Tuple[bool, Any]:
    """Numbers before texts; of one kind in their order."""
    return isinstance(cell, str), cell


def _table_of_runs(rows: Dict[str, Dict[str, Any]], names: List[str], sort_by: str,
                   sort_direction: str, limit: Optional[int], fetcher: Fetcher) -> Table:
    """What has nothing to sort by comes last, either way."""
    with_key = [run for run in rows if rows[run].get(sort_by) is not None]
    without = [run for run in rows if rows[run].get(sort_by) is None]
    with_key.sort(key=lambda run: _sort_key(rows[run][sort_by]), reverse=sort_direction == "desc")
    order = (with_key + without)[:limit]
    table = Table(1)
    table.add_column("run", TEXT, [fetcher.plain(run) for run in order])
    for name in names:
        cells = [rows[run].get(name) for run in order]
        is_number = all(cell is None or type(cell) in (int, float) for cell in cells)
        table.add_column(name, FLOAT64 if is_number else TEXT, cells)
    return table


def fetch_metric_buckets(connection: Any, project: str, runs: Optional[Names], x: str,
                         y: Names, limit: int, lineage_to_the_root: bool) -> Table:
    if x != "step":
        raise protocol.Error(f"x={x!r}: expected 'step'; others by a query, as in "
                             f"`| x time | buckets 500`", protocol.INVALID_ARGUMENT)
    fetcher = Fetcher(connection, project, runs, lineage_to_the_root)
    metrics = fetcher.metrics(chooser(y))
    # One grid for all, also if there are too many for one query.
    ends = [end for _, _, first, last in fetcher.ask(metrics, "| summary first_step, last_step")
            for end in (first, last) if end is not None]
    table = Table(2)
    table.is_of_intervals = True
    grid: List[Tuple[float, float]] = []
    cells: Dict[Tuple[str, str], List[Tuple[Any, Any]]] = {}
    if ends:
        stages = (f"| steps {min(ends)!r}..{max(ends)!r} "
                  f"| buckets {limit} first, first_x, last, last_x")
        for run, metric, lo, hi, first, first_x, last, last_x in fetcher.ask(metrics, stages):
            series = cells.setdefault((run, metric), [])
            if len(grid) == len(series):
                grid.append((lo, hi))
            series.append((last_x, last) if series else (first_x, first))
    table.add_column("lo", FLOAT64, [lo for lo, _ in grid])
    table.add_column("hi", FLOAT64, [hi for _, hi in grid])
    for (run, metric), series in cells.items():
        for place, kind in enumerate(("x", "y")):
            table.add_column(f"{run} {metric} {kind}", FLOAT64, [one[place] for one in series])
            table.headings.append((run, metric, kind))
    return table
