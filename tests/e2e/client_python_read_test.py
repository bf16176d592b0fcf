"""The Python client reads: tables, charts, queries that are watched, and logs to compare. With
pandas and NumPy where an interpreter has them (it is then run by that), and without."""

import json
import math
import os
import random
import struct
import subprocess
import sys
import threading
import unittest
import xml.etree.ElementTree
import zlib
from unittest import mock

import tfevents
from support import ROOT, SECONDS_MAX, Case, interpreter_with

CLIENT = os.path.join(ROOT, "clients", "python")
sys.path.insert(0, CLIENT)
import stepdb  # noqa: E402
from stepdb import _answer, _fetch  # noqa: E402
from stepdb import _protocol as protocol  # noqa: E402

try:
    import numpy
    import pandas
except ImportError:
    numpy = pandas = None

NAN = math.nan
BEGAN = 1_700_000_000


def same(left, right):
    """Equal, where NaN equals itself."""
    return repr(left) == repr(right)


class Reading(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.connection = stepdb.connect(self.server.address)
        self.addCleanup(self.connection.close)

    def new_run(self, run_id, project="p", **options):
        run = stepdb.Run(project, run_id, server=self.server.address, spool=self.path("spool"),
                         **options)
        self.addCleanup(run.finish, seconds=0)
        return run

    def log_two_runs(self):
        """`a` with train/loss at 0 to 9, val/loss at 0, 5; its fork `b` from 4 on, until 6."""
        with self.new_run("a") as run:
            for step in range(10):
                row = {"train/loss": 10.0 - step}
                if step % 5 == 0:
                    row["val/loss"] = 20.0 - step
                run.log(row, step=step, timestamp=BEGAN + step)
            run.log({"gpu/util": 50}, timestamp=BEGAN)
            run.log_configs({"lr": 0.5, "name": "adam", "seed": 1, "on": True})
        with self.new_run("b", parent="p/a", fork_step=4) as run:
            for step in (5, 6):
                run.log({"train/loss": -1.0 * step}, step=step, timestamp=BEGAN + 100 + step)
            run.log_configs({"lr": 0.25})

    def wanted_metrics(self):
        rows = [("a", float(step), 10.0 - step, 20.0 - step if step % 5 == 0 else None)
                for step in range(10)]
        rows += [("b", step, loss, val) for _, step, loss, val in rows[:5]]
        return rows + [("b", 5.0, -5.0, None), ("b", 6.0, -6.0, None)]

    # --- tables ---

    def test_metrics(self):
        self.log_two_runs()
        fetch = self.connection.fetch_metrics
        table = fetch(project="p", runs="", attributes="loss")
        self.assertEqual(table.names, ["run", "step", "train/loss", "val/loss"])
        self.assertEqual(list(table), self.wanted_metrics())
        with mock.patch.object(_fetch, "_TEXT_BYTES", 8):  # a query for each run and metric
            self.assertEqual(list(fetch(project="p", runs="", attributes="loss")), list(table))
        table = fetch(project="p", runs=["b"], attributes=["train/loss"], step_range=(3, 5))
        self.assertEqual(list(table), [("b", 3.0, 7.0), ("b", 4.0, 6.0), ("b", 5.0, -5.0)])
        table = fetch(project="p", runs="^b$", attributes="loss & !val", lineage_to_the_root=False)
        self.assertEqual(list(table), [("b", 5.0, -5.0), ("b", 6.0, -6.0)])
        table = fetch(project="p", runs="a | c", attributes=["train/loss", "nothing"], tail_limit=1)
        self.assertEqual(list(table), [("a", 9.0, 1.0)])
        table = fetch(project="p", runs=["b"], attributes="loss", include_time="absolute",
                      step_range=(5, None))
        self.assertEqual([row[3] for row in table], [(BEGAN + 105) * 10 ** 6,
                                                     (BEGAN + 106) * 10 ** 6])
        self.assertEqual(list(fetch(project="p", runs="nobody", attributes="loss")), [])
        with self.assertRaisesRegex(stepdb.Error, "there is no run 'x' in project 'p'"):
            fetch(project="p", runs=["x"], attributes="loss")
        with self.assertRaisesRegex(stepdb.Error, "no regular expression"):
            fetch(project="p", runs="(", attributes="loss")

    def test_runs(self):
        self.log_two_runs()
        fetch = self.connection.fetch_runs_table
        table = fetch(project="p", attributes="config/ | ^train/", sort_by="config/lr",
                      sort_direction="asc")
        self.assertEqual(table.to_dicts(), [
            {"run": "b", "config/lr": 0.25, "config/name": "adam", "config/on": True,
             "config/seed": 1, "train/loss": -6.0},
            {"run": "a", "config/lr": 0.5, "config/name": "adam", "config/on": True,
             "config/seed": 1, "train/loss": 1.0}])
        table = fetch(project="p", attributes=["config/seed"], sort_by="train/loss", limit=1)
        self.assertEqual(list(table), [("a", 1)])
        newest_first = fetch(project="p", attributes=["sys/state"])
        self.assertEqual(list(newest_first), [("b", "finished"), ("a", "finished")])
        self.assertEqual(list(fetch(project="nothing")), [])

    def test_buckets(self):
        self.log_two_runs()
        table = self.connection.fetch_metric_buckets(project="p", runs="", y="loss", limit=3)
        self.assertEqual(table.names, ["lo", "hi", "a train/loss x", "a train/loss y",
                                       "a val/loss x", "a val/loss y", "b train/loss x",
                                       "b train/loss y", "b val/loss x", "b val/loss y"])
        self.assertEqual(list(table), [
            (0.0, 3.0, 0.0, 10.0, 0.0, 20.0, 0.0, 10.0, 0.0, 20.0),
            (3.0, 6.0, 5.0, 5.0, 5.0, 15.0, 5.0, -5.0, None, None),
            (6.0, 9.0, 9.0, 1.0, None, None, 6.0, -6.0, None, None)])
        with mock.patch.object(_fetch, "_TEXT_BYTES", 8):
            again = self.connection.fetch_metric_buckets(project="p", runs="", y="loss", limit=3)
        self.assertEqual(sorted(zip(again.names, zip(*again))),
                         sorted(zip(table.names, zip(*table))))

    @unittest.skipIf(pandas is None, "there is no pandas (python3-pandas of tools/packages.txt)")
    def test_pandas(self):
        self.log_two_runs()
        fetch = self.connection.fetch_metrics
        rows = self.wanted_metrics()
        index = pandas.MultiIndex.from_tuples([row[:2] for row in rows], names=["run", "step"])
        pandas.testing.assert_frame_equal(
            fetch(project="p", runs="", attributes="loss").to_pandas(),
            pandas.DataFrame({"train/loss": [row[2] for row in rows],
                              "val/loss": [NAN if row[3] is None else row[3] for row in rows]},
                             index=index))
        frame = fetch(project="p", runs=["b"], attributes="^train", include_time="absolute",
                      step_range=(5, 5)).to_pandas()
        self.assertEqual(list(frame.columns), [("train/loss", "value"),
                                               ("train/loss", "absolute_time")])
        self.assertEqual(frame.loc[("b", 5.0), ("train/loss", "absolute_time")],
                         pandas.Timestamp(BEGAN + 105, unit="s"))
        frame = self.connection.fetch_metric_buckets(project="p", runs="", y="loss",
                                                     limit=3).to_pandas()
        self.assertEqual(frame.loc[4.5, ("b", "train/loss", "y")], -5.0)
        self.assertTrue(math.isnan(frame.loc[4.5, ("b", "val/loss", "y")]))
        frame = self.connection.fetch_runs_table(project="p", attributes="lr").to_pandas()
        self.assertEqual(frame.loc["a", "config/lr"], 0.5)
        answer = self.connection.query("train/loss @ p/a")
        self.assertEqual(answer["value"].dtype, numpy.float64)
        self.assertEqual(answer.to_pandas()["value"].sum(), 55.0)

    def test_without_numpy(self):
        self.log_two_runs()
        with mock.patch.object(_answer, "numpy", None):
            answer = self.connection.query("train/loss, val/loss @ p/a | pivot")
            self.assertEqual(answer["val/loss"][:2], [20.0, None])

    def test_of_the_server_in_the_environment(self):
        self.log_two_runs()
        with mock.patch.dict(os.environ, STEPDB_SERVER=self.server.address):
            self.assertEqual(len(stepdb.fetch_metrics(project="p", runs="a", attributes="val")), 2)
            self.assertEqual(len(stepdb.fetch_runs_table(project="p")), 2)
            self.assertEqual(len(stepdb.fetch_metric_buckets(project="p", runs="a", y="val",
                                                             limit=7)), 7)

    # --- comparing ---

    def diff(self, *arguments, status=0):
        """What `python -m stepdb diff-source` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "stepdb", "diff-source", *arguments], capture_output=True,
            text=True, timeout=SECONDS_MAX, cwd=self.directory, check=False,
            env={**os.environ, "PYTHONPATH": CLIENT, "STEPDB_SERVER": self.server.address})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return (done.stdout + done.stderr).splitlines()

    def test_what_was_imported_is_the_same(self):
        logs = os.path.join(ROOT, "examples", "logs")
        for form, importer, log, series in (
                ("csv", "csv", "char-model.csv", 21), ("jsonl", "jsonl", "char-model.jsonl", 9),
                ("tensorboard", "tb", "tensorboard", 8)):
            path = os.path.join(logs, log)
            self.stepdb("import", importer, path, "--project", "d", "--run", form)
            *_, last = self.diff(form, path, f"d/{form}")
            self.assertRegex(last, f"^{series} of {series} series are the same")
        [*differing, last] = self.diff("run", "d/csv", "d/jsonl", status=1)
        self.assertEqual(len(differing), 22)
        self.assertIn("val/loss: 24 points and 4; 20 only in d/csv, 0 only in d/jsonl, "
                      "0 different; only in d/csv: step 499", differing)
        self.assertRegex(last, "^0 of 22 series are the same")

    def write_wandb(self):
        """A log of W&B: items of nested keys, a record in two fragments, NaN, media, telemetry."""
        field, number = tfevents.bytes_field, tfevents.number_field

        def item(*keys, text):
            named = field(1, keys[0].encode()) if len(keys) == 1 else b"".join(
                field(2, key.encode()) for key in keys)
            return field(1, named + field(16, text.encode()))
        records = [field(2, item("loss", text="NaN" if step == 3 else str(step / 7)) +
                         item("grad", "norm", text=str(step)) + item("_step", text=str(step)) +
                         item("opt", text='{"lr": 0.5, "m": {"b": 1}}') + item("t", text='"text"') +
                         item("h", text='{"_type": "histogram", "bins": [1]}') +
                         item("_timestamp", text=str(BEGAN + step))) for step in range(900)]
        path = self.path("wandb/run-1-x/run-x.wandb")
        os.makedirs(os.path.dirname(path))
        data = b":W&B\xe1\xbe\0"
        for record in records:
            first = True
            while first or record:
                left = 32768 - len(data) % 32768
                if left < 7:
                    data += bytes(left)
                    continue
                piece, record = record[:left - 7], record[left - 7:]
                kind = (1 if first else 4) if not record else 2 if first else 3
                checked = bytes([kind]) + piece
                data += struct.pack("<IH", zlib.crc32(checked), len(piece)) + checked
                first = False
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_a_log_of_wandb(self):
        path = self.write_wandb()
        self.assertGreater(os.path.getsize(path), 3 * 32768)
        self.stepdb("import", "wandb", path, "--project", "d", "--run", "w")
        self.assertEqual(self.diff("wandb", os.path.dirname(path), "d/w"),
                         ["4 of 4 series are the same, 3,600 points and 3,600"])

    def test_each_difference_is_told(self):
        rows = [{"step": step, "a": step / 3, "b": {"c": -0.0}, "nan": "NaN"} for step in range(5)]
        path = self.write("log.jsonl", "".join(json.dumps(row) + "\n" for row in rows) +
                          '{"a": 1}\n')
        with self.new_run("r") as run:
            for step in (0, 1, 2, 4, 6):
                run.log({"a": step / 3 if step != 2 else 9.0, "b/c": 0.0, "nan": NAN}, step=step)
            run.log({"more": 1.0}, step=2.5)
        self.assertEqual(self.diff("jsonl", path, "p/r", status=1), [
            f"a: 5 points and 5; 1 only in {path}, 1 only in p/r, 1 different; at step 2: "
            f"{2 / 3!r} and 9.0",
            f"b/c: 5 points and 5; 1 only in {path}, 1 only in p/r, 4 different; at step 0: "
            f"-0.0 and 0.0",
            f"more: 0 points and 1; 0 only in {path}, 1 only in p/r, 0 different; only in p/r: "
            f"step 2.5",
            f"nan: 5 points and 5; 1 only in {path}, 1 only in p/r, 0 different; only in {path}: "
            f"step 3",
            f"{path}: 1 values without a step are not compared",
            "0 of 4 series are the same, 15 points and 16"])
        [difference, *_] = stepdb.diff_source(stepdb.read_log("jsonl", path),
                                              stepdb.read_run(self.connection, "p/r"))
        self.assertEqual((difference.metric, difference.different), ("a", 1))
        for arguments, message in (
                (("jsonl", "nothing", "p/r"), "No such file"), (("jsonl", path, "p/x"), "no run"),
                (("tensorboard", self.directory, "p/r"), "no event file"),
                (("wandb", path, "p/r"), "no log of W&B"),
                (("csv", "x.csv.zst", "p/r"), "unpack it")):
            self.assertIn(message, self.diff(*arguments, status=2)[0])

    # --- charts ---

    def shapes(self, svg):
        root = xml.etree.ElementTree.fromstring(svg)
        found = {}
        for one in root.iter():
            found.setdefault(one.tag.rpartition("}")[2], []).append(one)
        return found

    def test_a_chart_shows_spikes_and_what_is_not_finite(self):
        with self.new_run("a") as run:
            for step in range(10_000):
                value = 1.0 if step != 7003 else 50.0
                value = {5000: NAN, 5001: math.inf, 9000: -math.inf}.get(step, value)
                run.log({"<loss>": value}, step=step)
        answer = self.connection.query('"<loss>" @ p/a | buckets 100')
        svg = answer._repr_html_()
        found = self.shapes(svg)
        titles = [title.text for title in found["title"]]
        self.assertEqual([title.rpartition(",")[0] for title in titles],
                         ["<loss>: 1 x nan", "<loss>: 1 x pinf", "<loss>: 1 x ninf"])
        [band] = found["polygon"]
        heights = [float(point.split(",")[1]) for point in band.get("points").split()]
        self.assertLess(min(heights), 40, "the spike is at the top")
        self.assertGreater(sorted(heights)[1], 200, "and nothing else is")
        self.assertNotIn("<loss>", svg)

    def test_charts_of_little_and_of_much(self):
        with self.new_run("a") as run:
            run.log({"one": 5.0, "large": 1.7e308, "none": NAN}, step=3)
            run.log({"large": -1.7e308}, step=4)
            run.log({"gpu": 1.0}, timestamp=BEGAN)
            run.log({"gpu": 2.0}, timestamp=BEGAN + 60)
            run.log({f"m/{metric}": metric for metric in range(60)}, step=1)
        for metrics in ("one", "large", "none", "gpu", '~"^m/"', '~"nothing"'):
            found = self.shapes(self.connection.query(f"{metrics} @ p/a | buckets 10").to_svg())
            for one in found.get("polygon", []):
                self.assertNotRegex(one.get("points"), "nan|inf")
        found = self.shapes(self.connection.query("m/* @ p/a | buckets 2 mean").to_svg())
        self.assertIn("and 36 more, which are not drawn", [one.text for one in found["text"]])
        with self.assertRaisesRegex(ValueError, "ask for `| buckets 500`"):
            self.connection.query("one @ p/a").to_svg()
        page = self.connection.query("m/* @ p/a")._repr_html_()
        self.assertEqual((page.count("<tr>"), "60 rows in all" in page), (21, True))

    # --- watching ---

    def test_a_watch_has_what_a_query_would_answer(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}", file=sys.stderr)
        chance = random.Random(seed)
        runs = {name: self.new_run(name) for name in ("a", "b", "c")}
        for run in runs.values():
            run.log({"loss": 1.0}, step=0)
            self.assertTrue(run.flush())
        texts = ("loss @ p/* | last 5", "runs p/* | show last(loss) as l, count(loss) | sort l",
                 "loss @ p/* | pivot", "loss @ p/* | buckets 8 mean, nan")
        watches = [self.connection.watch(text) for text in texts]
        for watch in watches:
            self.addCleanup(watch.close)
            self.assertTrue(watch.next(SECONDS_MAX).is_reset)
        step = 0
        for _ in range(12):
            for run in chance.sample(list(runs.values()), 2):
                for _ in range(chance.randrange(1, 4)):
                    step += 1
                    run.log({"loss": chance.choice([chance.random(), NAN, -1.0])},
                            step=step if chance.random() < 0.8 else chance.randrange(step))
                self.assertTrue(run.flush())
            for text, watch in zip(texts[:3], watches):
                self.wait_until_equal(watch, text)
        for update in watches[3]:  # its grid is another than that of a query
            if sum(row[watches[3].names.index("nan")] for row in watches[3].rows) == sum(
                    math.isnan(value) for *_, value in self.connection.query("loss @ p/*")):
                break
        self.assertGreater(update.sequence, 0)
        self.assertEqual(update.key_columns, 3)

    def wait_until_equal(self, watch, text):
        while not same(sorted(watch.rows, key=repr),
                       sorted(self.connection.query(text), key=repr)):
            self.assertIsNotNone(watch.next(SECONDS_MAX), f"{text}: {watch.rows}")
        if "sort" in text or "pivot" in text:
            self.assertTrue(same(watch.rows, list(self.connection.query(text))))

    def test_a_watch_ends(self):
        run = self.new_run("a")
        run.log({"loss": 1.0}, step=0)
        self.assertTrue(run.flush())
        with self.connection.watch("$what @ p/a", what="loss") as watch:
            self.assertEqual(watch.next(SECONDS_MAX).changes.to_dicts(),
                             [{"change": "new", "place": 0, "run": "p/a", "metric": "loss",
                               "step": 0.0, "value": 1.0}])
            self.assertIsNone(watch.next(0.01))
            run.finish()
            threading.Thread(target=self.stepdb, args=("run", "delete", "p/a", "--yes")).start()
            with self.assertRaises(stepdb.Error) as ended:
                while True:
                    watch.next(SECONDS_MAX)
            self.assertEqual(ended.exception.code, protocol.NOT_FOUND)
            self.assertEqual(list(watch), [])
        with self.assertRaisesRegex(stepdb.Error, "the watch is closed"):
            watch.next()
        with self.assertRaisesRegex(stepdb.Error, "watch the query without it"):
            self.connection.watch("explain runs").next(SECONDS_MAX)


if __name__ == "__main__":
    python = interpreter_with("numpy", "pandas")
    if pandas is None and python is not None:
        print(f"run by {python}, which has NumPy and pandas", file=sys.stderr)
        os.execv(python, [python, "-B", *sys.argv])
    unittest.main()
