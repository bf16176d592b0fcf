"""The figures as one Markdown table for each workload."""

QUERY_TITLES = (("chart", "chart"), ("page", "page of 20"), ("last_values", "last values"),
                ("leaderboard", "leaderboard"))
NOTES = """\
- **M points/s** to the last acknowledgement, and (*settled*) until the store had done what it does
  behind it. One client on the same machine; bodies are encoded before the clock runs, where not said
  otherwise.
- **CPU** of the server's processes in ms per million points, until settled; of a library that of the
  process that feeds it. *Client* is that of the harness.
- **bytes a point** on disk after settling: data and indexes / the same with logs.
- **lost** is the share of the acknowledged points that were gone when the store's process was ended by
  SIGKILL right behind the last acknowledgement and started again. That shows what lies in the memory
  of the process, not what a power cut takes: *synced* says whether an acknowledgement is given after
  the data was synced to the disk, according to the store's documentation.
- **chart** is one whole series in 1,000 buckets with count, min, max and mean of each; **page of 20**
  the same for 20 series; **last values** the newest of every metric of the run; **leaderboard** the ten
  runs of 1,000 with the least minimum of a metric. Medians in ms until the answer's last byte has been
  read, warm, one at a time.
- **answers**: counts, minima and maxima of sampled series and of every bucket compared with what was
  sent, exactly; sums and means within rounding."""


def number(value, digits=3):
    """Three significant digits, without an exponent."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    return f"{float(text):f}".rstrip("0").rstrip(".") if "e" in text else text


def millions(value):
    return number(None if value is None else value / 1e6)


def share(value):
    return "-" if value is None else "none" if value == 0 else f"{number(100 * value)} %"


def query_cell(figures, name):
    query = figures.get("queries", {}).get(name)
    if query is None:
        return "-"
    of_fewer = "" if figures["is_first_lap_whole"] else f" (of {query['points_in_series']:,})"
    return number(query["median_ms"]) + of_fewer


def query_titles(results):
    """Those of the questions that one of the results has."""
    return [(name, title) for name, title in QUERY_TITLES
            if any(name in result.get("queries", {}) for result in results)]


def head_cells(results):
    lost = ["lost"] if any("sigkill" in result for result in results) else []
    return (["store", "M points/s", "settled", "synced", *lost, "CPU", "client", "bytes a point",
             "points a request", "request p50 / p99 ms"] +
            [title for _, title in query_titles(results)] + ["answers"])


def row_cells(result, results):
    """The cells of one store, or its reason for not being there in the second."""
    width = len(head_cells(results))
    if "reason" in result:
        return [result["name"], result["reason"]] + [""] * (width - 2)
    lost = ([share(result.get("sigkill", {}).get("lost_share"))]
            if "lost" in head_cells(results) else [])
    data, whole = result["bytes_per_point"], result["bytes_per_point_with_logs"]
    return ([result["name"], millions(result["points_per_second"]),
             millions(result["points_per_second_settled"]),
             "yes" if result["is_synced"] else "no", *lost,
             number(result["cpu_ms_per_mpoint"]), number(result["client_cpu_ms_per_mpoint"]),
             number(data) if data == whole else f"{number(data)} / {number(whole)}",
             f"{result['points_a_request']:,}",
             f"{number(result['request_p50_ms'])} / {number(result['request_p99_ms'])}"] +
            [query_cell(result, name) for name, _ in query_titles(results)] +
            ["all right" if not result["wrong"] else f"{len(result['wrong'])} differ, see below"])


def line(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def workload_table(results):
    head = head_cells(results)
    return "\n".join([line(head), line(["---"] * len(head))] +
                     [line(row_cells(result, results)) for result in results])


def summary_table(report):
    """A row for each store over all workloads: rates of each, all else of the first that has it."""
    workloads = [one["name"] for one in report["workloads"]]
    titles = query_titles(report["results"])
    head = (["store", "synced", "lost"] + [f"{name}, M points/s" for name in workloads] +
            ["CPU", "bytes a point"] + [title for _, title in titles])
    lines = [line(head), line(["---"] * len(head))]
    for name in dict.fromkeys(one["name"] for one in report["results"]):
        lines.append(line(_summary_cells(name, report, workloads, titles)))
    return "\n".join(lines)


def _summary_cells(name, report, workloads, titles):
    by_workload = {one["workload"]: one for one in report["results"] if one["name"] == name}
    measured = [one for one in by_workload.values() if "reason" not in one]
    if not measured:
        reason = next(iter(by_workload.values()))["reason"]
        return [name, reason.partition(":")[0]] + [""] * (len(workloads) + len(titles) + 3)
    first = measured[0]
    lost = first.get("sigkill", {}).get("lost_share")
    rates = [millions(by_workload[one].get("points_per_second")) if one in by_workload else "-"
             for one in workloads]
    asked = [next((query_cell(one, query) for one in measured if query in one["queries"]), "-")
             for query, _ in titles]
    return [name, "yes" if first["is_synced"] else "no", share(lost), *rates,
            number(first["cpu_ms_per_mpoint"]), number(first["bytes_per_point"]), *asked]


def facts_table(results):
    """What is the same under every workload: each store's version, layout, path and durability."""
    lines = [line(["store", "version", "layout", "path", "an acknowledgement says"]), line(["---"] * 5)]
    seen = set()
    for result in results:
        if result["name"] not in seen and "reason" not in result:
            seen.add(result["name"])
            path = f"{result['sent']}; {result['connections']} connection" + (
                "s" if result["connections"] > 1 else "")
            lines.append(line([result["name"], result["version"], result["layout"], path,
                               result["durability"]]))
    return "\n".join(lines)


def differences(results):
    """A line for each answer that differs."""
    return "\n".join(f"- {result['name']}, {result['workload']}: {said}"
                     for result in results for said in result.get("wrong", ()))


def markdown(report):
    """The whole page."""
    machine = report["machine"]
    parts = ["# StepDB beside others, measured", "",
             f"{report['date']}, by `{report['command']}`: {machine['processor']}, "
             f"{machine['cores']} cores for store and client together, {machine['memory_gib']} GiB, "
             f"{machine['system']}, Linux {machine['kernel']}, {machine['file_system']}; load average "
             f"before it {machine['load_before']}. One repetition, each store alone. "
             "`bench/peers/README.md` says how it was measured, and the end of this page what the "
             "columns mean.", "",
             "## In one table", "", summary_table(report), "",
             "CPU and bytes are of the first workload, each query of the first that asks it."]
    again = [f"{one['name']} on {one['workload']}" for one in report["results"]
             if one.get("is_again")]
    if again:
        parts += ["", f"Measured again, behind the others: {', '.join(again)}."]
    for workload in report["workloads"]:
        results = [one for one in report["results"] if one["workload"] == workload["name"]]
        if not results:
            continue
        batch = workload["batch_points"]
        told = workload["told"] + (f", {batch:,} points a request" if batch else "")
        parts += ["", f"## {workload['name'].partition(':')[0]}: {told}", "",
                  f"{workload['points'] / 1e6:g} M points a lap, lap after lap for at least "
                  f"{report['seconds']:g} s (a first lap that takes longer is cut at "
                  f"{report['seconds_max']:g} s).", "", workload_table(results)]
    wrong = differences(report["results"])
    if wrong:
        parts += ["", "## Answers that differ", "", wrong]
    parts += ["", "## What the columns mean", "", NOTES, "", "## The stores", "",
              facts_table(report["results"]), "", "Not to be had from Debian 12 or npm:", ""]
    parts += [f"- {name}: {tried}" for name, tried in report["not_installable"]]
    return "\n".join(parts) + "\n"
