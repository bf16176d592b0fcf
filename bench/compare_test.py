"""bench/compare: what it makes of pairs of reports, of its command line and of two programs."""

import importlib.machinery
import importlib.util
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare")
LOADER = importlib.machinery.SourceFileLoader("compare", PATH)
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", LOADER))
LOADER.exec_module(compare)


def report(rate, p50_us=100.0):
    return {"points_per_second": rate, "ack_p50_us": p50_us, "bytes_per_point": None}


class Compare(unittest.TestCase):
    def row(self, pairs, key):
        [row] = [row for row in compare.compare(pairs) if row[0] == key]
        return row

    def test_medians_and_the_spread_of_ratios(self):
        pairs = [(report(100), report(110)), (report(50), report(100)), (report(200), report(210))]
        self.assertEqual(self.row(pairs, "points_per_second"),
                         ("points_per_second", 100, 110, 1.1, 1.05, 2.0, "better"))

    def test_a_mark_needs_all_pairs(self):
        mixed = [(report(100), report(110)), (report(100), report(90))]
        self.assertEqual(self.row(mixed, "points_per_second")[-1], "")
        slower = [(report(1, 100), report(1, 150)), (report(1, 100), report(1, 101))]
        self.assertEqual(self.row(slower, "ack_p50_us")[-1], "worse")
        self.assertEqual(self.row(slower[:1], "ack_p50_us")[-1], "", "one pair says nothing")

    def test_what_one_has_not_measured_is_left_out(self):
        keys = [row[0] for row in compare.compare([(report(1), report(2))])]
        self.assertEqual(keys, ["points_per_second", "ack_p50_us"])

    def test_older_names_are_known(self):
        old = {"points_per_second": 1, "ack_p50_ms": 0.2, "server_peak_memory_bytes": 3 << 20}
        new = {"points_per_second": 1, "ack_p50_us": 100, "server_peak_mb": 6}
        self.assertEqual(self.row([(old, new)], "ack_p50_us")[1:4], (200, 100, 0.5))
        self.assertEqual(self.row([(old, new)], "server_peak_mb")[1:4], (3, 6, 2))

    def test_the_table_reads(self):
        out = io.StringIO()
        compare.print_rows("wide", compare.compare([(report(100e6), report(150e6))] * 2), 2, out)
        self.assertIn("wide, 2 pairs", out.getvalue())
        self.assertRegex(out.getvalue(),
                         r"points_per_second +1e\+08 +1.5e\+08 +1\.500 +1\.500\.\.1\.500  better")

    def test_two_programs_run_in_turn(self):
        with tempfile.TemporaryDirectory() as directory:
            programs = []
            for name, rate in (("a", 100), ("b", 300)):
                programs.append(os.path.join(directory, name))
                with open(programs[-1], "w", encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\necho {name} $* >> {directory}/calls\n"
                               f"echo '{json.dumps(report(rate))}'\n")
                os.chmod(programs[-1], stat.S_IRWXU)
            done = subprocess.run(
                [sys.executable, "-B", PATH, "--pairs", "2", "--programs", *programs, "--", "ingest",
                 "--metrics", "7"], capture_output=True, text=True, check=True)
            self.assertRegex(done.stdout, r"points_per_second +100 +300 +3\.000")
            with open(os.path.join(directory, "calls"), encoding="utf-8") as calls:
                self.assertEqual(calls.read().splitlines(),
                                 [f"{name} bench ingest --metrics 7 --format json"
                                  for name in "abab"])

    def test_a_wrong_command_line_is_refused(self):
        done = subprocess.run([sys.executable, "-B", PATH, "--pairs", "0"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--pairs must be 1 or more", done.stderr)


if __name__ == "__main__":
    unittest.main()
