"""The Python client reads: tables, charts, and queries that are watched. With pandas and NumPy where
an interpreter has them (it is then run by that), and without."""

import math
import os
import random
import sys
import threading
import unittest
import xml.etree.ElementTree
from unittest import mock

from support import ROOT, SECONDS_MAX, Case, interpreter_with

sys.path.insert(0, os.path.join(ROOT, "clients", "python"))
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
