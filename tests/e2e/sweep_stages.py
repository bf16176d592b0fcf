"""What the stages of a query do, once more, by lists and loops over what `sweep_logs` has read."""

import bisect
import collections
import math

from sweep_logs import Near, Point, Time, near


def steps(series, low=-math.inf, high=math.inf):
    return series.kept(lambda p: low <= p.key <= high)


def mean(values):
    return math.fsum(values) / len(values) if values else None


def variance(values):
    if not values:
        return None
    middle = mean(values)
    return math.fsum((v - middle) ** 2 for v in values) / len(values)


def deviation(values):
    return math.sqrt(variance(values)) if values else None


def percentile(values, percent):
    if not values:
        return None
    ranks = sorted(values)
    place = (len(ranks) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ranks) - 1)
    return ranks[below] + (ranks[above] - ranks[below]) * (place - below)


def smoothed(series, of_finite):
    """Each finite point becomes what `of_finite` makes of the finite points up to it, None leaves it out; the
    others pass."""
    points, before = [], []
    for p in series.points:
        if math.isfinite(p.value):
            before.append(p)
            value = of_finite(before)
            if value is not None:
                points.append(p._replace(value=Near(value)))
        else:
            points.append(p)
    return series.of(points)


def ema(series, weight):
    points, total, weights = [], 0.0, 0.0
    for p in series.points:
        if math.isfinite(p.value):
            total = weight * total + (1 - weight) * p.value
            weights = weight * weights + (1 - weight)
            p = p._replace(value=Near(total / weights))
        points.append(p)
    return series.of(points)


def zscore(series, count):
    def score(before):
        window = [p.value for p in before[-count - 1:-1]]
        if len(window) < count:
            return None
        away, spread = before[-1].value - mean(window), deviation(window)
        if spread == 0:
            return math.copysign(math.inf, away) if away else 0
        return away / spread
    return smoothed(series, score)


def moving(series, of_window, count):
    return smoothed(series, lambda before: of_window([p.value for p in before[-count:]]))


def difference(series, by=lambda a, b: 1):
    return smoothed(series, lambda before: None if len(before) < 2 else
                    (before[-1].value - before[-2].value) / by(before[-2], before[-1]))


def seconds_between(a, b):
    return (b.time - a.time) / 1e6


def calculated(function, *operands, metric):
    """Of the points at steps that all operands have."""
    others = [{p.key: p for p in series.points} for series in operands[1:]]
    points = []
    for p in operands[0].points:
        if all(p.key in other for other in others):
            met = [p] + [other[p.key] for other in others]
            points.append(Point(p.key, max(m.time for m in met), Near(function(*(m.value for m in met)))))
    return operands[0].of(points, metric=metric)


def held(series, key):
    """The last value at or before a key."""
    before = [p.value for p in series.points if p.key <= key]
    return before[-1] if before else None


STATISTICS = {
    "count": lambda points: len(finite(points)),
    "nan": lambda points: sum(math.isnan(p.value) for p in points),
    "pinf": lambda points: sum(p.value == math.inf for p in points),
    "ninf": lambda points: sum(p.value == -math.inf for p in points),
    "min": lambda points: min((p.value for p in finite(points)), default=None),
    "max": lambda points: max((p.value for p in finite(points)), default=None),
    "min_x": lambda points: min(finite(points), key=lambda p: p.value).key if finite(points) else None,
    "max_x": lambda points: max(finite(points), key=lambda p: p.value).key if finite(points) else None,
    "sum": lambda points: near(math.fsum(p.value for p in finite(points))) if finite(points) else None,
    "mean": lambda points: near(mean([p.value for p in finite(points)])),
    "variance": lambda points: near(variance([p.value for p in finite(points)])),
    "first": lambda points: points[0].value if points else None,
    "last": lambda points: points[-1].value if points else None,
    "first_x": lambda points: points[0].key if points else None,
    "last_x": lambda points: points[-1].key if points else None,
}
BUCKET_COLUMNS = ("count nan pinf ninf min min_x max max_x sum mean first first_x last last_x").split()


def finite(points):
    return [p for p in points if math.isfinite(p.value)]


def every(series, width, statistic="mean"):
    windows = {}
    for p in series.points:
        windows.setdefault(p.key // width * width, []).append(p)
    points = []
    for start, inside in windows.items():
        value = STATISTICS[statistic](inside)
        points.append(Point(start, inside[-1].time, math.nan if value is None else value))
    return series.of(points)


def along(series, x):
    """The points at another x, which is a function of the point; without one they are left out."""
    points = [(x(p), p) for p in series.points]
    return series.of(sorted((p._replace(key=key) for key, p in points
                             if key is not None and math.isfinite(key)), key=lambda p: p.key), axis="x")


Bucket = collections.namedtuple("Bucket", "low high points")


def in_buckets(many, count, low=None, high=None, logarithmic=False):
    """The buckets of each series, on the grid of all of them."""
    if logarithmic:
        many = [series.kept(lambda p: p.key > 0) for series in many]
    keys = [p.key for series in many for p in series.points]
    low, high = min(keys) if low is None else low, max(keys) if high is None else high
    if logarithmic:
        edges = [Near(low * (high / low) ** (i / count)) for i in range(count)] + [high]
        edges[0] = low
    else:
        edges = [low + (high - low) * (i / count) for i in range(count)] + [high]
    answer = []
    for series in many:
        filled = [[] for _ in range(count)]
        for p in series.points:
            filled[min(bisect.bisect_right(edges, p.key), count) - 1].append(p)
        if series.axis == "time":
            shown = [Time(math.ceil(edge)) for edge in edges]
        else:
            shown = edges
        answer.append([Bucket(*bucket) for bucket in zip(shown, shown[1:], filled)])
    return answer


def update_ratios(run):
    return [calculated(lambda a, b: a / b, update, weight, metric=f"ratio[{layer}]")
            for layer, (update, weight) in enumerate(zip(run.layers("update_norm"), run.layers("weight_norm")))]


def first_behind(run, metric, axis, reached):
    """The first point of a metric at or behind the place where another one reaches a value."""
    places = [p.key for p in run[axis].points if p.value >= reached]
    return next((p for p in run[metric].points if places and p.key >= places[0]), None)
