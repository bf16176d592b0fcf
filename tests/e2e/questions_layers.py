"""Questions on the sweep: layers, gradients, noise and smoothing."""

import math

from sweep_answers import across_keys, combined, of_points, ordered, pivoted, question
from sweep_logs import Near, near
from sweep_stages import (
    STATISTICS, calculated, deviation, difference, ema, every, held, in_buckets, mean, moving,
    percentile, steps, update_ratios)


# Layers.

@question("Which two layers learn fastest?",
          "layers/{l}/update_norm / layers/{l}/weight_norm as ratio @ sweep/lr1e-2-s1 | top 2 by mean"
          " | every 500 mean")
def _(sweep):
    fastest = sorted(update_ratios(sweep["lr1e-2-s1"]), key=lambda series: -mean(series.values()))[:2]
    return of_points([every(series, 500) for series in fastest])


@question("Where do the layers disagree most about the size of their weights?",
          "layers/*/weight_norm @ sweep/lr1e-2-s1 | every 200 last | across max, min, median, p25 | sort max desc"
          " | limit 4")
def _(sweep):
    rows = across_keys([every(series, 200, "last") for series in sweep["lr1e-2-s1"].layers("weight_norm")],
                       ["max", "min", "median", "p25"])
    return ["step", "count", "max", "min", "median", "p25"], ordered(rows, lambda row: row[2], True, 4)


@question("How much of the squared gradient is in each layer? For a spreadsheet",
          "layers/{l}/grad_norm * layers/{l}/grad_norm / (grad_norm * grad_norm) as share @ sweep/lr1e-3-s1"
          " | every 500 mean | pivot")
def _(sweep):
    run = sweep["lr1e-3-s1"]
    shares = [calculated(lambda a, b: a * a / (b * b), series, run["grad_norm"], metric=f"share[{layer}]")
              for layer, series in enumerate(run.layers("grad_norm"))]
    shares = [every(series, 500) for series in shares]
    return pivoted(shares, [series.metric for series in shares])


@question("The measures of a layer over all runs with one seed, by what was captured",
          'layers/{l}/act_rms @ ~"-s1$" | steps 100..300 | buckets 2 max | group by l mean, max, sum')
def _(sweep):
    many = [steps(series, 100, 300) for run in sweep.runs(".*-s1$") for series in run.layers("act_rms")]
    grids = in_buckets(many, 2, low=100, high=300)
    rows = []
    for layer in range(6):
        mine = [buckets for series, buckets in zip(many, grids) if series.metric == f"layers/{layer}/act_rms"]
        for place in zip(*mine):
            rows.append([str(layer), place[0].low, place[0].high,
                         *combined([STATISTICS["max"](bucket.points) for bucket in place],
                                   ["mean", "max", "sum"])])
    return ["l", "lo", "hi", "count", "mean", "max", "sum"], rows


@question("Which activations have the sharpest peak, of the runs that finished?",
          "metrics layers/*/act_max @ sweep/* where state = finished and max > 2 * mean"
          " | show max, max.step, max / mean as peak | sort peak desc | limit 5")
def _(sweep):
    rows = []
    for run in sweep.finished():
        for series in run.layers("act_max"):
            high, middle = series.highest(), mean(series.values())
            if high.value > 2 * middle:
                rows.append([run.name, series.metric, high.value, high.key, near(high.value / middle)])
    return ["run", "metric", "max", "max.step", "peak"], ordered(rows, lambda row: row[4], True, 5)


# Noise, smoothing, gradients.

@question("Mean and spread of the training loss over the seeds, every 100 steps",
          "train/loss @ sweep/lr3e-3-* | every 100 mean | across mean, std, min, max")
def _(sweep):
    return (["step", "count", "mean", "std", "min", "max"],
            across_keys([every(run["train/loss"], 100) for run in sweep.runs("lr3e-3-")],
                        ["mean", "std", "min", "max"]))


@question("What share of the steps had a large gradient?",
          "runs sweep/* | show count(grad_norm when value > 1) / count(grad_norm) as share, config/lr"
          " | sort share desc, config/lr")
def _(sweep):
    rows = []
    for run in sweep.runs():
        norms = run["grad_norm"].points
        share = near(sum(p.value > 1 for p in norms) / len(norms))
        rows.append([run.name, share, run.attributes["config/lr"]])
    return ["run", "share", "config/lr"], sorted(rows, key=lambda row: (-row[1], row[2]))


@question("The five largest gradients of the runs that finished",
          "grad_norm @ sweep/* where state = finished | sort value desc | limit 5")
def _(sweep):
    columns, rows = of_points([run["grad_norm"] for run in sweep.finished()])
    return columns, ordered(rows, lambda row: row[3], descending=True, limit=5)


@question("How noisy is the loss at the end?",
          "train/loss @ sweep/lr* | steps 1900.. | moving std 50 | last 1 | sort value desc")
def _(sweep):
    ends = []
    for run in sweep.runs("lr"):
        noise = steps(moving(run["train/loss"], deviation, 50), 1900)
        ends.append(noise.of(noise.points[-1:]))
    columns, rows = of_points(ends)
    return columns, ordered(rows, lambda row: row[3], descending=True)


@question("The gradient without its outliers: a moving median, with what lies before the range in its window",
          "grad_norm @ sweep/lr1e-2-s2 | steps 700..760 | moving median 20")
def _(sweep):
    return of_points([steps(moving(sweep["lr1e-2-s2"]["grad_norm"], lambda w: percentile(w, 50), 20), 700, 760)])


@question("The largest jumps of the loss from one step to the next",
          "train/loss @ sweep/* where state = finished | diff | sort value desc | limit 5")
def _(sweep):
    columns, rows = of_points([difference(run["train/loss"]) for run in sweep.finished()])
    return columns, ordered(rows, lambda row: row[3], descending=True, limit=5)


@question("How fast does the validation loss fall, per step?",
          "val/loss @ sweep/lr3e-3-s1 | rate step")
def _(sweep):
    return of_points([difference(sweep["lr3e-3-s1"]["val/loss"], lambda a, b: b.key - a.key)])


@question("The loss where the learning rate was at its highest",
          "train/loss @ sweep/lr* | when lr >= attr(config/lr)")
def _(sweep):
    many = []
    for run in sweep.runs("lr"):
        rates = run["lr"].at_key()
        many.append(run["train/loss"].kept(lambda p: rates[p.key] >= run.attributes["config/lr"]))
    return of_points(many)


@question("Gradients above 1 while the validation loss was last seen below 2",
          "grad_norm @ sweep/lr3e-3-* | when value > 1 and hold(val/loss) < 2 | summary count, first_step, mean")
def _(sweep):
    rows = []
    for run in sweep.runs("lr3e-3-"):
        points = [p for p in run["grad_norm"].points
                  if p.value > 1 and (held(run["val/loss"], p.key) or math.inf) < 2]
        rows.append([run.name, "grad_norm",
                     *(STATISTICS[column](points) for column in ("count", "first_x", "mean"))])
    return ["run", "metric", "count", "first_step", "mean"], rows


@question("The loss as a multiple of the last validation loss, every 250 steps",
          "train/loss / hold(val/loss) as relative @ sweep/lr1e-2-* | when step % 250 = 0")
def _(sweep):
    many = []
    for run in sweep.runs("lr1e-2-"):
        points = [p._replace(value=Near(p.value / held(run["val/loss"], p.key)))
                  for p in run["train/loss"].points if p.key % 250 == 0]
        many.append(run["train/loss"].of(points, metric="relative"))
    return of_points(many)


@question("The smoothed loss at some steps, side by side for a spreadsheet",
          "train/loss @ sweep/lr*-s1 | ema 0.9 | every 400 last | pivot")
def _(sweep):
    many = [every(ema(run["train/loss"], 0.9), 400, "last") for run in sweep.runs("lr.*-s1$")]
    return pivoted(many, [series.run.name for series in many])
