"""The verdict of tests/scale/soak on records that are made up."""

import csv
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak")
LOADER = importlib.machinery.SourceFileLoader("soak", PATH)
soak = importlib.util.module_from_spec(importlib.util.spec_from_loader("soak", LOADER))
LOADER.exec_module(soak)

GOOD_SPACE = {"before_mb": 10_000, "after_mb": 1_100, "wanted_mb": 1_000}


def records(**changes):
    """Forty, level; `changes` say how a key goes with the share of the time, 0 to 1."""
    level = {"points_per_second": 1e8, "ack_p50_us": 5000, "ack_p99_us": 20_000, "rss_mb": 1000,
             "log_mb": 300, "rows_in_memory_mb": 200, "pieces_mean": 5, "pieces_most": 12,
             "store_mb": 15_000, "charts": 500, "chart_p50_ms": 4, "chart_p99_ms": 12,
             "runs_deleted": 3}
    made = []
    for number in range(1, 41):
        made.append({"seconds": number * 10.0, **level})
        for key, course in changes.items():
            made[-1][key] = course(number / 40)
    return made


class Verdict(unittest.TestCase):
    def bad(self, made, peak=1500, space=None):
        return [what for what, _, good in soak.judge(made, 2048, peak, space or GOOD_SPACE) if not good]

    def test_what_is_level_is_good(self):
        self.assertEqual(self.bad(records()), [])

    def test_growth_at_the_start_is_no_matter(self):
        self.assertEqual(self.bad(records(rss_mb=lambda at: min(1000, 8000 * at))), [])

    def test_what_grows_is_bad(self):
        grown = records(rss_mb=lambda at: 500 + 1000 * at, pieces_most=lambda at: int(100 * at),
                        ack_p99_us=lambda at: 1e5 * at, chart_p50_ms=lambda at: 10 * at)
        self.assertEqual(self.bad(grown), ["memory flat", "pieces bounded",
                                           "acknowledgements flat, p99", "charts flat, p50"])

    def test_bounds(self):
        self.assertEqual(self.bad(records(), peak=2049), ["memory bounded"])
        self.assertEqual(self.bad(records(), space={**GOOD_SPACE, "after_mb": 3000}),
                         ["space returned"])

    def test_too_few_records_are_no_proof(self):
        self.assertIn("memory flat", self.bad(records()[:1]))
        self.assertIn("charts flat, p99", self.bad(records(chart_p99_ms=lambda at: None)))

    def test_records_are_read_back(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "soak.csv")
            with open(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, soak.FIELDS)
                writer.writeheader()
                writer.writerows(records(ack_p50_us=lambda at: None if at < 0.1 else 5000))
            self.assertIsNone(soak.read_records(path)[0]["ack_p50_us"])
            done = subprocess.run([sys.executable, "-B", PATH, "--judge", path], text=True,
                                  capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"ok   memory flat +1000 MiB in the second quarter, 1000 in the")

    def test_the_exit_status_tells(self):
        out = io.StringIO()
        self.assertFalse(soak.print_verdict([("a", "1", True), ("b", "2", False)], out))
        self.assertIn("BAD  b", out.getvalue())


if __name__ == "__main__":
    unittest.main()
