"""A real training logs while its server and itself are killed: what is stored is what it logged."""

import glob
import json
import os
import subprocess
import sys
import time
import unittest

from support import ROOT, SECONDS_MAX, Case, bits_of, interpreter_with

CLIENT = os.path.join(ROOT, "clients", "python")
JOB = os.path.join(ROOT, "tests", "e2e", "training_job.py")
sys.path.insert(0, CLIENT)
import stepdb  # noqa: E402

SPOOL_SECONDS = 0.5  # of a job that is killed; some 0.05 with a processor to spare


class Training(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("job"))
        self.start()

    def job(self, kind, python, *options):
        job = subprocess.Popen(
            [python, "-B", JOB, kind, self.path("job"), *options], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": CLIENT, "STEPDB_SPOOL": self.path("spool"),
                 "STEPDB_SERVER": self.server.address})
        self.addCleanup(job.communicate)
        self.addCleanup(job.kill)
        return job

    def wait_for_step(self, job, step):
        for line in job.stdout:
            if line.strip().isdecimal() and int(line) >= step:
                return
        self.fail(f"the job ended before step {step}: {job.stderr.read()}")

    def lose_the_server(self, job, first, last):
        """There is none from some step `first` until `last` or later."""
        self.wait_for_step(job, first)
        port = self.server.port
        self.server.kill()
        self.wait_for_step(job, last)
        self.start(port=port)

    def recorded(self, job):
        [path] = glob.glob(self.path(f"job/record-{job.pid}.jsonl"))
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines()]

    def stored(self, run):
        """{metric: {step: bits}}"""
        with stepdb.connect(self.server.address) as connection:
            found = {}
            for _, metric, step, value in connection.query(f"** @ p/{run}"):
                found.setdefault(metric, {})[step] = bits_of(value)
            return found

    @staticmethod
    def points(records):
        wanted = {}
        for record in records:
            for metric, value in record["values"].items():
                wanted.setdefault(metric, {})[record["step"]] = bits_of(value)
        return wanted

    def check(self, kind, python):
        first = self.job(kind, python)
        self.lose_the_server(first, 60, 120)
        self.lose_the_server(first, 180, 240)
        began_at = self.recorded(first)[0]["at"]
        step = 330
        while time.monotonic() < began_at + 3 * SPOOL_SECONDS:
            step += 1
            self.wait_for_step(first, step)
        killed_at = time.monotonic()
        first.kill()
        first.wait()
        with open(self.path("job/checkpoint"), "rb") as file:
            self.assertGreater(len(file.read()), 1000)
        steps = self.recorded(first)[-1]["step"] + 100
        second = self.job(kind, python, "--resume", "--steps", str(steps))
        said, errors = second.communicate(timeout=SECONDS_MAX)
        self.assertEqual(second.returncode, 0, errors)
        later = self.recorded(second)
        self.assertIn(f"{len(later)} of {len(later)} rows sent", said)
        self.check_attempts(self.recorded(first), later, killed_at)

    def check_attempts(self, earlier, later, killed_at):
        """What was recorded before a row was logged may be one row more than was logged, and what
        was logged last may not have come to the spool; nothing else is missing, nothing differs."""
        stored = self.stored("training#0")
        last = max(stored["train/loss"])
        self.assertGreaterEqual(last, max(record["step"] for record in earlier
                                          if record["at"] < killed_at - SPOOL_SECONDS))
        self.assertEqual(stored, self.points(earlier[:int(last)]))
        resumed = later[0]["step"]
        self.assertEqual((resumed - 1) % 50, 0)
        self.assertLessEqual(resumed - 1, last, "rows up to the checkpoint are there")
        newest = self.points(earlier[:resumed - 1] + later)
        self.assertEqual(self.stored("training"), newest)
        self.assertEqual(self.stored("training#1"), newest)
        self.assertIn("val/loss", newest)
        losses = [newest["train/loss"][step] for step in sorted(newest["train/loss"])]
        self.assertEqual(len(set(losses)), len(losses), "a real loss is another at each step")

    def test_with_torch(self):
        python = interpreter_with("torch")
        if python is None:
            self.skipTest("there is no torch (python3-torch of tools/packages.txt)")
        self.check("torch", python)

    def test_in_plain_python(self):
        """Stands in for torch where there is none, on an interpreter without any packages."""
        self.check("plain", sys.executable)


if __name__ == "__main__":
    unittest.main()
