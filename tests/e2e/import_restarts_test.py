"""`--restarts`: where a log jumps back as a whole, what becomes of it, and that a plain reading of the
rule in docs/import.md (restarts.py) finds the same in logs made up at random."""

import json
import os
import random
import subprocess
import unittest

from restarts import attempts_of, find_restarts
from support import SECONDS_MAX, STEPDB, Case
from tfevents import event, record, simple

SEED = int(os.environ.get("STEPDB_SEED", "1"))


def made_up_log(draw):
    """Rows (step, names) of a job that crashes now and then, with late rows among them."""
    stride = draw.choice((1, 1, 1, 5, 10))
    evaluate, names = draw.choice((0, 7, 50)), draw.randint(1, 4)
    rows, step, waiting = [], 0, []
    for _ in range(draw.choice((1, 1, 2, 3, 5))):
        begin = step
        for _ in range(draw.choice((1, 2, 3, 10, 80, 300))):
            rows.append((step, tuple(f"train/{name}" for name in range(names))))
            if evaluate and step % (evaluate * stride) == 0:
                waiting.append((step, ("val/loss", "val/acc")))
            if waiting and draw.random() < 0.3:
                rows.append(waiting.pop(0))
            if draw.random() < 0.02:  # a line that was late or came twice
                rows.append((max(0, step - stride * draw.randint(1, 9)), ("train/0",)))
            step += stride
        step = draw.choice((begin, draw.randint(0, step // stride) * stride, step - stride))
        step = max(0, step)
        waiting.clear()
    return joined(rows)


def joined(rows):
    """As a CSV file is read: lines of one step that follow each other are a row."""
    out = []
    for step, names in rows:
        if out and out[-1][0] == step and not set(out[-1][1]) & set(names):
            out[-1] = (step, out[-1][1] + names)
        else:
            out.append((step, names))
    return out


class Restarts(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def import_log(self, path, *options, run="r"):
        done = self.run_stepdb("import", "csv", path, "--project", "p", "--run", run, "--format",
                               "json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def points(self, run="r", metrics="**"):
        return [(row["metric"], float(row["step"]), float(row["value"]))
                for row in self.query(f"{metrics} @ p/{run}")]

    def write_rows(self, rows, name="log.csv"):
        """The value of each point is the number of its row."""
        names = sorted({name for _, its in rows for name in its})
        lines = [",".join(["step", *names])]
        for number, (step, its) in enumerate(rows):
            lines.append(",".join([str(step), *(str(number) if name in its else ""
                                                for name in names)]))
        return self.write(name, "\n".join(lines) + "\n")

    def two_parts(self):
        return self.write_rows([(step, ("loss",)) for step in [*range(10), *range(6, 15)]])

    def test_an_attempt_begins(self):
        path = self.two_parts()
        for stored in (19, 0):
            (report,), said = self.import_log(path)
            self.assertEqual((report["sent"], report["stored"], report["restarts"]),
                             (19, stored, 1))
            self.assertIn(f"{path}: line 12, step 6 after step 9", said)
            self.assertEqual(self.points(), [("loss", step, step if step < 6 else step + 4)
                                             for step in range(15)])
            self.assertEqual(self.points("r#0"), [("loss", step, step) for step in range(10)])
        (row,) = self.query("runs p/r")
        self.assertEqual(row["attempts"], "2")

    def test_merged_the_later_point_stands(self):
        (report,), said = self.import_log(self.two_parts(), "--restarts", "merge")
        self.assertEqual((report["stored"], report["replaced"], report["restarts"]), (15, 4, 1))
        self.assertIn("jumps back as a whole once", said)
        self.assertEqual(self.points(), [("loss", step, step if step < 6 else step + 4)
                                         for step in range(15)])
        (row,) = self.query("runs p/r")
        self.assertEqual(row["attempts"], "1")

    def test_split_each_part_is_a_run(self):
        path = self.write("log.csv", "#{\"lr\": 0.5}\nstep,loss,note,acc\n0,1,x,\n1,2,,\n2,3,,\n"
                          "0,4,,1\n1,5,y,1\n2,6,,1\n3,7,,1\n")
        for is_new in (True, False):
            reports, _ = self.import_log(path, "--restarts", "split", "--finish")
            self.assertEqual([(report["run"], report["series"], report["read"], report["sent"],
                               report["stored"], report["skipped"], report["restarts"])
                              for report in reports],
                             [("r", 1, 5, 3, 3 * is_new, 2, 1),
                              ("r.restart1", 2, 8, 8, 8 * is_new, 0, 0)])
        self.assertEqual(self.points("r"), [("loss", step, step + 1) for step in range(3)])
        self.assertEqual(self.points("r.restart1", "loss"),
                         [("loss", step, step + 4) for step in range(4)])
        self.assertEqual({(row["run"], row["state"]) for row in self.query("runs p/*")},
                         {("p/r", "finished"), ("p/r.restart1", "finished")})
        for run in ("r", "r.restart1"):
            self.assertIn(("config/lr", "0.5"),
                          {(row["attribute"], row["value"])
                           for row in self.query(f"attributes p/{run}")})

    def test_a_part_comes_into_no_run_of_another_log(self):
        steps = "step,loss\n" + "".join(f"{step},1\n" for step in (0, 1, 2, 0, 1, 2, 3))
        for name in ("logs/a", "logs/a.restart1"):
            self.write(name + ".csv", steps)
        os.rename(self.path("logs/a.csv"), self.path("logs/a"))
        os.rename(self.path("logs/a.restart1.csv"), self.path("logs/a.restart1"))
        said = self.refused("import", "csv", self.path("logs/a"), self.path("logs/a.restart1"),
                            "--project", "p", "--restarts", "split")
        self.assertIn("run a.restart1 would be part 1 of a", said)

    def test_a_late_row_behind_a_restart_lands_below_it(self):
        """It is read by the newest attempt, and from the one whose step it is."""
        rows = [(step, ("loss",)) for step in range(10)]
        rows += [(step, ("loss",)) for step in range(6, 15)] + [(3, ("val",)), (15, ("loss",))]
        (report,), _ = self.import_log(self.write_rows(rows))
        self.assertEqual((report["stored"], report["replaced"]), (21, 0))
        self.assertIn(("val", 3, 19), self.points())
        self.assertIn(("val", 3, 19), self.points("r#0"))

    def test_files_of_a_run_are_one_log(self):
        def log(name, steps):
            with open(self.path(name), "wb") as file:
                for step in steps:
                    file.write(record(event(step, step, simple("x", step))))
        os.mkdir(self.path("run"))
        log("run/events.out.tfevents.9", range(10))
        log("run/events.out.tfevents.10", range(5, 15))
        log("run/events.out.tfevents.11", range(15, 20))
        out = self.stepdb("import", "tb", self.path("run"), "--project", "p", "--format", "json")
        report = json.loads(out)
        self.assertEqual((report["stored"], report["restarts"]), (25, 1))
        self.assertEqual(len(self.points("run")), 20)
        self.assertEqual(len(self.points("run#0")), 10)

    def test_other_axes_have_no_restarts(self):
        rows = ["step,wall_time,loss", *(f"{step},{at},1" for at, step in
                                         enumerate([*range(10), *range(10)]))]
        path = self.write("log.csv", "\n".join(rows) + "\n")
        for axis, series in (("time", 2), ("index", 2)):
            (report,), _ = self.import_log(path, "--axis", axis, run=axis)
            self.assertEqual((report["series"], report["stored"], report["restarts"]),
                             (series, 40, 0))

    def test_more_restarts_than_attempts_are_refused_before_anything_is_sent(self):
        path = self.write_rows([(step, ("loss",)) for _ in range(4097) for step in range(2)])
        said = self.refused("import", "csv", path, "--project", "p", "--run", "r")
        self.assertIn("jumps back 4096 times", said)
        self.assertIn("--axis index", said)
        self.assertEqual(self.query("runs"), [])
        (report,), _ = self.import_log(path, "--restarts", "merge")
        self.assertEqual((report["stored"], report["restarts"]), (2, 4096))

    def test_another_restart_of_the_run_is_refused(self):
        self.stepdb("run", "create", "p/r")
        self.stepdb("run", "restart", "p/r#1", "--at", "2")
        said = self.refused("import", "csv", self.two_parts(), "--project", "p", "--run", "r")
        self.assertIn("--restarts merge", said)
        self.assertIn("attempt 1", said)

    def test_a_log_that_grows_a_restart(self):
        rows = [(step, ("loss",)) for step in [*range(100), *range(60, 160)]]
        for known in (100, 101, 130, 180, 200):
            (report,), _ = self.import_log(self.write_rows(rows[:known]))
            self.assertEqual(report["restarts"], int(known > 101))
            want = {step: number for number, (step, _) in enumerate(rows[:known])
                    if number >= 100 or step < 60 or known < 102}
            self.assertEqual({step: value for _, step, value in self.points()}, want)

    def test_killed_in_the_middle_it_is_made_good_by_the_next(self):
        rows = [(step, ("a", "b")) for step in [*range(20000), *range(9000, 29000),
                                                *range(500, 20500)]]
        path = self.write_rows(rows)
        for attempts in ("1", "2", "3"):
            client = subprocess.Popen(
                [STEPDB, "import", "csv", path, "--project", "p", "--run", "r", "--server",
                 self.server.address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while client.poll() is None and not any(
                    row["attempts"] >= attempts for row in self.query("runs p/*")):
                pass
            client.kill()
            client.wait(timeout=SECONDS_MAX)
        (report,), _ = self.import_log(path)
        self.assertEqual((report["sent"], report["restarts"]), (2 * len(rows), 2))
        for run, first, cut in (("r", 40000, 500), ("r#1", 20000, 9000), ("r#0", 0, 0)):
            last = first + 20000
            want = {step: number for number, (step, _) in enumerate(rows[:last])
                    if number >= first or step < cut}
            self.assertEqual({step: value for _, step, value in self.points(run, "a")}, want)

    def test_logs_made_up_at_random(self):
        for seed in range(SEED, SEED + 60):
            rows = made_up_log(random.Random(seed))
            restarts = find_restarts(rows)
            attempts = attempts_of(rows, restarts)
            want = {(name, attempt, step): number
                    for number, ((step, names), attempt) in enumerate(zip(rows, attempts))
                    for name in names}
            run = f"r{seed}"
            (report,), said = self.import_log(self.write_rows(rows), run=run)
            self.assertEqual(report["restarts"], len(restarts), f"seed {seed}: {said}")
            self.assertEqual(report["stored"], len(want), f"seed {seed}")
            for attempt in range(len(restarts) + 1):
                read = {}
                for older in range(attempt + 1):
                    if older:
                        start = rows[restarts[older - 1]][0]
                        read = {key: value for key, value in read.items() if key[1] < start}
                    read.update({(name, step): value for (name, its, step), value in want.items()
                                 if its == older})
                got = {(name, step): value for name, step, value in
                       self.points(f"{run}#{attempt}")}
                self.assertEqual(got, read, f"seed {seed}, attempt {attempt}")


if __name__ == "__main__":
    unittest.main()
