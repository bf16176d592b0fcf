"""The sweep of examples/ as plain lists: how its logs become runs, attempts and a fork, told once more
without the importer or anything else of the program. And what is expected of a cell of an answer.
"""

import collections
import datetime
import json
import math
import os
import re
import subprocess

from support import ROOT, SECONDS_MAX

SWEEP = os.path.join(ROOT, "examples", "logs", "sweep")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
RELATIVE_ERROR_MAX = 1e-9


# What is expected of a cell. Texts, numbers and None (empty) stand for themselves.

class Near(float):
    """A calculated number."""


class Time(int):
    """Microseconds since 1970."""


def near(value):
    return None if value is None else Near(value)


def moment(text):
    return Time((datetime.datetime.fromisoformat(text) - EPOCH) // datetime.timedelta(microseconds=1))


def agrees(expected, text):
    if expected is None or isinstance(expected, str):
        return text == (expected or "")
    if text == "":
        return False
    if isinstance(expected, Time):
        return moment(text) == expected
    found = float(text)
    if math.isnan(expected) or math.isinf(expected) or not isinstance(expected, Near):
        return found == expected or (math.isnan(found) and math.isnan(expected))
    return abs(found - expected) <= RELATIVE_ERROR_MAX * abs(expected)


# The logs, as they were written.

Point = collections.namedtuple("Point", "key time value")  # the key is a step, a time or what `x` made


class Series:
    def __init__(self, run, metric, axis, points=None):
        self.run, self.metric, self.axis = run, metric, axis  # "step", "time" or "x"
        self.points = [] if points is None else points

    def of(self, points, axis=None, metric=None):
        """The same series with other points."""
        return Series(self.run, metric or self.metric, axis or self.axis, list(points))

    def kept(self, holds):
        return self.of(p for p in self.points if holds(p))

    def shown(self, key):
        return Time(key) if self.axis == "time" else key

    def values(self):
        return [p.value for p in self.points if math.isfinite(p.value)]

    def at_key(self):
        return {p.key: p.value for p in self.points}

    def lowest(self):
        return min((p for p in self.points if math.isfinite(p.value)), key=lambda p: p.value, default=None)

    def highest(self):
        return max((p for p in self.points if math.isfinite(p.value)), key=lambda p: p.value, default=None)


class Run:
    def __init__(self, name, attributes, tags, state, attempts):
        self.name, self.attributes, self.tags, self.state = name, attributes, tags, state
        self.attempts = attempts
        self.series = {}
        self.parent = None

    def add(self, rows):
        for row in rows:
            time = Time(round(row["timestamp"] * 1e6))
            axis = "step" if "step" in row else "time"
            for metric, value in row.items():
                if metric not in ("step", "timestamp"):
                    series = self.series.setdefault(metric, Series(self, metric, axis))
                    series.points.append(Point(row.get("step", time), time, float(value)))

    def __getitem__(self, metric):
        return self.series[metric]

    def layers(self, measure):
        return [self.series[f"layers/{layer}/{measure}"] for layer in range(6)]


def read_log(path):
    """The description of the run, its last state, and its rows, anew from each start of the job."""
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, timeout=SECONDS_MAX).stdout
    told, state, starts = None, None, []
    for row in map(json.loads, text.decode().splitlines()):
        if "run" not in row:
            starts[-1].append(row)
        elif "state" in row["run"]:
            state = row["run"]["state"]
        else:
            told = row["run"]
            starts.append([])
    return told, state, starts


def read_before(rows, step):
    """What an attempt or a fork reads of the rows before it: those up to a step."""
    return [row for row in rows if "step" in row and row["step"] <= step]


class Sweep:
    """The runs by name, in natural order; `lr3e-3-s2#0` is what its first attempt reads."""

    def __init__(self):
        logs = {}
        for file in os.listdir(SWEEP):
            logs[file.removesuffix(".jsonl.zst")] = read_log(os.path.join(SWEEP, file))
        self.every = {}
        for name in sorted(logs, key=natural):
            told, state, starts = logs[name]
            rows, telemetry = [], []
            tags, attributes = set(told["tags"]), {f"config/{k}": v for k, v in told["config"].items()}
            if fork := told.get("fork"):
                parent_told, _, parent_starts = logs[fork["of"]]
                assert len(parent_starts) == 1
                rows = read_before(parent_starts[0], fork["at"])
                tags |= set(parent_told["tags"])  # a fork begins with those of its parent
            for number, start in enumerate(starts):
                if number > 0:
                    resumed = min(row["step"] for row in start if "step" in row) - 1
                    self.add(f"{name}#{number - 1}", attributes, tags, state, len(starts), rows + telemetry)
                    rows = read_before(rows, resumed)
                rows = rows + [row for row in start if "step" in row]
                telemetry = telemetry + [row for row in start if "step" not in row]
            self.add(name, attributes, tags, state, len(starts), rows + telemetry)
        self.fork_step = logs["rescue"][0]["fork"]["at"]
        self["rescue"].parent = self[logs["rescue"][0]["fork"]["of"]]

    def add(self, name, attributes, tags, state, attempts, rows):
        self.every[name] = Run("sweep/" + name, attributes, tags, state, attempts)
        self.every[name].add(rows)

    def __getitem__(self, name):
        return self.every[name]

    def runs(self, pattern="", holds=lambda run: True):
        """The newest attempts of the runs whose names have the regex at their start."""
        return [run for name, run in self.every.items()
                if "#" not in name and re.match(pattern, name) and holds(run)]

    def finished(self, pattern=""):
        return self.runs(pattern, lambda run: run.state == "finished")


def natural(text):
    return [(1, int(part), "") if part.isdigit() else (0, 0, part)
            for part in re.split(r"(\d+)", text) if part]
