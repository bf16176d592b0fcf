"""What the tests of the Python client share: runs, points, and jobs that log."""

import os
import subprocess
import sys

from support import ROOT, Case, bits_of

CLIENT = os.path.join(ROOT, "clients", "python")
sys.path.insert(0, CLIENT)
import stepdb  # noqa: E402


class ClientCase(Case):
    def setUp(self):
        super().setUp()
        self.spool = os.path.join(self.directory, "spool")

    def new_run(self, run_id="r", **options):
        options.setdefault("server", self.server.address)
        run = stepdb.Run("p", run_id, spool=self.spool, **options)
        self.addCleanup(run.finish, seconds=0)
        return run

    def points(self, metric, run="r", project="p"):
        with stepdb.connect(self.server.address) as connection:
            answer = connection.query(f"{metric} @ {project}/{run}")
            return list(zip(answer.column("step").values, answer.column("value").values))

    def assert_bits(self, got, want):
        self.assertEqual([(step, bits_of(value)) for step, value in got],
                         [(step, bits_of(value)) for step, value in want])

    def job(self, code, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": CLIENT, "STEPDB_SPOOL": self.spool,
                 "STEPDB_SERVER": self.server.address}, **options)
