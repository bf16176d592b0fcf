"""Real logs in every format that `stepdb import` reads: what it says it did, and what the store has of
them, is what a reader of our own in Python finds, and what `series.csv` beside the logs says.

`series.csv` counts a series before a later point of the same step replaces an earlier one; so sent
points and what a series looks like before that are compared with it, and what is stored, attempt by
attempt, with our reader and our reading of the rule of restarts (restarts.py). Once imported again
nothing may have changed; nor does it matter that an import before was killed halfway.
"""

import csv
import datetime
import glob
import json
import math
import os
import signal
import subprocess
import sys
import unittest
import zlib

import wire
from restarts import attempts_of, find_restarts
from support import SECONDS_MAX, STEPDB, Case, Relay, bits_of, bits_of_text, shared_data
from tfevents import fields_of, read_events

WHY_SKIPPED = "no ../shared/data beside the checkout and no $STEPDB_DATA"


def number_of(text):
    try:
        return float(text)
    except ValueError:
        return None


# --- Readers: (series, step, value) of every point, in the order of the log. What has no step is
# --- numbered by series, as in series.csv, and has its time behind, in microseconds

def read_tensorboard(path):
    for name in sorted(glob.glob(os.path.join(path, "*tfevents*"))):
        yield from read_events(name)


def read_csv(path, step, name_from=()):
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            prefix = "".join(row[column] + "/" for column in name_from)
            for name, cell in row.items():
                value = number_of(cell)
                if name != step and name not in name_from and value is not None:
                    yield prefix + name, float(row[step]), value


def leaves(value, path=""):
    for key, inner in value.items():
        name = f"{path}/{key}" if path else key
        if isinstance(inner, dict):
            yield from leaves(inner, name)
        else:
            yield name, inner


def read_jsonl(path, step, time):
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = dict(leaves(json.loads(line)))
            for name, value in row.items():
                if name not in (step, time) and isinstance(value, (int, float)):
                    yield name, float(row[step]), float(value)


def read_nvidia_smi(path):
    begin = datetime.datetime(1970, 1, 1)
    lines = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            at = datetime.datetime.strptime(row["timestamp"], "%Y/%m/%d %H:%M:%S.%f")
            time_us = (at - begin) // datetime.timedelta(microseconds=1)
            gpu = row["index"]
            lines[gpu] = lines.get(gpu, -1) + 1
            for name, cell in row.items():
                if name not in ("timestamp", "index"):
                    yield (f"gpu.{gpu}/{name.split(' [')[0]}", float(lines[gpu]),
                           float(cell.split(" ")[0]), time_us)


def read_monitor(path):
    with open(path, encoding="utf-8", newline="") as file:
        file.readline()
        for episode, row in enumerate(csv.DictReader(file)):
            for name, cell in row.items():
                yield name, float(episode), float(cell)


def read_trainer_state(path):
    with open(path, encoding="utf-8") as file:
        for entry in json.load(file)["log_history"]:
            for name, value in entry.items():
                if name != "step" and not isinstance(value, str):
                    yield name, float(entry["step"]), float(value)


def read_mlflow(path):
    metrics = os.path.join(path, "metrics")
    for folder, _, names in os.walk(metrics):
        for name in names:
            file_name = os.path.join(folder, name)
            with open(file_name, encoding="utf-8") as file:
                for line in file:
                    _, value, step = line.split()
                    yield os.path.relpath(file_name, metrics), float(step), float(value)


def read_colons(path):
    """`step:N/M name:value ...`, of modded-nanoGPT and llm.c."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            (_, step), *values = [word.split(":") for word in line.split()]
            for name, value in values:
                yield name, float(step.split("/")[0]), float(value.removesuffix("ms"))


def read_deepspeed(path):
    step = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            found = []
            if line.startswith("epoch"):
                _, (_, step), *found = [part.split(": ") for part in line.split("|")]
            elif line.startswith("average"):
                found = [line.split(": ")]
            elif line.startswith("|"):
                found = [part.split("=") for part in line.split("|")[1:]]
            elif "step=" in line:
                step = line.split("step=")[-1].split(",")[0]
                found = [part.split("=") for part in line.split("] ")[-1].split(", ")[1:]
                         if part.startswith(("skipped=", "lr=", "Running", "Curr", "Mem", "Max"))]
            for name, value in found:
                number = value.split()[0].lstrip("[").removesuffix("s").removesuffix("GB")
                yield name, float(step), float(number)


def wandb_records(path):
    """LevelDB's framing: blocks of 32 KiB, fragments that do not leave them."""
    with open(path, "rb") as file:
        data = file.read()
    at, joined = 7, b""
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        crc, size, kind = (int.from_bytes(data[at:at + 4], "little"),
                           int.from_bytes(data[at + 4:at + 6], "little"), data[at + 6])
        assert zlib.crc32(data[at + 6:at + 7 + size]) == crc, at
        joined += data[at + 7:at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield joined
            joined = b""


def wandb_items(message, number):
    for field, value in fields_of(message):
        if field == number:
            item = list(fields_of(value))
            key = ".".join(text.decode() for inner, text in item if inner in (1, 2))
            yield key, next(json.loads(text) for inner, text in item if inner == 16)


def read_wandb(path):
    """Training by step, system metrics by time; these are numbered by record, as in series.csv."""
    ordinal = -1
    for record in wandb_records(path):
        for field, message in fields_of(record):
            if field == 2:
                items = dict(wandb_items(message, 1))
                step = items.pop("_step")
                items.pop("_timestamp")
                for name, value in items.items():
                    if name != "_wandb":
                        yield name, float(step), float(value)
            elif field == 7:
                ordinal += 1
                stamp = dict(fields_of(dict(fields_of(message))[2]))
                for name, value in wandb_items(message, 3):
                    yield ("_system/" + name, float(ordinal), float(value),
                           stamp[1] * 10**6 + stamp.get(2, 0) // 1000)


# What is neither TensorBoard's nor MLflow's: a run, and how to import it.
OTHERS = [
    ("flow-lines", "jsonl", "flow_i210/result.json", "--step-column", "timesteps_total",
     "--time-column", "timestamp"),
    ("algoperf-csv", "csv", "algoperf_deepspeech_restart/measurements.csv"),
    ("gradient-rank", "csv", "nanogpt_gradient_rank/gradient_rank_summary.csv", "--name-from",
     "layer_name"),
    ("olmo", "csv", "olmo_ladder/1B-10xC.csv", "--step-column", "throughput/total_tokens"),
    ("nvidia-smi", "nvidia-smi", "nvidia_smi/diag_nvsmi.csv"),
    ("monitor", "monitor", "sb3_monitor/0.monitor.csv"),
    ("hf", "trainer-state", "hf_trainer/trainer_state.json"),
    ("soap", "console", "modded_nanogpt/soap.txt", "--patterns", "all"),
    ("llm-c", "console", "modded_nanogpt/llmc_main.log", "--patterns", "modded-nanogpt"),
    ("deepspeed", "console", "deepspeed_chat/step3_rlhf.log", "--patterns", "deepspeed"),
    ("wandb", "wandb", "nanogpt_wandb/run-key5hol9.wandb"),
]


def time_of(text):
    """Microseconds of a time in an answer."""
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    begin = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (at - begin) // datetime.timedelta(microseconds=1)


def key_of(text):
    return time_of(text) if "T" in text else float(text)


def keyed(point):
    """(series, key, value): the time where there is no step."""
    return point[0], point[-1] if len(point) == 4 else point[1], point[2]


def attempts_of_points(points):
    """The attempt of each point, and the steps with which attempts begin, from 1 on."""
    stepped = [at for at, point in enumerate(points) if len(point) == 3]
    rows = [(points[at][1], (points[at][0],)) for at in stepped]
    restarts = find_restarts(rows)
    attempts = [0] * len(points)
    for at, attempt in zip(stepped, attempts_of(rows, restarts)):
        attempts[at] = attempt
    return attempts, [rows[at][0] for at in restarts]


class Series:
    """What series.csv and the store say of a series."""

    def __init__(self, points):
        finite = [value for _, value in points if math.isfinite(value)]
        self.points = len(points)
        self.nan = sum(math.isnan(value) for _, value in points)
        self.inf = sum(math.isinf(value) for _, value in points)
        self.min = min(finite) if finite else None
        self.max = max(finite) if finite else None
        self.first_step = points[0][0]
        self.last_step = points[-1][0]
        self.first = points[0][1]
        self.last = points[-1][1]


def by_series(points):
    series = {}
    for name, step, value in points:
        series.setdefault(name, []).append((step, value))
    return series


def same(a, b):
    return a is None and b is None or a is not None and b is not None and (
        bits_of(a) == bits_of(b) or math.isnan(a) and math.isnan(b))


@unittest.skipUnless(shared_data(), WHY_SKIPPED)
class RealLogs(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def import_log(self, arguments, run="r", server=None):
        out = self.stepdb("import", *arguments, "--project", "real", "--run", run, "--server",
                          server or self.server.address, "--format", "json")
        return json.loads(out)

    def check(self, source, arguments, points, skipped=0):
        """Attempt by attempt, twice, and after an import that was killed halfway."""
        points = list(points)
        series = by_series(point[:3] for point in points)
        attempts, starts = attempts_of_points(points)
        stored = len({(name, attempt, key) for (name, key, _), attempt in
                      zip(map(keyed, points), attempts)})
        relay = Relay(self.server.port)
        report = self.import_log(arguments, "r", relay.address)
        relay.close()
        self.assertEqual(report, {
            "project": "real", "run": "r", "series": len(series), "read": len(points) + skipped,
            "sent": len(points), "stored": stored, "replaced": len(points) - stored,
            "skipped": skipped, "restarts": len(starts)})
        self.check_reader(source, series)
        self.check_attempts(points, attempts, starts, "r")
        every_value = not os.environ.get("STEPDB_SANITIZE")  # again; it takes one minutes
        if not every_value and len(points) > 20_000:
            return
        again = self.import_log(arguments)
        self.assertEqual((again["sent"], again["stored"], again["replaced"]),
                         (len(points), 0, len(points)))
        self.check_attempts(points, attempts, starts, "r", every_value)
        self.kill_halfway(arguments, relay.handed_on // 2)
        resumed = self.import_log(arguments, "killed")
        self.assertEqual(resumed["sent"], len(points))
        self.check_attempts(points, attempts, starts, "killed", every_value)

    def kill_halfway(self, arguments, bytes_max):
        importing = []
        relay = Relay(self.server.port, bytes_max, lambda: importing[0].kill())
        importing.append(subprocess.Popen(
            [STEPDB, "import", *arguments, "--project", "real", "--run", "killed", "--server",
             relay.address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.assertEqual(importing[0].wait(SECONDS_MAX), -signal.SIGKILL)
        relay.close()

    def check_attempts(self, points, attempts, starts, run, every_value=True):
        """Attempt by attempt: what the one before has below where it begins, and its own points."""
        read = {}
        for attempt in range(len(starts) + 1):
            if attempt:
                read = {name: {key: value for key, value in its.items()
                               if key < starts[attempt - 1]} for name, its in read.items()}
            for (name, key, value), its in zip(map(keyed, points), attempts):
                if its == attempt:
                    read.setdefault(name, {})[key] = value
            stored = {name: sorted(its.items()) for name, its in read.items() if its}
            self.check_store(stored, f"{run}#{attempt}", every_value)
        self.check_store(stored, run, every_value)

    def check_reader(self, source, series, run=""):
        """Our reader against series.csv, which counts what was sent."""
        with open(os.path.join(shared_data(), "series.csv"), encoding="utf-8") as file:
            want = {row["series"]: row for row in csv.DictReader(file)
                    if (row["source"], row["run"]) == (source, run)}
        self.assertEqual(set(series), set(want))
        for name, points in series.items():
            got, row = Series(points), want[name]
            self.assertEqual((got.points, got.nan, got.inf),
                             (int(row["points"]), int(row["nan"]), int(row["inf"])), name)
            self.assertEqual((got.first_step, got.last_step),
                             (float(row["first_step"]), float(row["last_step"])), name)
            self.assertEqual((min(step for step, _ in points), max(step for step, _ in points)),
                             (float(row["min_step"]), float(row["max_step"])), name)
            for ours, theirs in ((got.min, "min"), (got.max, "max"), (got.first, "first_value"),
                                 (got.last, "last_value")):
                self.assertTrue(same(ours, number_of(row[theirs])), f"{name} {theirs}: {ours}")

    def check_store(self, stored, run="r", every_value=True):
        """What `stepdb query` says of every series, and every value; of each axis by itself."""
        system = {name: points for name, points in stored.items() if name.startswith("_system/")}
        if system and len(system) < len(stored):
            self.check_series(system, f"_system/** @ real/{run}", every_value)
            rest = {name: points for name, points in stored.items() if name not in system}
            self.check_series(rest, f"** @ real/{run} | steps ..", every_value)
        else:
            self.check_series(stored, f"** @ real/{run}", every_value)

    def check_series(self, stored, query, every_value):
        buckets = {row["metric"]: row for row in self.query(f"{query} | buckets 1")
                   if row["first_x"]}
        self.assertEqual(set(buckets), set(stored))
        for name, points in stored.items():
            want, row = Series(points), buckets[name]
            finite = want.points - want.nan - want.inf
            self.assertEqual((int(row["count"]), int(row["nan"])), (finite, want.nan), name)
            self.assertEqual(int(row["pinf"]) + int(row["ninf"]), want.inf, name)
            self.assertEqual((key_of(row["first_x"]), key_of(row["last_x"])),
                             (want.first_step, want.last_step), name)
            for ours, text in ((want.first, "first"), (want.last, "last"), (want.min, "min"),
                               (want.max, "max")):
                got = None if ours is None else bits_of_text(row[text])
                self.assertEqual(got, None if ours is None else bits_of(ours), f"{name} {text}")
        if not every_value:
            return
        got = {(row["metric"], key_of(row.get("step") or row["time"])): bits_of_text(row["value"])
               for row in self.query(query)}
        want = {(name, step): bits_of(value) for name, points in stored.items()
                for step, value in points}
        self.assertTrue(got == want)

    def tensorboard(self, source, folder):
        path = os.path.join(shared_data(), folder)
        self.check(source, ["tensorboard", path], read_tensorboard(path))

    def test_algoperf_vit(self):
        self.tensorboard("algoperf_vit/", "algoperf_vit")

    def test_algoperf_deepspeech_restart(self):
        """Two attempts that cover the same steps."""
        self.tensorboard("algoperf_deepspeech_restart/*tfevents", "algoperf_deepspeech_restart")
        (row,) = self.query("runs real/r")
        self.assertEqual(row["attempts"], "2")

    def test_tianshou_td3(self):
        self.tensorboard("tianshou_td3/", "tianshou_td3")

    def test_dqn_long(self):
        self.tensorboard("dqn_long/", "dqn_long")

    def test_flow_i210_events(self):
        self.tensorboard("flow_i210/*tfevents", "flow_i210")

    def test_verl_dapo_restarts(self):
        """Eight files with something in them, each from step 0: three times the steps fall, else the
        file before had nothing but step 0."""
        self.tensorboard("verl_dapo_restarts/", "verl_dapo_restarts")
        (row,) = self.query("runs real/r")
        self.assertEqual(row["attempts"], "4")

    def test_restarts_merged_and_split(self):
        path = os.path.join(shared_data(), "verl_dapo_restarts")
        points = list(read_tensorboard(path))
        merged = by_series(points)
        report = self.import_log(["tb", path, "--restarts", "merge"])
        stored = {name: sorted(dict(its).items()) for name, its in merged.items()}
        self.assertEqual((report["sent"], report["stored"]),
                         (len(points), sum(map(len, stored.values()))))
        self.check_store(stored)
        out = self.stepdb("import", "tb", path, "--restarts", "split", "--project", "real", "--run",
                          "parts", "--format", "json")
        reports = list(map(json.loads, out.splitlines()))
        attempts, _ = attempts_of_points(points)
        for part, report in enumerate(reports):
            series = by_series(point for point, its in zip(points, attempts) if its == part)
            stored = {name: sorted(dict(its).items()) for name, its in series.items()}
            self.assertEqual((report["run"], report["series"], report["stored"]),
                             ("parts" + (f".restart{part}" if part else ""), len(series),
                              sum(map(len, stored.values()))))
            self.check_store(stored, report["run"])

    def test_flow_i210_lines(self):
        """The date, the trial and the experiment's tag of 200 lines are text."""
        path = os.path.join(shared_data(), "flow_i210", "result.json")
        self.check("flow_i210/result.json",
                   ["jsonl", path, "--step-column", "timesteps_total", "--time-column",
                    "timestamp"],
                   read_jsonl(path, "timesteps_total", "timestamp"), skipped=600)

    def test_algoperf_measurements(self):
        source = "algoperf_deepspeech_restart/measurements.csv"
        path = os.path.join(shared_data(), source)
        self.check(source, ["csv", path], read_csv(path, "global_step"))

    def test_nanogpt_gradient_rank(self):
        """Of 4,212 rows type and shape of the layer are text."""
        source = "nanogpt_gradient_rank/gradient_rank_summary.csv"
        path = os.path.join(shared_data(), source)
        self.check(source, ["csv", path, "--name-from", "layer_name"],
                   read_csv(path, "step", ["layer_name"]), skipped=2 * 4212)

    def test_olmo_ladder(self):
        source = "olmo_ladder/1B-10xC.csv"
        path = os.path.join(shared_data(), source)
        step = "throughput/total_tokens"
        self.check(source, ["csv", path, "--step-column", step], read_csv(path, step))

    def test_nvidia_smi(self):
        source = "nvidia_smi/diag_nvsmi.csv"
        path = os.path.join(shared_data(), source)
        self.check(source, ["nvidia-smi", path], read_nvidia_smi(path))

    def test_monitor(self):
        source = "sb3_monitor/0.monitor.csv"
        path = os.path.join(shared_data(), source)
        self.check(source, ["monitor", path], read_monitor(path))
        facts = {row["attribute"]: row["value"] for row in self.query("attributes real/r")}
        self.assertEqual(facts["config/env_id"], "FetchSlide-v1")

    def test_trainer_state(self):
        """`remaining_time` of 2,000 entries is text."""
        source = "hf_trainer/trainer_state.json"
        path = os.path.join(shared_data(), source)
        self.check(source, ["trainer-state", path], read_trainer_state(path), skipped=2000)
        facts = {row["attribute"]: (row["type"], row["value"])
                 for row in self.query("attributes real/r")}
        self.assertEqual(facts["config/max_steps"], ("int64", "252780"))
        self.assertEqual(facts["trainer/epoch"], ("float64", "3.164807342353034"))
        self.assertEqual(facts["trainer/is_local_process_zero"], ("bool", "true"))

    def console(self, source, patterns, read):
        path = os.path.join(shared_data(), source)
        self.check(source, ["console", path, "--patterns", patterns], read(path))

    def test_modded_nanogpt(self):
        self.console("modded_nanogpt/soap.txt", "all", read_colons)

    def test_llm_c(self):
        self.console("modded_nanogpt/llmc_main.log", "modded-nanogpt", read_colons)

    def test_deepspeed(self):
        self.console("deepspeed_chat/step3_rlhf.log", "deepspeed", read_deepspeed)

    def test_wandb(self):
        source = "nanogpt_wandb/run-key5hol9.wandb"
        path = os.path.join(shared_data(), source)
        self.check(source, ["wandb", path], read_wandb(path))

    def test_mlflow(self):
        """35 runs, which are EXPERIMENT.RUN."""
        store = os.path.join(shared_data(), "qlib_mlruns")
        paths = sorted(os.path.relpath(path, store) for path in glob.glob(os.path.join(store, "*/*")))
        self.assertEqual(len(paths), 35)
        for is_new in (True, False):
            out = self.stepdb("import", "mlflow", store, "--project", "real", "--format", "json")
            reports = {report["run"]: report for report in map(json.loads, out.splitlines())}
            self.assertEqual(sorted(reports), sorted(path.replace("/", ".") for path in paths))
            for path in paths:
                run = path.replace("/", ".")
                series = by_series(read_mlflow(os.path.join(store, path)))
                stored = {name: sorted(dict(its).items()) for name, its in series.items()}
                sent = sum(map(len, series.values()))
                new = sum(map(len, stored.values())) if is_new else 0
                self.assertEqual(reports[run], {
                    "project": "real", "run": run, "series": len(series), "read": sent,
                    "sent": sent, "stored": new, "replaced": sent - new, "skipped": 0, "restarts": 0})
                self.check_reader("qlib_mlruns", series, path)
                self.check_store(stored, run)

    def test_all_of_it_takes_at_most_2_6_bytes_a_point(self):
        """Segments, catalog and manifest once the store has settled."""
        logs = shared_data()
        sources = [["tensorboard", logs], ["mlflow", os.path.join(logs, "qlib_mlruns")]]
        sources += [[arguments[0], os.path.join(logs, arguments[1]), *arguments[2:], "--run", run]
                    for run, *arguments in OTHERS]
        points = 0
        for arguments in sources:
            out = self.stepdb("import", *arguments, "--project", "all", "--format", "json")
            points += sum(json.loads(line)["stored"] for line in out.splitlines())
        connection = wire.Connection(self.server.port, bytes(16))
        settled = 0
        while not settled:
            answer = connection.ask("stats")
            settled = dict(zip(answer["what"], answer["value"]))["settled"]
        connection.close()
        self.server.stop()
        taken = {name: os.path.getsize(os.path.join(self.data, name))
                 for name in os.listdir(self.data)
                 if name.startswith(("segment-", "catalog-", "manifest-"))}
        print(f"{points} points, {sum(taken.values()) / points:.3f} bytes each: {taken}")
        self.assertEqual(points, 782425)
        self.assertLess(sum(taken.values()), 2.6 * points)

    def test_the_tree_is_a_run_a_directory(self):
        out = self.stepdb("import", "tensorboard", shared_data(), "--project", "real", "--format",
                          "json")
        sent = {report["run"]: report["sent"] for report in map(json.loads, out.splitlines())}
        self.assertEqual(sent, {
            "algoperf_deepspeech_restart": 13113, "algoperf_vit": 24162, "dqn_long": 56790,
            "flow_i210": 13400, "tianshou_td3": 21569, "verl_dapo_restarts": 3199})


if __name__ == "__main__":
    if not shared_data():
        print("skipped: " + WHY_SKIPPED)
        sys.exit(77)  # ctest: skipped
    unittest.main()
