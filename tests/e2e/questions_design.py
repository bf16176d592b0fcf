"""Questions on the sweep: the examples by which the language was designed."""

import math

from sweep_answers import across_buckets, across_keys, grouped, of_buckets, of_points, ordered, question
from sweep_logs import Run, natural
from sweep_stages import (
    along, calculated, ema, every, first_behind, mean, seconds_between, steps, update_ratios, zscore)


@question("Every point of one series",
          "train/loss @ sweep/lr3e-3-s2")
def _(sweep):
    return of_points([sweep["lr3e-3-s2"]["train/loss"]])


@question("A chart",
          "train/loss @ sweep/lr3e-3-s2 | steps 1k..1.5k | buckets 100")
def _(sweep):
    return of_buckets([steps(sweep["lr3e-3-s2"]["train/loss"], 1000, 1500)], 100, low=1000, high=1500)


@question("Losses of all runs of the sweep with a high learning rate",
          "train/loss, val/loss @ sweep/* where config/lr >= 3e-3 and tag sweep | buckets 50")
def _(sweep):
    runs = sweep.runs(holds=lambda run: run.attributes["config/lr"] >= 3e-3 and "sweep" in run.tags)
    return of_buckets([run[metric] for run in runs for metric in ("train/loss", "val/loss")], 50)


@question("The attempt before the restart, beside what followed",
          "train/loss @ sweep/lr3e-3-s2#0, sweep/lr3e-3-s2 | steps 1.2k..1.4k")
def _(sweep):
    return of_points([steps(sweep[name]["train/loss"], 1200, 1400) for name in ("lr3e-3-s2", "lr3e-3-s2#0")])


@question("A fork and its parent around the fork",
          "train/loss @ sweep/rescue, parent(sweep/rescue) | steps fork-100..fork+200")
def _(sweep):
    return of_points([steps(sweep[name]["train/loss"], sweep.fork_step - 100, sweep.fork_step + 200)
                      for name in ("lr3e-2-s1", "rescue")])


@question("One line out of all layers",
          "layers/*/grad_norm @ sweep/lr3e-2-s1 | buckets 200 | across mean, max, p95")
def _(sweep):
    return (["lo", "hi", "count", "mean", "max", "p95"],
            across_buckets(sweep["lr3e-2-s1"].layers("grad_norm"), 200, ["mean", "max", "p95"]))


@question("Which layer spiked first before the divergence?",
          "layers/{l}/grad_norm @ sweep/lr3e-2-s1 | steps 200..400 | zscore 100 | when value > 6 | first 1"
          " | sort step | limit 5")
def _(sweep):
    spikes = []
    for series in sweep["lr3e-2-s1"].layers("grad_norm"):
        spikes.append(series.of(steps(zscore(series, 100), 200, 400).kept(lambda p: p.value > 6).points[:1]))
    columns, rows = of_points(spikes)
    return columns, ordered(rows, lambda row: row[2], limit=5)


@question("How far does an update move the weights of each layer? Joined on the capture",
          "layers/{l}/update_norm / layers/{l}/weight_norm as ratio @ sweep/lr1e-2-s1 | buckets 200 mean, max_x")
def _(sweep):
    return of_buckets(update_ratios(sweep["lr1e-2-s1"]), 200, ["mean", "max_x"])


@question("The leaderboard",
          "runs sweep/* where state = finished | show config/lr, last(train/loss), min(val/loss) as best,"
          " min(val/loss).step | sort best | limit 10")
def _(sweep):
    rows = [[run.name, run.attributes["config/lr"], run["train/loss"].points[-1].value,
             run["val/loss"].lowest().value, run["val/loss"].lowest().key] for run in sweep.finished()]
    return (["run", "config/lr", "last(train/loss)", "best", "min(val/loss).step"],
            ordered(rows, lambda row: row[3], limit=10))


@question("Whose loss went NaN, and where?",
          "runs sweep/* where count(train/loss when value is nan) > 0"
          " | show first(train/loss when value is nan).step")
def _(sweep):
    rows = []
    for run in sweep.runs():
        nans = [p.key for p in run["train/loss"].points if math.isnan(p.value)]
        if nans:
            rows.append([run.name, nans[0]])
    return ["run", "first(train/loss when value is nan).step"], rows


@question("Ranking at equal tokens",
          "runs sweep/* | show at(val/loss, tokens = 1M) as v | sort v")
def _(sweep):
    rows = []
    for run in sweep.runs():
        point = first_behind(run, "val/loss", "tokens", 1e6)
        rows.append([run.name, point and point.value])
    return ["run", "v"], ordered(rows, lambda row: row[1])


@question("Mean and spread over the seeds of whatever else was varied",
          "val/loss @ sweep/* | every 200 last | group by config/** except config/seed mean, std, count")
def _(sweep):
    runs = sweep.runs()
    varied = sorted(name for name in runs[0].attributes
                    if len({run.attributes[name] for run in runs}) > 1 and name != "config/seed")
    rows = []
    for key, many in grouped([every(run["val/loss"], 200, "last") for run in runs],
                             lambda series: [series.run.attributes[name] for name in varied][0]):
        rows += [[key, *row] for row in across_keys(many, ["mean", "std", "count"])]
    return [*varied, "step", "mean", "std", "count"], rows


def loss_along(sweep, x):
    return along(sweep["lr3e-3-s2"]["train/loss"], x)


@question("The loss over tokens, on a logarithmic axis",
          "train/loss @ sweep/lr3e-3-s2 | x tokens | log-x | buckets 500 count, mean, max_x")
def _(sweep):
    tokens = sweep["lr3e-3-s2"]["tokens"].at_key()
    return of_buckets([loss_along(sweep, lambda p: tokens.get(p.key))], 500, ["count", "mean", "max_x"],
                      logarithmic=True)


@question("The loss over the time of day",
          "train/loss @ sweep/lr3e-3-s2 | x time | buckets 60 count, mean")
def _(sweep):
    series = loss_along(sweep, lambda p: p.time)
    return of_buckets([series.of(series.points, axis="time")], 60, ["count", "mean"])


@question("The loss over the seconds since the start",
          "train/loss @ sweep/lr3e-3-s2 | x elapsed | buckets 60 count, mean, last")
def _(sweep):
    start = sweep["lr3e-3-s2"]["train/loss"].points[0]
    return of_buckets([loss_along(sweep, lambda p: seconds_between(start, p))], 60, ["count", "mean", "last"])


@question("The loss over tokens that were not logged but follow from the batch",
          "train/loss @ sweep/lr3e-3-s2 | x step * config/batch_tokens")
def _(sweep):
    return of_points([loss_along(sweep, lambda p: p.key * 768)])


@question("A smoothed chart",
          "train/loss @ sweep/lr1e-3-s1 | ema 0.99 | buckets 500 mean, min, last_x")
def _(sweep):
    return of_buckets([ema(sweep["lr1e-3-s1"]["train/loss"], 0.99)], 500, ["mean", "min", "last_x"])


@question("The difference of two smoothed losses, of two seeds",
          "(train/loss @ sweep/lr1e-2-s1 | ema 0.99) - (train/loss @ sweep/lr1e-2-s2 | ema 0.99)"
          " | buckets 500 mean")
def _(sweep):
    a, b = (ema(sweep[name]["train/loss"], 0.99) for name in ("lr1e-2-s1", "lr1e-2-s2"))
    series = calculated(lambda x, y: x - y, a, b, metric="train/loss - train/loss")
    series.run = Run(f"{a.run.name} - {b.run.name}", {}, set(), "", 0)
    return of_buckets([series], 500, ["mean"])


@question("What did the machine of the slowest run do in the end?",
          "host/cpu @ sweep/* | time end-5m.. | top 1 by mean(host/step_ms)")
def _(sweep):
    end = max(run["host/cpu"].points[-1].time for run in sweep.runs())
    ranked = []
    for run in sweep.runs():
        late = [p.value for p in run["host/step_ms"].points if p.time >= end - 300 * 10**6]
        if late:
            ranked.append((mean(late), run))
    slowest = max(ranked, key=lambda pair: pair[0])[1]
    return of_points([steps(slowest["host/cpu"], end - 300 * 10**6)])


@question("Which layer has the largest gradients before the divergence, and what do its activations do?",
          "layers/{l}/act_max @ sweep/lr3e-2-s1 | steps 250..330 | top 1 by mean(layers/{l}/grad_norm)")
def _(sweep):
    run = sweep["lr3e-2-s1"]
    means = [mean(steps(series, 250, 330).values()) for series in run.layers("grad_norm")]
    return of_points([steps(run.layers("act_max")[means.index(max(means))], 250, 330)])


@question("Dead metrics: is there one in the run that diverged?",
          "metrics ** @ sweep/lr3e-2-s1 where min = max | show count, last.step")
def _(sweep):
    rows = [[s.run.name, metric, len(s.points), s.points[-1].key]
            for metric, s in sorted(sweep["lr3e-2-s1"].series.items(), key=lambda pair: natural(pair[0]))
            if s.lowest().value == s.highest().value]
    return ["run", "metric", "count", "last.step"], rows


@question("How much is read for an answer?",
          "explain layers/*/grad_norm @ sweep/lr3e-2-s1 | buckets 200 | across mean",
          rows_of=("runs", "series", "rows"))
def _(sweep):
    assert len(sweep["lr3e-2-s1"].layers("grad_norm")) == 6
    return ["what", "count"], [["runs", 1], ["series", 6], ["rows", 200]]
