"""The harness itself: its data are what they are said to be, its encoders what the formats say, its
comparisons notice a wrong answer, its table says what was measured; and a small run with SQLite."""

import array
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import catalog
import session
import table
import workload
from stores import native_blocks, postgresql, sqlite, stepdb
from stores.store import Outcomes, Store

HERE = os.path.dirname(os.path.abspath(__file__))


def small(name="long", points=40_000):
    return workload.Data(workload.SHAPES[name].with_points(points))


class TheData(unittest.TestCase):
    def test_are_the_same_for_a_seed(self):
        one, same = small(), small()
        other = workload.Data(one.shape, seed=7)
        self.assertEqual(one.values, same.values)
        self.assertNotEqual(one.values, other.values)

    def test_are_noise_of_a_tenth_of_their_scale(self):
        data = small("long", 400_000)
        for column, scale in ((0, 1), (1, 0.5), (7, 1)):
            ordered = sorted(data.series(0, column, data.shape.rows))
            middle = ordered[len(ordered) // 100:-len(ordered) // 100]
            mean = math.fsum(middle) / len(middle)
            self.assertTrue(scale < mean < 2 * scale, (column, mean))
            self.assertGreater(len(set(ordered)), 0.98 * len(ordered))

    def test_every_shape_has_whole_buckets(self):
        for shape in workload.SHAPES.values():
            self.assertEqual(shape.points % shape.points_a_step, 0)
            if shape.runs == 1:
                self.assertEqual(shape.rows % workload.BUCKETS, 0)

    def test_batches_are_all_rows_in_order(self):
        for name in ("long", "wide", "fleet"):
            data = small(name, 100_000)
            batches = list(data.batches(30_000))
            joined = array.array("f")
            for batch in batches:
                joined += batch.values
                self.assertEqual(len(batch.steps()), batch.count)
                self.assertEqual(batch.values[1::data.shape.metrics], batch.column(1))
            self.assertEqual(joined, data.values)
            rows = [(step, run) for batch in batches for step, run in zip(batch.steps(), batch.runs())]
            self.assertEqual(rows, [(step, run) for step in range(data.shape.rows)
                                    for run in range(data.shape.runs)])

    def test_answers_about_a_part_that_has_arrived(self):
        data = small("fleet", 200_000)
        count, least, most, total = data.totals(3, 2, 2_010)
        series = [data.values[(step * 1_000 + 3) * 50 + 2] for step in range(3)]
        self.assertEqual((count, least, most, total),
                         (3, min(series), max(series), math.fsum(series)))
        leaders = data.leaders(0, 4_000, count=2)
        self.assertEqual(len(leaders), 2)
        self.assertLessEqual(leaders[0][1], leaders[1][1])

    def test_texts_name_the_float32(self):
        values = array.array("f", [1.5773102, 0.1, -64.25, 3e-9, 1.23456789])
        for text, value in zip(workload.texts(values), values):
            self.assertEqual(struct.unpack("<f", struct.pack("<f", float(text)))[0], value)
            self.assertLessEqual(len(text), 16)
        self.assertEqual(workload.texts(array.array("f", [0.1]))[0], "0.1")


class TheEncoders(unittest.TestCase):
    def test_native_blocks_read_back(self):
        data = small("fleet", 100_000)
        batch = next(data.batches(100_000))
        body = native_blocks.Laps(data.shape, batch, native_blocks.columns_block)
        rows = native_blocks.rows_of(b"".join(body.body(2)))
        self.assertEqual(rows[5][:3], (2_005, 0, 1000 * workload.FIRST_TIME_MS))
        self.assertEqual(list(rows[5][3:]), list(data.values[5 * 50:6 * 50]))
        body = native_blocks.Laps(data.shape, batch, native_blocks.points_block)
        points = native_blocks.rows_of(b"".join(body.body(0)))
        self.assertEqual(points[57], (1, 7, 0, 1000 * workload.FIRST_TIME_MS, data.values[57]))

    def test_copy_tuples(self):
        tuples = postgresql.Tuples([4, 8])
        body = tuples.make(2, [postgresql.big_endian("i", [1, 2]), postgresql.big_endian("d", [0.5])])
        row = struct.pack(">hiiid", 2, 4, 1, 8, 0.5)
        self.assertEqual(body, postgresql.HEADER + row +
                         struct.pack(">hiiid", 2, 4, 2, 8, 0.5) + postgresql.TRAILER)
        more = tuples.make(2, [postgresql.big_endian("i", [301, 302]),
                               postgresql.big_endian("d", [0.5])])
        self.assertEqual(tuples.with_added(body, 0, 300), more)
        self.assertEqual(postgresql.each((2, b"abcd"), 2), (2, b"ababcdcd"))

    def test_frames_of_one_run_hold_its_rows(self):
        data = small("fleet", 200_000)
        store = stepdb.Stepdb(tempfile.gettempdir(), data.shape)
        batch = next(data.batches(100_000))
        run, frame, _ = store.encode(batch)[4]
        self.assertEqual(run, 4)
        rows = struct.unpack_from("<I", frame, 24 + 24)[0]
        self.assertEqual(rows, 2)
        values = array.array("f", bytes(frame[24 + 32 + 16 * rows:]))
        self.assertEqual(values, data.values[200:250] + data.values[50_200:50_250])

    def test_sqlite_rows(self):
        data = small("fleet", 100_000)
        batch = next(data.batches(100_000))
        with tempfile.TemporaryDirectory() as directory:
            rows = list(sqlite.SqlitePoints(directory, data.shape).rows(batch, 1))
        self.assertEqual(rows[57], (1_001, 7, 0, 1000 * workload.FIRST_TIME_MS, data.values[57]))


class Told(Store):
    """Answers what it is told to."""

    def read_chart(self, answer, columns):
        return answer


class TheComparisons(unittest.TestCase):
    def setUp(self):
        self.data = small()
        self.store = Told(tempfile.gettempdir(), self.data.shape)
        self.chart = self.data.chart(0, 0, self.data.shape.rows)

    def said(self, chart):
        return session.compare_charts(self.store, [chart], [0], [self.chart])

    def test_notice_every_cell(self):
        self.assertEqual(self.said([list(row) for row in self.chart]), "")
        for cell in range(5):
            wrong = [list(row) for row in self.chart]
            wrong[17][cell] = wrong[17][cell] + (1 if cell < 2 else 1e-6)
            self.assertNotEqual(self.said(wrong), "", cell)
        self.assertNotEqual(self.said(self.chart[1:]), "")
        self.assertNotEqual(session.compare_charts(self.store, [], [0], [self.chart]), "")

    def test_decimals_are_compared_as_float32(self):
        chart = [(row[0], row[1], *(float("%.9g" % cell) for cell in row[2:])) for row in self.chart]
        self.assertNotEqual(self.said(chart), "")
        self.store.is_decimal = True
        self.assertEqual(self.said(chart), "")

    def test_lists(self):
        self.assertEqual(session.compare_lists(self.store, [(1, 0.5)], [(1, 0.5)]), "")
        for wrong in ([(2, 0.5)], [(1, 0.25)], [], [(1, None)]):
            self.assertNotEqual(session.compare_lists(self.store, wrong, [(1, 0.5)]), "")


class TheClock(unittest.TestCase):
    def test_gives_the_first_lap_out_and_ends_in_a_later_one(self):
        clock = session.Clock([(1, "a"), (1, "b")], session.Plan(0, 1e9))
        self.assertEqual([clock.take() for _ in range(3)], [(0, 1, "a"), (0, 1, "b"), None])

    def test_cuts_the_first_lap(self):
        clock = session.Clock([(1, "a"), (1, "b")], session.Plan(0, 0))
        self.assertIsNone(clock.take())

    def test_outcomes_by_lap(self):
        outcomes = Outcomes()
        outcomes.add(0, 5, 0.1, 1.0)
        outcomes.add(1, 7, 0.1, 2.0)
        self.assertEqual((outcomes.points, outcomes.points_by_lap), (12, {0: 5, 1: 7}))


class TheTable(unittest.TestCase):
    def test_numbers(self):
        for value, text in ((None, "-"), (0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (12.34, "12.3"),
                            (1234.5, "1,234"), (0.00001234, "0.000012")):
            self.assertEqual(table.number(value), text)
        self.assertEqual(table.share(0), "none")
        self.assertEqual(table.share(0.25), "25 %")

    def test_names_what_is_missing_and_what_is_wrong(self):
        facts = {"layout": "l", "sent": "s", "durability": "d", "is_synced": True, "connections": 1}
        good = {**facts, "name": "good", "workload": "long:5", "version": "Good 1", "points": 10,
                "points_per_second": 2e6, "points_per_second_settled": None, "cpu_ms_per_mpoint": 5,
                "client_cpu_ms_per_mpoint": None, "bytes_per_point": 3, "points_a_request": 100_000,
                "bytes_per_point_with_logs": 4, "request_p50_ms": 1, "request_p99_ms": 2,
                "is_first_lap_whole": False, "wrong": ["one thing"],
                "queries": {"chart": {"median_ms": 1.25, "points_in_series": 1234}}}
        missing = {**facts, "name": "missing", "workload": "long:5", "reason": "not installed: apt"}
        page = table.markdown({
            "date": "2026-01-01", "command": "run", "seconds": 1, "seconds_max": 2,
            "machine": {"processor": "p", "cores": 2, "memory_gib": 24, "system": "s", "kernel": "6",
                        "file_system": "ext4", "load_before": "0.1"},
            "workloads": [{"name": "long:5", "told": "t", "points": 10, "batch_points": 5}],
            "results": [good, missing], "not_installable": [("Other", "tried")]})
        self.assertIn("| good | 2 | - | yes | 5 | - | 3 / 4 | 100,000 | 1 / 2 | "
                      "1.25 (of 1,234) | 1 differ, see below |", page)
        self.assertIn("| good | yes | - | 2 | 5 | 3 | 1.25 (of 1,234) |", page)
        self.assertIn("| missing | not installed |  |", page)
        self.assertIn("| missing | not installed: apt |", page)
        self.assertIn("- good, long:5: one thing", page)
        self.assertIn("- Other: tried", page)
        self.assertIn("## long: t, 5 points a request", page)

    def test_every_store_states_its_facts(self):
        for name, store in catalog.stores().items():
            self.assertEqual(name, store.name)
            for fact in (store.layout, store.sent, store.durability):
                self.assertTrue(fact, name)


class TheCommand(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([sys.executable, "-B", os.path.join(HERE, "run"), *arguments],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_runs_sqlite_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            figures = os.path.join(directory, "figures.json")
            done = self.run_it("--only", "sqlite,sqlite-points", "--workload", "long,fleet", "--points",
                               "50000", "--seconds", "0", "--kill-seconds", "0.01", "--ask-seconds", "0.1",
                               "--directory", directory, "--json", figures)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(directory), ["figures.json"])
            with open(figures, encoding="utf-8") as file:
                report = json.load(file)
        self.assertEqual([(one["name"], one["wrong"], one["points"]) for one in report["results"]],
                         [("sqlite", [], 40_000), ("sqlite-points", [], 40_000),
                          ("sqlite", [], 50_000), ("sqlite-points", [], 50_000)])
        self.assertEqual([one["sigkill"]["lost_share"] for one in report["results"][:2]], [0, 0])
        for one in report["results"]:
            self.assertTrue(all(query["verified"] for query in one["queries"].values()))
        self.assertIn("| sqlite |", done.stdout)

    def test_measures_again_what_failed(self):
        with tempfile.TemporaryDirectory() as directory:
            figures = os.path.join(directory, "figures.json")
            self.run_it("--only", "sqlite,sqlite-points", "--workload", "long", "--points", "50000",
                        "--seconds", "0", "--kill-seconds", "0", "--ask-seconds", "0.1", "--directory",
                        directory, "--json", figures)
            with open(figures, encoding="utf-8") as file:
                before = json.load(file)
            before["results"][1] = {"name": "sqlite-points", "workload": "long",
                                    "reason": "failed: no luck"}
            with open(figures, "w", encoding="utf-8") as file:
                json.dump(before, file)
            done = self.run_it("--again", figures, "--ask-seconds", "0.1", "--kill-seconds", "0",
                               "--directory", directory, "--json", figures)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(figures, encoding="utf-8") as file:
                after = json.load(file)
        self.assertEqual(after["results"][0], before["results"][0])
        self.assertEqual(after["results"][1]["points"], 40_000)
        self.assertIn("Measured again, behind the others: sqlite-points on long", done.stdout)

    def test_refuses_what_there_is_not(self):
        for arguments in (("--only", "oracle"), ("--workload", "tall"), ("--workload", "long:x")):
            done = self.run_it(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("there is no", done.stderr)


if __name__ == "__main__":
    unittest.main()
