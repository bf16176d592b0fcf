"""Questions on the sweep: time, the machine, and what there is."""

from sweep_answers import of_buckets, of_points, ordered, question
from sweep_logs import moment, natural, near
from sweep_stages import STATISTICS, along, difference, every, mean, seconds_between, steps


# Time and the machine.

@question("Tokens per second, over parts of the run",
          "tokens @ sweep/lr1e-3-s1 | every 100 last | rate | buckets 5 count, mean")
def _(sweep):
    return of_buckets([difference(every(sweep["lr1e-3-s1"]["tokens"], 100, "last"), seconds_between)], 5,
                      ["count", "mean"])


@question("How long did each run train, and how fast?",
          "runs sweep/lr* | show (last(tokens).time - first(tokens).time) / 60 as minutes,"
          " (last(tokens) - first(tokens)) / (last(tokens).time - first(tokens).time) as speed | sort speed desc")
def _(sweep):
    rows = []
    for run in sweep.runs("lr"):
        first, last = run["tokens"].points[0], run["tokens"].points[-1]
        seconds = seconds_between(first, last)
        rows.append([run.name, near(seconds / 60), near((last.value - first.value) / seconds)])
    return ["run", "minutes", "speed"], ordered(rows, lambda row: row[2], descending=True)


@question("The loss at equal times since the start",
          "train/loss @ sweep/lr*-s1 | x elapsed | every 60 last")
def _(sweep):
    many = []
    for run in sweep.runs("lr.*-s1$"):
        start = run["train/loss"].points[0]
        many.append(every(along(run["train/loss"], lambda p: seconds_between(start, p)), 60, "last"))
    return of_points(many)


@question("The slowest step of each minute",
          "host/step_ms @ sweep/lr1e-3-s1 | every 1m max")
def _(sweep):
    return of_points([every(sweep["lr1e-3-s1"]["host/step_ms"], 60 * 10**6, "max")])


@question("How busy was the machine in two minutes of the afternoon?",
          "host/cpu, host/step_ms @ sweep/* | time 2026-11-28T15:10..2026-11-28T15:12"
          " | summary count, mean, max_time")
def _(sweep):
    rows = []
    for run in sweep.runs():
        for metric in ("host/cpu", "host/step_ms"):
            inside = steps(run[metric], moment("2026-11-28T15:10:00Z"), moment("2026-11-28T15:12:00Z"))
            high = inside.highest()
            rows.append([run.name, metric, len(inside.values()), near(mean(inside.values())), high and high.time])
    return ["run", "metric", "count", "mean", "max_time"], rows


@question("Which runs took the most memory?",
          "runs sweep/* | show max(host/rss_mb) as peak, mean(host/cpu) as cpu | sort peak desc | limit 3")
def _(sweep):
    rows = [[run.name, run["host/rss_mb"].highest().value, near(mean(run["host/cpu"].values()))]
            for run in sweep.runs()]
    return ["run", "peak", "cpu"], ordered(rows, lambda row: row[1], descending=True, limit=3)


@question("What was trained at a moment, and how far was it?",
          "train/loss, tokens @ sweep/* | time ..2026-11-28T15:15 | last 1 | stamped")
def _(sweep):
    rows = []
    for run in sweep.runs():
        for metric in ("tokens", "train/loss"):
            before = [p for p in run[metric].points if p.time <= moment("2026-11-28T15:15:00Z")]
            rows += [[run.name, metric, p.key, p.time, p.value] for p in before[-1:]]
    return ["run", "metric", "step", "time", "value"], rows


# What there is.

@question("Which runs lack evaluations of the last part, and how far did they get?",
          "runs sweep/* where min(val/loss when step > 1500) is missing | show state, count(val/loss),"
          " last(train/loss).step")
def _(sweep):
    return (["run", "state", "count(val/loss)", "last(train/loss).step"],
            [[run.name, run.state, len(run["val/loss"].points), run["train/loss"].points[-1].key]
             for run in sweep.runs() if not steps(run["val/loss"], 1501).values()])


@question("The last value of every metric of a run",
          "** @ sweep/lr3e-3-s2 | summary last, last_step, last_time")
def _(sweep):
    rows = []
    for series in sorted(sweep["lr3e-3-s2"].series.values(), key=lambda s: natural(s.metric)):
        p = series.points[-1]
        rows.append([series.run.name, series.metric, p.value, p.key if series.axis == "step" else None, p.time])
    return ["run", "metric", "last", "last_step", "last_time"], rows


@question("Everything that a run holds, series by series, in full",
          "** @ sweep/lr3e-2-s1 | summary count, nan, pinf, ninf, min, max, sum, mean, first, last")
def _(sweep):
    columns = ["count", "nan", "pinf", "ninf", "min", "max", "sum", "mean", "first", "last"]
    return (["run", "metric", *columns],
            [[series.run.name, series.metric, *(STATISTICS[column](series.points) for column in columns)]
             for series in sorted(sweep["lr3e-2-s1"].series.values(), key=lambda s: natural(s.metric))])


@question("Runs by configuration and tag",
          "runs sweep/* where config/lr in (0.01, 0.03) and not tag rescue | show config/lr, config/seed, metrics"
          " | sort config/seed desc, config/lr")
def _(sweep):
    rows = [[run.name, run.attributes["config/lr"], run.attributes["config/seed"], len(run.series)]
            for run in sweep.runs(holds=lambda run: run.attributes["config/lr"] in (0.01, 0.03) and
                                  "rescue" not in run.tags)]
    return ["run", "config/lr", "config/seed", "metrics"], sorted(rows, key=lambda row: (-row[2], row[1]))


@question("A query of a program, with the words of its user as parameters",
          "grad_norm @ $run where config/lr = $lr | steps $from.. | last $n",
          parameters=("run=sweep/lr3e-3-s3", "lr=0.003", "from=end-10", "n=4"))
def _(sweep):
    norms = sweep["lr3e-3-s3"]["grad_norm"]
    return of_points([norms.of(norms.points[-4:])])
