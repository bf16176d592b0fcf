"""What either of two sources lacks, series by series."""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional

from ._sources import Source


class Difference(NamedTuple):
    metric: str
    points: int            # of the left one
    other_points: int
    missing: int           # here, there only
    missing_there: int     # there, here only
    different: int         # at the same step
    first: Optional[str]   # in words


def _is_same(left: float, right: float) -> bool:
    if left == right:
        return left != 0 or math.copysign(1, left) == math.copysign(1, right)
    return left != left and right != right


def _step_text(step: float) -> str:
    return f"{step:.17g}"


def _compare(metric: str, left: Source, right: Source) -> Difference:
    here, there = left.points.get(metric, {}), right.points.get(metric, {})
    missing = sorted(there.keys() - here.keys())
    missing_there = sorted(here.keys() - there.keys())
    different = sorted(step for step in here.keys() & there.keys()
                       if not _is_same(here[step], there[step]))
    first = None
    if different:
        step = different[0]
        first = f"at step {_step_text(step)}: {here[step]!r} and {there[step]!r}"
    elif missing_there:
        first = f"only in {left.name}: step {_step_text(missing_there[0])}"
    elif missing:
        first = f"only in {right.name}: step {_step_text(missing[0])}"
    return Difference(metric, len(here), len(there), len(missing), len(missing_there),
                      len(different), first)


def diff_source(left: Source, right: Source) -> List[Difference]:
    """Of every series of either, in order of their names, whether or not it differs: those that do
    have a `first`. NaN is the same as NaN, and -0.0 another value than 0.0."""
    return [_compare(metric, left, right)
            for metric in sorted(left.points.keys() | right.points.keys())]
