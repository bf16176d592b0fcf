"""Questions on the sweep, in less usual words."""

from sweep_answers import across_keys, combined, grouped, of_buckets, of_points, ordered, question
from sweep_logs import Near, Point, moment, natural, near
from sweep_stages import (
    STATISTICS, along, calculated, deviation, difference, every, held, in_buckets, mean,
    seconds_between, steps, zscore)


@question("Which runs still fall: is the last training loss below every validation loss?",
          "runs sweep/* where last(train/loss) < min(val/loss)"
          " | show last(train/loss) - min(val/loss) as margin, std(train/loss when step > 1500) as noise"
          " | sort margin")
def _(sweep):
    rows = []
    for run in sweep.runs():
        margin = run["train/loss"].points[-1].value - run["val/loss"].lowest().value
        if margin < 0:
            rows.append([run.name, near(margin), near(deviation(steps(run["train/loss"], 1501).values()))])
    return ["run", "margin", "noise"], ordered(rows, lambda row: row[1])


@question("How much better than the smallest learning rate is each run of the seed?",
          'train/loss - (train/loss @ sweep/lr1e-3-s1) as "better by" @ sweep/lr*-s1 | every 250 mean')
def _(sweep):
    reference = sweep["lr1e-3-s1"]["train/loss"]
    return of_points([every(calculated(lambda a, b: a - b, run["train/loss"], reference, metric="better by"), 250)
                      for run in sweep.runs("lr.*-s1$")])


@question("Validation losses of each learning rate: the middle of the seeds",
          "val/loss @ sweep/lr* | group by config/lr median, p10, p90, var | sort median | limit 10")
def _(sweep):
    rows = []
    for key, many in grouped([run["val/loss"] for run in sweep.runs("lr")],
                             lambda series: series.run.attributes["config/lr"]):
        rows += [[key, *row] for row in across_keys(many, ["median", "p10", "p90", "var"])]
    return (["config/lr", "step", "count", "median", "p10", "p90", "var"],
            ordered(rows, lambda row: row[3], limit=10))


@question("The same as a table, a column for each learning rate",
          "val/loss @ sweep/lr* where state = finished | every 500 last | group by config/lr mean | pivot")
def _(sweep):
    groups = grouped([every(run["val/loss"], 500, "last") for run in sweep.finished("lr")],
                     lambda series: series.run.attributes["config/lr"])
    tables = [{row[0]: row[1:] for row in across_keys(many, ["mean"])} for _, many in groups]
    steps_of_all = sorted(set().union(*tables))
    columns = [f"config/lr={key} {what}" for key, _ in groups for what in ("count", "mean")]
    return (["step", *columns],
            [[step, *(cell for table in tables for cell in table.get(step, [None, None]))]
             for step in steps_of_all])


@question("Charts by outcome and learning rate",
          "train/loss @ sweep/* | buckets 4 mean | group by state, config/lr mean, count, max")
def _(sweep):
    losses = [run["train/loss"] for run in sweep.runs()]
    places = {id(series): buckets for series, buckets in zip(losses, in_buckets(losses, 4))}
    rows = []
    for key, many in grouped(losses, lambda series: (series.run.state, series.run.attributes["config/lr"])):
        for place in zip(*(places[id(series)] for series in many)):
            values = [STATISTICS["mean"](bucket.points) for bucket in place]
            rows.append([*key, place[0].low, place[0].high, *combined(values, ["mean", "count", "max"])])
    return ["state", "config/lr", "lo", "hi", "mean", "count", "max"], rows


@question("How large do the weights of each layer become, by the rate in the run's name?",
          "layers/{l}/weight_norm @ sweep/lr{rate}-s{seed} | last 1 | group by rate, l mean, std")
def _(sweep):
    ends = [series.of(series.points[-1:]) for run in sweep.runs("lr") for series in run.layers("weight_norm")]
    rows = []
    for (rate, layer), many in grouped(ends, lambda s: (s.run.name[len("sweep/lr"):-len("-s1")],
                                                        s.metric.split("/")[1])):
        rows += [[rate, layer, *row] for row in across_keys(many, ["mean", "std"])]
    return ["rate", "l", "step", "count", "mean", "std"], rows


@question("The start of the fork on a logarithmic axis, with what it has of its parent",
          "train/loss @ sweep/rescue | log-x | buckets 20 count, min, max, last_x")
def _(sweep):
    return of_buckets([sweep["rescue"]["train/loss"]], 20, ["count", "min", "max", "last_x"], logarithmic=True)


@question("The loss ten seconds after the restart, by the clock of the run",
          "train/loss @ sweep/lr3e-3-s2 | when elapsed >= 365 and elapsed < 375")
def _(sweep):
    losses = sweep["lr3e-3-s2"]["train/loss"]
    return of_points([losses.kept(lambda p: 365 <= seconds_between(losses.points[0], p) < 375)])


@question("When did memory grow fastest, in MB a second?",
          "host/rss_mb @ sweep/lr1e-2-s1 | rate | sort value desc | limit 3")
def _(sweep):
    columns, rows = of_points([difference(sweep["lr1e-2-s1"]["host/rss_mb"], seconds_between)])
    return columns, ordered(rows, lambda row: row[3], descending=True, limit=3)


@question("How often was a step far slower than usual?",
          "host/step_ms @ sweep/lr* | zscore 30 | when value > 5 | summary count, max, first_time")
def _(sweep):
    rows = []
    for run in sweep.runs("lr"):
        slow = zscore(run["host/step_ms"], 30).kept(lambda p: p.value > 5).points
        rows.append([run.name, "host/step_ms", len(slow), STATISTICS["max"](slow), slow[0].time if slow else None])
    return ["run", "metric", "count", "max", "first_time"], rows


@question("How far was each run at a quarter past three?",
          "runs sweep/* | show at(train/loss, time = 2026-11-28T15:15).step as step,"
          " at(val/loss, time = 2026-11-28T15:15) as v | sort step desc")
def _(sweep):
    rows = []
    for run in sweep.runs():
        there = [next((p for p in run[metric].points if p.time >= moment("2026-11-28T15:15:00Z")), None)
                 for metric in ("train/loss", "val/loss")]
        rows.append([run.name, there[0] and there[0].key, there[1] and there[1].value])
    return ["run", "step", "v"], ordered(rows, lambda row: row[1], descending=True)


@question("Which measures of the last layer grew in the first attempt?",
          "metrics layers/5/* @ sweep/lr3e-3-s2#0 where last > first"
          " | show first, last, last.time, last / first as by")
def _(sweep):
    rows = []
    for metric, series in sorted(sweep["lr3e-3-s2#0"].series.items()):
        first, last = series.points[0], series.points[-1]
        if metric.startswith("layers/5/") and last.value > first.value:
            rows.append([series.run.name, metric, first.value, last.value, last.time,
                         near(last.value / first.value)])
    return ["run", "metric", "first", "last", "last.time", "by"], rows


@question("What has the fork logged seldom, leaving out what it inherits?",
          "metrics ** @ own(sweep/rescue) where count < 400 | show count, first.time, min, mean")
def _(sweep):
    rows = []
    for metric, series in sorted(sweep["rescue"].series.items(), key=lambda pair: natural(pair[0])):
        own = series if series.axis == "time" else steps(series, sweep.fork_step + 1)
        if len(own.points) < 400:
            rows.append(["own(sweep/rescue)", metric, len(own.points), own.points[0].time, own.lowest().value,
                         near(mean(own.values()))])
    return ["run", "metric", "count", "first.time", "min", "mean"], rows


@question("The last hundred steps of those that got there",
          "train/loss @ sweep/* | steps end-100.. | summary count, mean, min_step")
def _(sweep):
    end = max(run["train/loss"].points[-1].key for run in sweep.runs())
    rows = []
    for run in sweep.runs():
        late = steps(run["train/loss"], end - 100).points
        rows.append([run.name, "train/loss", *(STATISTICS[column](late) for column in ("count", "mean", "min_x"))])
    return ["run", "metric", "count", "mean", "min_step"], rows


@question("The gradient against the validation loss last seen",
          "grad_norm @ sweep/lr1e-2-s1 | x hold(val/loss) | buckets 10 count, mean, min_x, last")
def _(sweep):
    run = sweep["lr1e-2-s1"]
    return of_buckets([along(run["grad_norm"], lambda p: held(run["val/loss"], p.key))], 10,
                      ["count", "mean", "min_x", "last"])


@question("The training loss minute by minute",
          "train/loss @ sweep/lr1e-3-s1 | x time | every 1m")
def _(sweep):
    losses = sweep["lr1e-3-s1"]["train/loss"]
    return of_points([every(along(losses, lambda p: p.time).of(
        [p._replace(key=p.time) for p in losses.points], axis="time"), 60 * 10**6)])


@question("Where does the learning rate begin to fall, in each run?",
          "lr @ sweep/* | diff | when value < 0 | first 1")
def _(sweep):
    falls = [difference(run["lr"]).kept(lambda p: p.value < 0) for run in sweep.runs()]
    return of_points([series.of(series.points[:1]) for series in falls])


@question("Whose validation loss moved most?",
          "val/loss @ sweep/* | top 3 by max - min | last 1 | stamped")
def _(sweep):
    losses = sorted((run["val/loss"] for run in sweep.runs()),
                    key=lambda series: series.lowest().value - series.highest().value)
    return (["run", "metric", "step", "time", "value"],
            [[s.run.name, s.metric, p.key, p.time, p.value] for s in losses[:3] for p in s.points[-1:]])


@question("Two measures that are logged at different steps, one less the other, while both are known",
          "hold(val/loss) - hold(grad_norm) as d @ sweep/lr3e-2-s1 | steps 90..400")
def _(sweep):
    run = sweep["lr3e-2-s1"]
    points = []
    for key in sorted({p.key for p in run["val/loss"].points + run["grad_norm"].points}):
        a, b = held(run["val/loss"], key), held(run["grad_norm"], key)
        if a is not None and b is not None and 90 <= key <= 400:
            points.append(Point(key, None, Near(a - b)))
    return of_points([run["val/loss"].of(points, metric="d")])


@question("The range of the loss in the last 200 steps, where it ends",
          "train/loss @ sweep/lr3e-3-s* | moving max 200 | last 1 | sort value")
def _(sweep):
    columns, rows = of_points([run["train/loss"].of([run["train/loss"].points[-1]._replace(
        value=max(p.value for p in run["train/loss"].points[-200:]))]) for run in sweep.runs("lr3e-3-s")])
    return columns, ordered(rows, lambda row: row[3])


@question("Metrics that hardly move",
          "metrics ** @ sweep/* where max - min < 0.01 * mean | show count, axis, min, max, mean")
def _(sweep):
    rows = []
    for run in sweep.runs():
        for metric, series in sorted(run.series.items(), key=lambda pair: natural(pair[0])):
            low, high, middle = series.lowest().value, series.highest().value, mean(series.values())
            if high - low < 0.01 * middle:
                axis = {"step": "stepped", "time": "timed"}[series.axis]
                rows.append([run.name, metric, len(series.points), axis, low, high, near(middle)])
    return ["run", "metric", "count", "axis", "min", "max", "mean"], rows


@question("The first attempts of all runs, and where they ended",
          "train/loss @ sweep/*#0 | last 1")
def _(sweep):
    ends = []
    for run in sweep.runs():
        first = sweep[run.name.removeprefix("sweep/") + "#0"] if run.attempts > 1 else run
        ends += [[run.name + "#0", "train/loss", p.key, p.value] for p in first["train/loss"].points[-1:]]
    return ["run", "metric", "step", "value"], ends


@question("Some steps of the runs with a tag",
          "train/loss, grad_norm @ sweep/* | when tag rescue and step in (100, 250, 251, 5000)")
def _(sweep):
    return of_points([run[metric].kept(lambda p: p.key in (100, 250, 251, 5000))
                      for run in sweep.runs(holds=lambda run: "rescue" in run.tags)
                      for metric in ("grad_norm", "train/loss")])


@question("How fast did the fork go, across the hours between its parent's steps and its own?",
          "tokens @ sweep/rescue | rate | steps fork-1..fork+2")
def _(sweep):
    return of_points([steps(difference(sweep["rescue"]["tokens"], seconds_between),
                            sweep.fork_step - 1, sweep.fork_step + 2)])


@question("Loss and processor of the fork over the same seconds, which begin with its parent",
          "train/loss, host/cpu @ sweep/rescue | x elapsed | buckets 8 count, mean, last_x")
def _(sweep):
    start = sweep["rescue"]["train/loss"].points[0]
    return of_buckets([along(sweep["rescue"][metric], lambda p: seconds_between(start, p))
                       for metric in ("host/cpu", "train/loss")], 8, ["count", "mean", "last_x"])


@question("How many runs does the project have?", "projects")
def _(sweep):
    return ["project", "runs", "retention"], [["sweep", len(sweep.runs()), None]]
