"""Answers as the names of their columns and their rows, made of series of `sweep_stages`; and the list of
questions that they answer.
"""

import collections
import math

from sweep_logs import near
from sweep_stages import BUCKET_COLUMNS, STATISTICS, deviation, in_buckets, mean, percentile, variance


def key_name(many):
    return many[0].axis


def of_points(many):
    """The answer that has the points of these series."""
    rows = [[s.run.name, s.metric, s.shown(p.key), p.value] for s in many for p in s.points]
    return ["run", "metric", key_name(many), "value"], rows


def of_buckets(many, count, columns=None, **grid):
    columns = columns or BUCKET_COLUMNS
    rows = []
    for series, buckets in zip(many, in_buckets(many, count, **grid)):
        for low, high, points in buckets:
            cells = [STATISTICS[column](points) for column in columns]
            rows.append([series.run.name, series.metric, low, high] +
                        [series.shown(cell) if column.endswith("_x") and cell is not None else cell
                         for column, cell in zip(columns, cells)])
    return ["run", "metric", "lo", "hi", *columns], rows


COMBINED = {"mean": mean, "std": deviation, "var": variance, "sum": lambda v: math.fsum(v) if v else None,
            "median": lambda v: percentile(v, 50)}


def combined(values, told):
    """Count first, unless it is named."""
    values = [v for v in values if v is not None and math.isfinite(v)]
    cells = []
    for what in told if "count" in told else ["count", *told]:
        if what == "count":
            cells.append(len(values))
        elif what in ("min", "max"):
            cells.append((min if what == "min" else max)(values, default=None))
        elif what in COMBINED:
            cells.append(near(COMBINED[what](values)))
        else:
            cells.append(near(percentile(values, float(what[1:]))))
    return cells


def across_buckets(many, count, told, statistic="mean", **grid):
    rows = []
    for place in zip(*in_buckets(many, count, **grid)):
        values = [STATISTICS[statistic](bucket.points) for bucket in place]
        rows.append([place[0].low, place[0].high, *combined(values, told)])
    return rows


def across_keys(many, told):
    keys = sorted({p.key for series in many for p in series.points})
    by_key = [series.at_key() for series in many]
    return [[key, *combined([values.get(key) for values in by_key], told)] for key in keys]


def grouped(many, key):
    groups = {}
    for series in many:
        groups.setdefault(key(series), []).append(series)
    return sorted(groups.items())


def pivoted(many, names):
    by_key = [series.at_key() for series in many]
    keys = sorted(set().union(*by_key))
    return [key_name(many), *names], [[key, *(values.get(key) for values in by_key)] for key in keys]


def ordered(rows, by, descending=False, limit=None):
    """Missing comes last; equals stay in their order."""
    there = [row for row in rows if by(row) is not None]
    there.sort(key=by, reverse=descending)
    return (there + [row for row in rows if by(row) is None])[:limit]


# The questions.

Question = collections.namedtuple("Question", "asked query answer parameters rows_of")
QUESTIONS = []


def question(asked, query, parameters=(), rows_of=None):
    """`rows_of`: of the answer, compare only the rows that begin with one of these."""
    def add(answer):
        QUESTIONS.append(Question(asked, query, answer, parameters, rows_of))
        return answer
    return add
