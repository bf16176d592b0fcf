"""Questions on the sweep: which run is best, what diverged, what a restart and a fork changed."""

import math

from sweep_answers import combined, grouped, of_buckets, of_points, ordered, question
from sweep_logs import Run, natural, near
from sweep_stages import (
    STATISTICS, along, calculated, difference, ema, finite, first_behind, seconds_between, steps, zscore)


# Which run is best?

@question("Which run has the best validation loss, at which step, and when was that?",
          "runs sweep/* | show min(val/loss) as best, min(val/loss).step as step, min(val/loss).time as moment"
          " | sort best | limit 1")
def _(sweep):
    run, point = min(((run, run["val/loss"].lowest()) for run in sweep.runs()), key=lambda pair: pair[1].value)
    return ["run", "best", "step", "moment"], [[run.name, point.value, point.key, point.time]]


@question("The leaderboard of learning rates: the best validation loss, over the seeds",
          "val/loss @ sweep/lr* | buckets 1 min | group by config/lr mean, std, min, max | sort mean")
def _(sweep):
    losses = [run["val/loss"] for run in sweep.runs("lr")]
    keys = [p.key for series in losses for p in series.points]
    rows = []
    for key, many in grouped(losses, lambda series: series.run.attributes["config/lr"]):
        rows.append([key, min(keys), max(keys),
                     *combined([s.lowest().value for s in many], ["mean", "std", "min", "max"])])
    return (["config/lr", "lo", "hi", "count", "mean", "std", "min", "max"], ordered(rows, lambda row: row[4]))


@question("The two best runs, and where each ended",
          "val/loss @ sweep/* | bottom 2 by min | last 1")
def _(sweep):
    best = sorted((run["val/loss"] for run in sweep.runs()), key=lambda series: series.lowest().value)[:2]
    return of_points([series.of(series.points[-1:]) for series in best])


@question("How soon does each run get below a validation loss of 2?",
          "runs sweep/lr* | show first(val/loss when value < 2).step as step,"
          " first(val/loss when value < 2).time - first(train/loss).time as seconds | sort seconds")
def _(sweep):
    rows = []
    for run in sweep.runs("lr"):
        point = next((p for p in run["val/loss"].points if p.value < 2), None)
        rows.append([run.name, point and point.key,
                     near(point and seconds_between(run["train/loss"].points[0], point))])
    return ["run", "step", "seconds"], ordered(rows, lambda row: row[2])


@question("The training loss at half a million tokens, and at which step that is",
          "runs sweep/* | show at(train/loss, tokens = 500k) as v, at(train/loss, tokens = 500k).step as step,"
          " at(train/loss, step = 1000) as later | sort v desc")
def _(sweep):
    rows = []
    for run in sweep.runs():
        point = first_behind(run, "train/loss", "tokens", 5e5)
        later = next((p for p in run["train/loss"].points if p.key >= 1000), None)
        rows.append([run.name, point and point.value, point and point.key, later and later.value])
    return ["run", "v", "step", "later"], ordered(rows, lambda row: row[1], descending=True)


@question("Does it overfit? Validation loss less the smoothed training loss, at the end",
          "val/loss - (train/loss @ sweep/lr1e-2-s3 | ema 0.95) as gap @ sweep/lr1e-2-s3 | last 5")
def _(sweep):
    run = sweep["lr1e-2-s3"]
    series = calculated(lambda a, b: a - b, run["val/loss"], ema(run["train/loss"], 0.95), metric="gap")
    return of_points([series.of(series.points[-5:])])


# What diverged?

@question("Which runs had a loss far above the one they began with, where first, and what became of them?",
          "runs sweep/* where max(train/loss) > 2 * first(train/loss)"
          " | show state, first(train/loss when value > 10).step as step")
def _(sweep):
    rows = []
    for run in sweep.runs():
        losses = run["train/loss"]
        if losses.highest().value > 2 * losses.points[0].value:
            rows.append([run.name, run.state, next(p.key for p in losses.points if p.value > 10)])
    return ["run", "state", "step"], rows


@question("Spikes of the whole gradient",
          "grad_norm @ sweep/lr3e-2-s1 | zscore 50 | when value > 8 | first 3")
def _(sweep):
    scores = zscore(sweep["lr3e-2-s1"]["grad_norm"], 50).kept(lambda p: p.value > 8)
    return of_points([scores.of(scores.points[:3])])


@question("Up to where was the loss finite?",
          "runs sweep/lr3e-2-s1 | show last(train/loss when value is finite).step as step,"
          " last(train/loss when value is finite) as value, max(train/loss).step as highest")
def _(sweep):
    losses = sweep["lr3e-2-s1"]["train/loss"]
    last = finite(losses.points)[-1]
    return ["run", "step", "value", "highest"], [["sweep/lr3e-2-s1", last.key, last.value, losses.highest().key]]


@question("What was infinite first?",
          "** @ sweep/lr3e-2-s1 | when value is pinf | first 1 | sort step, metric | limit 4")
def _(sweep):
    many = sorted(sweep["lr3e-2-s1"].series.values(), key=lambda series: natural(series.metric))
    # Telemetry is never infinite, but selecting it makes a column `time`.
    rows = [[s.run.name, s.metric, p.key, None, p.value]
            for s in many for p in s.kept(lambda p: p.value == math.inf).points[:1]]
    return ["run", "metric", "step", "time", "value"], ordered(rows, lambda row: row[2], limit=4)


@question("How many values of each layer were lost, and what was the largest?",
          "layers/{l}/grad_norm @ sweep/lr3e-2-s1 | summary count, nan, pinf, max, max_step, mean, variance"
          " | sort max desc")
def _(sweep):
    columns = ["count", "nan", "pinf", "max", "max_x", "mean", "variance"]
    rows = [[s.run.name, s.metric, *(STATISTICS[column](s.points) for column in columns)]
            for s in sweep["lr3e-2-s1"].layers("grad_norm")]
    return (["run", "metric", "count", "nan", "pinf", "max", "max_step", "mean", "variance"],
            ordered(rows, lambda row: row[5], descending=True))


@question("At which learning rate does the loss go up?",
          "train/loss @ sweep/lr3e-2-s1 | x lr | buckets 12 count, nan, min, mean, first_x")
def _(sweep):
    run = sweep["lr3e-2-s1"]
    rates = run["lr"].at_key()
    return of_buckets([along(run["train/loss"], lambda p: rates.get(p.key))], 12,
                      ["count", "nan", "min", "mean", "first_x"])


@question("Which series of any run have a NaN, and where does it begin?",
          "metrics ** @ sweep/* where nan > 0 | show count, nan, last, max.step | sort nan desc | limit 20")
def _(sweep):
    rows = []
    for run in sweep.runs():
        for series in sorted(run.series.values(), key=lambda s: natural(s.metric)):
            if nans := STATISTICS["nan"](series.points):
                rows.append([run.name, series.metric, len(series.points), nans, series.points[-1].value,
                             series.highest().key])
    return (["run", "metric", "count", "nan", "last", "max.step"],
            ordered(rows, lambda row: row[3], descending=True, limit=20))


# Restarts and the fork.

@question("What did the restart change? The points that were logged twice, run against run#0",
          "(train/loss @ sweep/lr3e-3-s2) - (train/loss @ sweep/lr3e-3-s2#0) as change | when value != 0"
          " | summary count, min, max, mean, first_step, last_step")
def _(sweep):
    change = calculated(lambda a, b: a - b, sweep["lr3e-3-s2"]["train/loss"], sweep["lr3e-3-s2#0"]["train/loss"],
                        metric="change").kept(lambda p: p.value != 0)
    cells = [STATISTICS[column](change.points) for column in ("count", "min", "max", "mean", "first_x", "last_x")]
    return (["run", "metric", "count", "min", "max", "mean", "first_step", "last_step"],
            [["sweep/lr3e-3-s2 - sweep/lr3e-3-s2#0", "change", *cells]])


@question("What was lost with the first attempt, from when to when?",
          "train/loss @ sweep/lr3e-3-s2#0 | steps 1251.. | summary count, first_time, last_time, last_step")
def _(sweep):
    lost = steps(sweep["lr3e-3-s2#0"]["train/loss"], 1251).points
    return (["run", "metric", "count", "first_time", "last_time", "last_step"],
            [["sweep/lr3e-3-s2#0", "train/loss", len(lost), lost[0].time, lost[-1].time, lost[-1].key]])


@question("Where did a job stand still? The longest gaps between two steps",
          "tokens @ sweep/lr3e-3-s2 | rate | sort value | limit 3")
def _(sweep):
    columns, rows = of_points([difference(sweep["lr3e-3-s2"]["tokens"], seconds_between)])
    return columns, ordered(rows, lambda row: row[3], limit=3)


@question("The fork against its parent, at equal steps behind the fork",
          "(train/loss @ sweep/rescue) - (train/loss @ parent(sweep/rescue)) as gain | steps 245..330"
          " | buckets 5 count, mean, min")
def _(sweep):
    gain = calculated(lambda a, b: a - b, sweep["rescue"]["train/loss"], sweep["lr3e-2-s1"]["train/loss"],
                      metric="gain")
    gain.run = Run("sweep/rescue - sweep/lr3e-2-s1", {}, set(), "", 0)
    return of_buckets([steps(gain, 245, 330)], 5, ["count", "mean", "min"], low=245, high=330)


@question("What did the fork log itself?",
          "train/loss @ own(sweep/rescue) | summary count, first_step, first, last, min, min_step")
def _(sweep):
    own = steps(sweep["rescue"]["train/loss"], sweep.fork_step + 1).points
    columns = ["count", "first_x", "first", "last", "min", "min_x"]
    return (["run", "metric", "count", "first_step", "first", "last", "min", "min_step"],
            [["own(sweep/rescue)", "train/loss", *(STATISTICS[column](own) for column in columns)]])


@question("Which runs are forks, of what, and from which step?",
          "runs sweep/* where sys/parent exists | show sys/parent, sys/fork_step, tags, count(train/loss)")
def _(sweep):
    return (["run", "sys/parent", "sys/fork_step", "tags", "count(train/loss)"],
            [[run.name, run.parent.name + "#0", sweep.fork_step, ", ".join(sorted(run.tags)),
              len(run["train/loss"].points)] for run in sweep.runs(holds=lambda run: run.parent)])


@question("Which runs were restarted?",
          "runs sweep/* where attempts > 1 | show attempts, sys/attempts, config/seed")
def _(sweep):
    return (["run", "attempts", "sys/attempts", "config/seed"],
            [[run.name, run.attempts, ", ".join(map(str, range(run.attempts))), run.attributes["config/seed"]]
             for run in sweep.runs(holds=lambda run: run.attempts > 1)])
