"""Small charts of answers in buckets, as SVG, for notebooks.

A band from the least to the greatest value of each bucket, a line through the means, and marks at
the edge where something is not finite: so neither a spike nor a divergence is missed.
"""

from __future__ import annotations

import datetime
import html
import itertools
import math
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ._answer import TEXT, TIME, Answer

# Distinct for those too who do not tell red from green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000")
SERIES_MAX = 24
_ROWS_MAX = 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 30
_LEGEND = 18  # a line of it
_STATISTICS = ("mean", "min", "max")


class _Bucket(NamedTuple):
    lo: float
    hi: float
    least: Optional[float]
    greatest: Optional[float]
    mean: Optional[float]
    marks: Dict[str, int]  # what is not finite -> how often

    @property
    def middle(self) -> float:
        return (self.lo + self.hi) / 2


def is_bucketed(answer: Answer) -> bool:
    names = answer.names
    return "lo" in names and "hi" in names and any(name in names for name in _STATISTICS)


def _finite(cell: Any) -> Optional[float]:
    return cell if cell is not None and math.isfinite(cell) else None


def _series_of(answer: Answer) -> Dict[str, List[_Bucket]]:
    names = answer.names
    keys = [column.name for column in answer.columns[:names.index("lo")] if column.kind == TEXT]
    # What is the same in all of them names none of them.
    telling = [key for key in keys if len(set(answer.column(key).values)) > 1] or keys[-1:]
    found: Dict[str, List[_Bucket]] = {}
    for row in answer.to_dicts():
        mean = row.get("mean")
        marks = {kind: row[kind] for kind in ("nan", "pinf", "ninf") if row.get(kind)}
        found.setdefault(" ".join(str(row[key]) for key in telling), []).append(_Bucket(
            row["lo"], row["hi"], _finite(row.get("min", mean)), _finite(row.get("max", mean)),
            _finite(mean), marks))
    return found


def _ticks(lo: float, hi: float, about: int) -> List[float]:
    """Round numbers within."""
    if not hi > lo:
        return [lo]
    rough = hi / about - lo / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough * 0.999)
    first = math.ceil(lo / step - 1e-9)
    return [step * place for place in range(first, math.floor(hi / step + 1e-9) + 1)]


def _number(value: float) -> str:
    for limit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if limit <= abs(value) < 1e15:
            scale = {"T": 1e12, "B": 1e9, "M": 1e6, "k": 1e3}[suffix]
            return f"{value / scale:.6g}{suffix}"
    return f"{value:.6g}"


def _moment(value: float, span: float) -> str:
    moment = datetime.datetime.fromtimestamp(value / 1e6, datetime.timezone.utc)
    return moment.strftime("%H:%M:%S" if span < 86_400e6 else "%m-%d %H:%M")


class _Chart:
    def __init__(self, answer: Answer, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.series = _series_of(answer)
        self.left_out = max(0, len(self.series) - SERIES_MAX)
        self.series = dict(list(self.series.items())[:SERIES_MAX])
        self.is_time = answer.column("lo").kind == TIME
        buckets = [bucket for series in self.series.values() for bucket in series]
        values = [value for bucket in buckets for value in (bucket.least, bucket.greatest)
                  if value is not None]
        self.x = (min((b.lo for b in buckets), default=0.0),
                  max((b.hi for b in buckets), default=1.0))
        lo, hi = min(values, default=0.0), max(values, default=1.0)
        margin = hi / 20 - lo / 20 or abs(hi) / 20 or 1.0  # `hi - lo` may be too much for a float
        self.y = (max(lo - margin, -sys.float_info.max), min(hi + margin, sys.float_info.max))

    def at_x(self, x: float) -> float:
        lo, hi = self.x
        share = (x - lo) / (hi - lo) if hi > lo else 0.5
        return round(_LEFT + share * (self.width - _LEFT - _RIGHT), 1)

    def at_y(self, y: float) -> float:
        lo, hi = self.y
        # Halves, for the difference of what is near the largest number is infinite.
        share = (y / 2 - lo / 2) / (hi / 2 - lo / 2)
        return round(self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM), 1)

    def axes(self) -> Iterator[str]:
        right, bottom = self.width - _RIGHT, self.height - _BOTTOM
        for tick in _ticks(*self.y, about=5):
            y = self.at_y(tick)
            yield f'<path d="M{_LEFT} {y}H{right}" stroke="currentColor" stroke-opacity=".15"/>'
            yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_number(tick)}</text>'
        for tick in _ticks(*self.x, about=7):
            label = _moment(tick, self.x[1] - self.x[0]) if self.is_time else _number(tick)
            yield (f'<text x="{self.at_x(tick)}" y="{bottom + 16}" text-anchor="middle">'
                   f'{label}</text>')
        yield f'<path d="M{_LEFT} {bottom}H{right}" stroke="currentColor" stroke-opacity=".5"/>'

    def runs_of(self, series: List[_Bucket]) -> Iterator[List[_Bucket]]:
        """Stretches without a hole: an empty bucket is none if few points are far apart, as in a
        series that is logged every hundredth step."""
        there = [bucket for bucket in series if bucket.least is not None]
        stretch: List[_Bucket] = []
        for bucket in series:
            if bucket.least is not None:
                stretch.append(bucket)
            elif stretch and (bucket.marks or len(there) * 2 > len(series)):
                yield stretch
                stretch = []
        if stretch:
            yield stretch

    def band(self, stretch: List[_Bucket], colour: str) -> str:
        upper = [f"{self.at_x(b.middle)},{self.at_y(b.greatest or 0.0)}" for b in stretch]
        lower = [f"{self.at_x(b.middle)},{self.at_y(b.least or 0.0)}" for b in reversed(stretch)]
        # A stroke too, for a spike of one bucket is next to no area.
        return (f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" fill-opacity=".2" '
                f'stroke="{colour}" stroke-opacity=".35" stroke-width="1"/>')

    def line(self, stretch: List[_Bucket], colour: str) -> Iterator[str]:
        points = [(self.at_x(b.middle), self.at_y(b.mean)) for b in stretch if b.mean is not None]
        if len(points) == 1:
            yield f'<circle cx="{points[0][0]}" cy="{points[0][1]}" r="2" fill="{colour}"/>'
        elif points:
            path = " ".join(f"{x},{y}" for x, y in points)
            yield (f'<polyline points="{path}" fill="none" stroke="{colour}" '
                   f'stroke-width="1.4" stroke-linejoin="round"/>')

    def marks(self, name: str, series: List[_Bucket], colour: str) -> Iterator[str]:
        """Above the chart: a cross for NaN, triangles for the infinities."""
        shapes = {"nan": "M-3 -3L3 3M-3 3L3 -3", "pinf": "M-4 3H4L0 -4Z", "ninf": "M-4 -4H4L0 3Z"}
        for bucket in series:
            for kind, count in bucket.marks.items():
                y = self.height - _BOTTOM - 5 if kind == "ninf" else _TOP - 6
                title = html.escape(f"{name}: {count} x {kind}, {_number(bucket.lo)} to "
                                    f"{_number(bucket.hi)}")
                yield (f'<path transform="translate({self.at_x(bucket.middle)} {y})" '
                       f'd="{shapes[kind]}" fill="{"none" if kind == "nan" else colour}" '
                       f'stroke="{colour}" stroke-width="1.4"><title>{title}</title></path>')

    def legend(self) -> Tuple[List[str], int]:
        """And its height."""
        parts: List[str] = []
        x, y = _LEFT, self.height + 4
        names = [(name, COLOURS[place % len(COLOURS)]) for place, name in enumerate(self.series)]
        if self.left_out:
            names.append((f"and {self.left_out} more, which are not drawn", "none"))
        for name, colour in names:
            if x > _LEFT and x + 22 + 6.5 * len(name) > self.width:
                x, y = _LEFT, y + _LEGEND
            parts.append(f'<rect x="{x}" y="{y - 4}" width="12" height="4" fill="{colour}"/>'
                         f'<text x="{x + 16}" y="{y + 2}">{html.escape(name)}</text>')
            x += int(34 + 6.5 * len(name))
        return parts, y + _LEGEND - self.height

    def draw(self) -> str:
        parts = list(self.axes())
        for place, (name, series) in enumerate(self.series.items()):
            colour = COLOURS[place % len(COLOURS)]
            for stretch in self.runs_of(series):
                parts.append(self.band(stretch, colour))
                parts += self.line(stretch, colour)
            parts += self.marks(name, series, colour)
        legend, below = self.legend()
        whole = self.height + below
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {whole}" '
                f'width="{self.width}" height="{whole}" font-family="sans-serif" font-size="11" '
                f'fill="currentColor">{"".join(parts + legend)}</svg>')


def draw(answer: Answer, width: int = 720, height: int = 280) -> str:
    if not is_bucketed(answer):
        raise ValueError(f"a chart is of an answer in buckets, with lo, hi and one of "
                         f"{', '.join(_STATISTICS)}; this one has {', '.join(answer.names)}: ask "
                         f"for `| buckets 500`")
    return _Chart(answer, width, height).draw()


def as_html(answer: Answer) -> str:
    if is_bucketed(answer):
        return draw(answer)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in answer.names)
    body = []
    for row in itertools.islice(answer, _ROWS_MAX):
        cells = ("" if cell is None else html.escape(str(cell)) for cell in row)
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    more = f"<p>{len(answer):,} rows in all</p>" if len(answer) > _ROWS_MAX else ""
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in answer.notes)
    rows = "".join(body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}{notes}"
