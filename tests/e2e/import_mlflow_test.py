"""`stepdb import mlflow` of the SQLite database of an MLflow server: built here by the schema of MLflow,
with as many odd values as it can hold, and compared point by point."""

import json
import math
import os
import random
import sqlite3
import unittest

from support import Case

SEED = int(os.environ.get("STEPDB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

# As MLflow 2 makes them (its migrations, applied), without what nobody reads here.
SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER NOT NULL, name VARCHAR(256) NOT NULL,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32), creation_time BIGINT,
    last_update_time BIGINT, CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), UNIQUE (name));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL, name VARCHAR(250), source_type VARCHAR(20),
    source_name VARCHAR(500), entry_point_name VARCHAR(50), user_id VARCHAR(256), status VARCHAR(9),
    start_time BIGINT, end_time BIGINT, source_version VARCHAR(50), lifecycle_stage VARCHAR(20),
    artifact_uri VARCHAR(200), experiment_id INTEGER, deleted_time BIGINT,
    CONSTRAINT run_pk PRIMARY KEY (run_uuid));
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT '0' NOT NULL,
    is_nan BOOLEAN DEFAULT '0' NOT NULL,
    CONSTRAINT metric_pk PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, CONSTRAINT param_pk PRIMARY KEY (key, run_uuid));
CREATE TABLE tags (key VARCHAR(250) NOT NULL, value VARCHAR(8000),
    run_uuid VARCHAR(32) NOT NULL, CONSTRAINT tag_pk PRIMARY KEY (key, run_uuid));
"""
START = 1_700_000_000_000  # ms


class MlflowDatabase(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.file = self.path("mlflow.db")
        self.database = sqlite3.connect(self.file)
        self.addCleanup(self.database.close)
        self.database.executescript(SCHEMA)
        self.database.execute("INSERT INTO experiments VALUES (7, 'tuning', '', 'active', 0, 0)")

    def add_run(self, run, status="FINISHED", stage="active", name="bold owl"):
        self.database.execute("INSERT INTO runs VALUES (?, ?, '', '', '', 'kim', ?, ?, ?, '', ?, "
                              "'', 7, NULL)", (run, name, status, START, START + 60_000, stage))

    def log(self, run, key, value, step, time_ms):
        """As MLflow's store does."""
        is_nan = math.isnan(value)
        if is_nan:
            value = 0.0
        elif math.isinf(value):
            value = math.copysign(1.7976931348623157e308, value)
        self.database.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)",
                              (key, value, time_ms, run, step, is_nan))

    def import_file(self, *options, status=0):
        self.database.commit()
        done = self.run_stepdb("import", "mlflow", self.file, "--project", "p", "--format", "json",
                               *options)
        self.assertEqual(done.returncode, status, done.stderr)
        return {one["run"]: one for one in map(json.loads, done.stdout.splitlines())}, done.stderr

    def points(self, run):
        return {(row["metric"], int(row["step"])): float(row["value"])
                for row in self.query(f"** @ p/{run}")}

    def facts(self, run):
        return {row["attribute"]: (row["type"], row["value"])
                for row in self.query(f"attributes p/{run}")}

    def assert_same(self, got, want):
        self.assertEqual({key: repr(value) for key, value in got.items()},
                         {key: repr(value) for key, value in want.items()})

    def test_all_runs_point_by_point(self):
        print(f"STEPDB_SEED={SEED}")
        chance = random.Random(SEED)
        odd = [math.nan, math.inf, -math.inf, 5e-324, 0.1, 1 / 3, 2.0 ** 53]
        want = {}
        for run in ("3f2a", "99b1", "c0de"):
            self.add_run(run)
            for step in range(300):
                for key in chance.sample(["loss", "val/acc", "Rank IC", "a.b-c d/e"], 2):
                    value = chance.choice(odd) if chance.random() < 0.2 else chance.gauss(0, 1)
                    self.log(run, key, value, step, START + step * 1000 + chance.randrange(400))
                    want.setdefault(run, {})[(key, step)] = value
        reports, said = self.import_file()
        self.assertEqual(set(reports), {f"7.{run}" for run in want})
        for run, points in want.items():
            self.assert_same(self.points(f"7.{run}"), points)
            report = reports[f"7.{run}"]
            self.assertEqual((report["read"], report["stored"], report["skipped"]),
                             (len(points), len(points), 0))
        self.assertEqual(said, "")
        again, _ = self.import_file()
        self.assertEqual({one["stored"] for one in again.values()}, {0})

    def test_what_it_says_of_a_run(self):
        self.add_run("3f2a")
        self.add_run("99b1", status="RUNNING", name=None)
        self.add_run("dead", status="KILLED")
        for run in ("3f2a", "99b1", "dead"):
            self.log(run, "loss", 1, 0, START)
        self.database.executemany("INSERT INTO params VALUES (?, ?, '3f2a')",
                                  [("lr", "0.0003"), ("layers", "12"), ("optimizer", "adamw")])
        self.database.executemany("INSERT INTO tags VALUES (?, ?, '3f2a')",
                                  [("mlflow.user", "lee"), ("mlflow.runName", "calm crow"),
                                   ("team", "7")])
        self.import_file()
        facts = self.facts("7.3f2a")
        for name, fact in {"config/lr": ("float64", "0.0003"), "config/layers": ("int64", "12"),
                           "config/optimizer": ("string", "adamw"), "tags/team": ("string", "7"),
                           "sys/name": ("string", "calm crow"), "sys/owner": ("string", "lee"),
                           "sys/state": ("string", "finished"),
                           "mlflow/run_id": ("string", "3f2a"),
                           "mlflow/experiment": ("string", "tuning"),
                           "mlflow/start_time": ("datetime", "2023-11-14T22:13:20Z")}.items():
            self.assertEqual(facts[name], fact)
        self.assertEqual(self.facts("7.99b1")["sys/state"][1], "running")
        self.assertEqual(self.facts("7.dead")["sys/state"][1], "failed")

    def test_times_rows_and_equal_steps(self):
        self.add_run("3f2a")
        self.log("3f2a", "a", 1, 5, START)
        self.log("3f2a", "b", 2, 5, START + 800)     # the row of a
        self.log("3f2a", "c", 3, 5, START + 1500)    # one of its own
        self.log("3f2a", "a", 9, 5, START + 2000)    # stands
        self.import_file("--restarts", "merge")
        self.assertEqual(self.points("7.3f2a"), {("a", 5): 9, ("b", 5): 2, ("c", 5): 3})
        at = "2023-11-14T22:13:20Z"
        self.assertEqual([row["metric"] for row in self.query(f"** @ p/7.3f2a | time {at}..{at}")],
                         ["b"])
        self.import_file("--axis", "time", "--run", "timed")
        self.assertEqual([(row["metric"], row["time"]) for row in self.query("a @ p/timed")],
                         [("a", at), ("a", "2023-11-14T22:13:22Z")])
        self.import_file("--axis", "index", "--run", "numbered")
        self.assertEqual([(row["step"], row["value"]) for row in self.query("a @ p/numbered")],
                         [("0", "1"), ("1", "9")])

    def test_what_is_no_point_is_skipped_and_deleted_runs_left_out(self):
        self.add_run("3f2a")
        self.add_run("gone", stage="deleted")
        self.log("gone", "loss", 1, 0, START)
        self.log("3f2a", "loss", 1, 0, START)
        self.log("3f2a", "bad\nname", 1, 0, START)
        self.database.execute("INSERT INTO metrics VALUES ('loss', 'text', 5, '3f2a', 1, 0)")
        self.database.execute("INSERT INTO metrics VALUES ('loss', 1, ?, '3f2a', 2, 0)",
                              (1 << 62,))
        reports, said = self.import_file()
        self.assertEqual(list(reports), ["7.3f2a"])
        self.assertEqual((reports["7.3f2a"]["sent"], reports["7.3f2a"]["skipped"]), (1, 3))
        self.assertIn("2 malformed rows", said)
        self.assertIn("1 without a proper name", said)

    def test_what_comes_meanwhile_is_left_to_the_next_import(self):
        """A server that goes on writing, also below what has been read, in either journal mode."""
        self.database.execute("PRAGMA journal_mode = WAL")
        self.add_run("3f2a", status="RUNNING")
        self.log("3f2a", "loss", 1, 0, START)
        self.import_file()
        self.log("3f2a", "loss", 2, 1, START - 5000)
        reports, _ = self.import_file("--restarts", "merge")
        self.assertEqual((reports["7.3f2a"]["stored"], reports["7.3f2a"]["replaced"]), (1, 1))
        self.assertEqual(self.points("7.3f2a"), {("loss", 0): 1, ("loss", 1): 2})

    def test_other_databases_are_refused(self):
        self.add_run("3f2a")
        self.add_run("99b1")
        for run in ("3f2a", "99b1"):
            self.log(run, "loss", 1, 0, START)
        _, said = self.import_file("--run", "r", status=1)
        self.assertIn("which --run r would mix with those of 7.3f2a", said)
        self.database.execute("DELETE FROM runs")
        _, said = self.import_file(status=1)
        self.assertIn("there is no run in this database", said)
        self.database.execute("DROP TABLE runs")
        _, said = self.import_file(status=1)
        self.assertIn("this is no database of MLflow", said)
        self.database.close()
        with open(self.file, "r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 5000)
        _, said = self.import_file_raw()
        self.assertIn("SQLite", said)

    def import_file_raw(self):
        done = self.run_stepdb("import", "mlflow", self.file, "--project", "p")
        self.assertEqual(done.returncode, 1)
        return done.stdout, done.stderr


if __name__ == "__main__":
    unittest.main()
