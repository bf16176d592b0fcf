"""bench/stages: the table that it makes of Google Benchmark's JSON."""

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

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stages")
LOADER = importlib.machinery.SourceFileLoader("stages", PATH)
stages = importlib.util.module_from_spec(importlib.util.spec_from_loader("stages", LOADER))
LOADER.exec_module(stages)


def run(name, items=None, size=None, **more):
    rates = {"items_per_second": items, "bytes_per_second": size}
    return {"name": name, "run_name": name, "run_type": "iteration",
            **{key: rate for key, rate in rates.items() if rate is not None}, **more}


class Stages(unittest.TestCase):
    def test_names_become_stage_and_shape(self):
        self.assertEqual(stages.split_name("BM_FrameDecode/metrics:10/rows:64/real_time"),
                         ("FrameDecode", "metrics 10, rows 64"))
        self.assertEqual(stages.split_name("BM_Seal/100"), ("Seal", "100"))

    def test_rates_and_the_spread_of_repetitions(self):
        report = {"benchmarks": [run("BM_A/1", 1e8, 4e8), run("BM_A/1", 2e8, 8e8),
                                 run("BM_A/1", 4e8, 16e8), run("BM_B", None, 1e9),
                                 {**run("BM_A/1_mean", 1), "run_type": "aggregate"}]}
        self.assertEqual(stages.rows_of(report), [("A", "1", 5.0, 2e8, 8e8, "0.50..2.00"),
                                                  ("B", "", None, None, 1e9, "")])

    def test_what_failed_is_told(self):
        report = {"benchmarks": [run("BM_A", error_occurred=True, error_message="no ring")]}
        out = io.StringIO()
        stages.print_table(stages.rows_of(report), out)
        self.assertIn("no ring", out.getvalue())

    def test_the_program_is_run_and_its_table_printed(self):
        with tempfile.TemporaryDirectory() as directory:
            program = os.path.join(directory, "bench")
            with open(program, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\ncat <<END\n{json.dumps({'benchmarks': [run('BM_A/3', 2e9)]})}\nEND\n")
            os.chmod(program, stat.S_IRWXU)
            done = subprocess.run([sys.executable, "-B", PATH, "--program", program],
                                  capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"(?m)^A +3 +0\.5 +2 G +-$")

    def test_a_program_that_is_not_there_is_named(self):
        done = subprocess.run([sys.executable, "-B", PATH, "--program", "/no/program"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/no/program is not there", done.stderr)


if __name__ == "__main__":
    unittest.main()
