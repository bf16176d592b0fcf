#!/usr/bin/env python3
"""The life of a run through the program: restarts, forks, attributes, deletes, retention; each as it
is, after SIGKILL, and after a clean stop."""

import unittest

from support import Case


class Life(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def log(self, run, step, *values, attempt=None):
        more = [] if attempt is None else ["--attempt", str(attempt)]
        self.stepdb("log", "--project", "p", "--run", run, "--step", str(step), *more, *values)

    def points(self, text):
        return [(row["run"], float(row["step"]), float(row["value"])) for row in self.query(text)]

    def attributes(self, run):
        return {row["attribute"]: (row["type"], row["value"])
                for row in self.query(f"attributes {run}")}

    def always(self, check):
        check()
        self.restart_after_kill()
        check()
        self.server.stop()
        self.start()
        check()

    def test_a_restart_reads_what_was_before_up_to_its_step(self):
        for step in (1, 2, 3):
            self.log("r", step, f"loss={step}")
        self.assertEqual(self.stepdb("run", "finish", "p/r"), "run p/r finished\n")
        self.assertEqual(self.stepdb("run", "restart", "p/r", "--at", "2"),
                         "attempt 1 of run p/r reads what was before up to step 2\n")
        # Every rank says the same.
        self.stepdb("run", "restart", "p/r#1", "--at", "2")
        self.assertIn("attempt 1 of run p/r was opened at step 2, not at step 1; all ranks",
                      self.refused("run", "restart", "p/r#1", "--at", "1"))
        self.log("r", 3, "loss=30")
        self.log("r", 1.5, "loss=15", attempt=0)  # a dead job's spool, late
        self.log("r", 4, "loss=4", attempt=0)
        self.assertIn("run p/r has no attempt 7; its newest is 1",
                      self.refused("log", "--project", "p", "--run", "r", "--step", "1",
                                   "--attempt", "7", "loss=1"))

        def check():
            self.assertEqual(self.points("loss @ p/r"),
                             [("p/r", 1, 1), ("p/r", 1.5, 15), ("p/r", 2, 2), ("p/r", 3, 30)])
            self.assertEqual(self.points("loss @ p/r#0 | steps 3.."),
                             [("p/r#0", 3, 3), ("p/r#0", 4, 4)])
            self.assertEqual(self.query("runs")[0]["state"], "running")
            self.assertEqual(self.query("runs")[0]["attempts"], "2")
        self.always(check)

    def test_timed_metrics_are_not_cut_and_a_restart_from_none_reads_nothing(self):
        self.stepdb("log", "--project", "p", "--run", "r", "--time", "100", "gpu=1")
        self.log("r", 1, "loss=1")
        self.stepdb("run", "restart", "p/r", "--at", "0")
        self.assertEqual(len(self.query("gpu @ p/r")), 1)
        self.assertEqual(self.query("loss @ p/r"), [])
        self.stepdb("run", "restart", "p/r", "--at", "none")
        self.assertEqual(self.query("** @ p/r"), [])

    def test_a_fork_is_pinned_to_its_parents_attempt(self):
        for step in (1, 2, 3):
            self.log("r", step, f"loss={step}")
        self.stepdb("set", "p/r", "config/lr=0.1", "--tag", "sweep", "--tag", "keep")
        self.assertEqual(self.stepdb("run", "fork", "p/f", "--from", "p/r", "--at", "2"),
                         "run p/f created as a fork of p/r at step 2\n")
        self.assertEqual(self.stepdb("run", "fork", "p/f", "--from", "p/r", "--at", "2"),
                         "run p/f is a fork of p/r at step 2\n")
        self.assertIn("run p/f exists and is a fork of p/r at step 2, not a fork of p/r at step 3",
                      self.refused("run", "fork", "p/f", "--from", "p/r", "--at", "3"))
        self.log("f", 2, "loss=20")
        self.log("f", 3, "loss=30")
        self.stepdb("run", "restart", "p/r", "--at", "1")
        self.log("r", 2, "loss=200")
        self.log("r", 1.5, "loss=15", attempt=0)  # late, below the fork: the fork reads it
        self.stepdb("set", "p/r", "config/lr=0.2")

        def check():
            self.assertEqual(self.points("loss @ p/f"),
                             [("p/f", 1, 1), ("p/f", 1.5, 15), ("p/f", 2, 20), ("p/f", 3, 30)])
            self.assertEqual(self.points("loss @ p/f, parent(p/f) | steps fork-0.5..fork"),
                             [("p/f", 1.5, 15), ("p/f", 2, 20), ("p/r#0", 1.5, 15), ("p/r#0", 2, 2)])
            of_fork = self.attributes("p/f")
            self.assertEqual(of_fork["config/lr"], ("float64", "0.1"))
            self.assertEqual(of_fork["sys/tags"], ("string set", "sweep"))
            self.assertEqual(of_fork["sys/parent"], ("string", "p/r#0"))
            self.assertEqual(self.attributes("p/r")["config/lr"], ("float64", "0.2"))
        self.always(check)
        self.assertIn("run p/r cannot be deleted while forks of the run exist: p/f",
                      self.refused("run", "delete", "p/r", "--yes"))
        self.assertIn("metrics of run p/r cannot be deleted while forks of the run exist: p/f",
                      self.refused("run", "delete", "p/r", "--metrics", "loss", "--yes"))
        self.assertIn("cannot be deleted while these forks of it exist: p/f; discarding it keeps",
                      self.refused("run", "delete", "p/r#0", "--yes"))
        # Without --yes they are found as well.
        for what, *arguments in (("run p/r", "p/r"),
                                 ("metrics of run p/r", "p/r", "--metrics", "loss")):
            self.assertEqual(self.refused("run", "delete", *arguments),
                             f"stepdb run: error: {what} cannot be deleted while forks of the run "
                             "exist: p/f; delete them first\n")
        self.assertIn("attempt 0 of run p/r cannot be deleted while these forks of it exist: p/f;",
                      self.refused("run", "delete", "p/r#0"))
        self.assertIn("what newer attempts and forks (p/f) read of it stays",
                      self.stepdb("run", "discard", "p/r#0"))
        self.stepdb("run", "discard", "p/r#0", "--yes")
        self.assertEqual(len(self.points("loss @ p/f")), 4)
        self.assertIn("the parent of p/f is p/r#0, an attempt that was discarded",
                      self.refused("query", "loss @ parent(p/f)"))
        # Of many parents the others are read, and the answer says which is not.
        self.assertIn("the parent of p/f is p/r#0, an attempt that was discarded",
                      self.refused("query", "loss @ parent(p/*)"))
        self.stepdb("run", "fork", "p/g", "--from", "p/f", "--at", "1")
        done = self.run_stepdb("query", "loss @ parent(p/*)", "--format", "csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("p/f,loss,"), 4)
        self.assertIn("note: the parent of p/f is p/r#0, an attempt that was discarded\n",
                      done.stderr)

    def test_what_is_discarded_is_read_no_more_and_takes_no_rows(self):
        self.log("r", 1, "loss=1")
        self.log("r", 2, "loss=2")
        self.stepdb("run", "restart", "p/r", "--at", "1")
        self.assertIn("is the newest of run p/r and cannot be discarded",
                      self.refused("run", "discard", "p/r#1", "--yes"))
        self.assertIn("would discard attempt 0 of run p/r, which reads 1 series that the run has logged",
                      self.stepdb("run", "discard", "p/r#0"))
        self.assertEqual(len(self.query("loss @ p/r#0")), 2)
        self.assertEqual(self.stepdb("run", "discard", "p/r#0", "--yes"),
                         "attempt 0 of run p/r discarded\n")
        # Again it is nothing new, with --yes or without.
        self.assertEqual(self.stepdb("run", "discard", "p/r#0"),
                         "attempt 0 of run p/r has been discarded; there is nothing to do\n")
        self.stepdb("run", "discard", "p/r#0", "--yes")
        for more in ([], ["--yes"]):
            self.assertIn("error: run p/r has no attempt 7; its newest is 1\n",
                          self.refused("run", "discard", "p/r#7", *more))
        self.assertEqual(self.attributes("p/r")["sys/attempts"], ("string", "1"))
        self.assertEqual(self.attributes("p/r")["sys/discarded"], ("string", "0"))
        self.always(lambda: self.assertEqual(self.points("loss @ p/r"), [("p/r", 1, 1)]))
        self.assertIn("of run p/r, attempt 0 was discarded; its newest is 1", self.refused("query", "loss @ p/r#0"))
        self.assertIn("attempt 0 of run p/r was discarded and takes no rows",
                      self.refused("log", "--project", "p", "--run", "r", "--step", "1",
                                   "--attempt", "0", "loss=1"))

    def test_deletes_say_first_what_they_would_remove(self):
        self.log("r", 1, "loss=1", "debug/a=1", "debug/b=2")
        said = self.stepdb("run", "delete", "p/r", "--metrics", "debug/**")
        self.assertIn("would delete the points that run p/r has logged of 2 metrics:\n"
                      "  debug/a\n  debug/b\n", said)
        self.assertEqual(len(self.query("** @ p/r")), 3)
        self.stepdb("run", "delete", "p/r", "--metrics", "debug/**", "--yes")

        def check():
            self.assertEqual([row["metric"] for row in self.query("metrics ** @ p/r")], ["loss"])
            self.assertEqual(len(self.query("** @ p/r")), 1)
        self.always(check)
        # What is logged again is there again.
        self.log("r", 2, "debug/a=5")
        self.assertEqual(self.points("debug/a @ p/r"), [("p/r", 2, 5)])
        self.assertIn("would delete run p/r with 2 series", self.stepdb("run", "delete", "p/r"))
        self.stepdb("run", "delete", "p/r", "--yes")
        self.always(lambda: self.assertEqual(self.query("runs"), []))
        self.log("r", 1, "other=1")
        self.assertEqual([row["metric"] for row in self.query("metrics ** @ p/r")], ["other"])

    def test_metrics_are_deleted_in_all_attempts(self):
        self.log("r", 1, "debug/a=1")
        self.stepdb("run", "restart", "p/r#2", "--at", "none")
        self.log("r", 1, "loss=1")
        self.stepdb("run", "delete", "p/r", "--metrics", "debug/**", "--yes")
        self.always(lambda: self.assertEqual(self.query("** @ p/r#0"), []))

    def test_attributes_keep_their_types(self):
        self.stepdb("run", "create", "p/r")
        self.stepdb("set", "p/r", "a=1", "b=0.5", "c=true", "d=null", "e=adam w",
                    "f=2026-03-01T12:00:00Z", "sys/name=the first", "--tag", "x", "--tag", "y")
        self.assertEqual(self.stepdb("set", "p/r", "b=2", "--untag", "x", "--unset", "c"),
                         "run p/r: 1 attribute set, 1 attribute removed, 1 tag taken off\n")
        self.assertIn("what is under sys/ is kept by the server",
                      self.refused("set", "p/r", "sys/attempt=3"))
        self.assertEqual(self.refused("set", "p/rr", "a=1"),
                         "stepdb set: error: there is no run 'p/rr'; did you mean 'p/r'?\n")

        def check():
            there = self.attributes("p/r")
            self.assertEqual(there["a"], ("int64", "1"))
            self.assertEqual(there["b"], ("float64", "2"))  # an int64 after a float64
            self.assertNotIn("c", there)
            self.assertEqual(there["d"], ("null", "null"))
            self.assertEqual(there["e"], ("string", "adam w"))
            self.assertEqual(there["f"], ("datetime", "2026-03-01T12:00:00Z"))
            self.assertEqual(there["sys/name"], ("string", "the first"))
            self.assertEqual(there["sys/tags"], ("string set", "y"))
            self.assertEqual(there["sys/state"], ("string", "running"))
        self.always(check)

    def test_retention_is_a_setting_of_a_project(self):
        self.log("r", 1, "loss=1")
        self.assertEqual(self.stepdb("retention", "p", "30d"),
                         "runs of p are deleted 30d after their last write, unless they are tagged "
                         "keep\n")
        self.assertEqual(self.stepdb("retention", "p", "off"), "runs of p are kept for ever\n")
        # What is gone at once is named first; a fork keeps its parent, and `keep` all it reads.
        self.stepdb("run", "fork", "p/f", "--from", "p/r", "--at", "1")
        self.log("other", 1, "loss=1")
        self.stepdb("set", "p/f", "--tag", "keep")
        self.assertEqual(self.stepdb("retention", "p", "0.000001s"),
                         "would delete 1 run within a minute: p/other. Say --yes to do "
                         "it.\n")
        self.assertEqual(self.stepdb("retention", "p"), "runs of p are kept for ever\n")
        self.assertIn("runs of p are deleted 1h after their last write",
                      self.stepdb("retention", "p", "1h"))
        self.stepdb("retention", "p", "0.000001s", "--yes")
        self.stepdb("retention", "p", "off")
        self.assertIn("'soon' is no age", self.refused("retention", "p", "soon"))
        self.assertEqual([row["run"] for row in self.query("runs p/r")], ["p/r"])

    def test_what_retention_is_set_can_be_asked(self):
        self.assertEqual(self.stepdb("retention"), "the store has no project yet\n")
        self.log("r", 1, "loss=1")
        self.stepdb("retention", "later", "36h")

        def check():
            self.assertEqual(self.stepdb("retention", "p"), "runs of p are kept for ever\n")
            self.assertEqual(self.stepdb("retention"),
                             "runs of later are deleted 36h after their last write, unless they "
                             "are tagged keep\nruns of p are kept for ever\n")
            self.assertEqual(self.query("projects"),
                             [{"project": "later", "runs": "0", "retention": "36h"},
                              {"project": "p", "runs": "1", "retention": ""}])
        self.always(check)
        self.assertIn("there is no project 'latr'; did you mean 'later'?",
                      self.refused("retention", "latr"))

    def test_what_an_action_did_is_said(self):
        self.log("r", 1, "loss=1")
        for action, said in (("heartbeat", "run p/r has shown that it is alive\n"),
                             ("fail", "run p/r failed\n"), ("finish", "run p/r finished\n")):
            self.assertEqual(self.stepdb("run", action, "p/r"), said)
        self.assertEqual(self.stepdb("run", "finish", "p/r"), "run p/r had already finished\n")
        self.assertEqual(self.stepdb("set", "p/r", "--unset", "a", "--untag", "y"),
                         "run p/r: nothing changed; it had no a; it was not tagged y\n")
        self.stepdb("set", "p/r", "a=+5", "b=nan", "c=-inf", "--tag", "y")
        self.assertEqual(self.stepdb("set", "p/r", "--unset", "a", "--tag", "y", "--tag", "z"),
                         "run p/r: 1 attribute removed, 1 tag added; it was tagged already: y\n")
        self.assertEqual(self.attributes("p/r")["b"], ("float64", "NaN"))
        self.assertEqual(self.attributes("p/r")["c"], ("float64", "-Infinity"))
        self.assertEqual(self.stepdb("run", "heartbeat", "p/r"),
                         "run p/r has finished and stays so; a restart sets it running\n")
        self.stepdb("run", "restart", "p/r", "--at", "1")
        self.assertEqual(self.stepdb("run", "finish", "p/r#0"),
                         "run p/r stays as it is: only its newest attempt, 1, can end it\n")
        self.assertEqual(self.query("runs")[0]["state"], "running")
        self.assertEqual(self.stepdb("run", "finish", "p/r#1"), "run p/r finished\n")

    def test_a_run_that_is_not_there_is_told_with_the_nearest_name(self):
        self.log("tiny", 1, "loss=1")
        said = "there is no run 'p/tinny'; did you mean 'p/tiny'?\n"
        for arguments in (["finish", "p/tinny"], ["heartbeat", "p/tinny"], ["delete", "p/tinny"],
                          ["restart", "p/tinny", "--at", "1"], ["discard", "p/tinny#0"],
                          ["delete", "p/tinny", "--yes"], ["delete", "p/tinny", "--metrics", "x"],
                          ["fork", "p/f", "--from", "p/tinny", "--at", "1"]):
            self.assertEqual(self.refused("run", *arguments), "stepdb run: error: " + said)
        self.assertIn("there is no metric 'lost' in run p/tiny; did you mean 'loss'?\n",
                      self.refused("run", "delete", "p/tiny", "--metrics", "lost"))
        self.assertEqual([row["run"] for row in self.query("runs")], ["p/tiny"])
        self.stepdb("run", "fork", "p/fork", "--from", "p/tiny", "--at", "1")
        self.log("fork", 2, "own=1")
        self.assertIn("itself has logged nothing that matches loss;",
                      self.refused("run", "delete", "p/fork", "--metrics", "own", "loss"))
        for metrics in ("loss", "lo*"):
            self.assertIn(f"run p/fork itself has logged nothing that matches {metrics}; it shows "
                          "what its parent has logged, which is deleted there",
                          self.refused("run", "delete", "p/fork", "--metrics", metrics))


if __name__ == "__main__":
    unittest.main()
