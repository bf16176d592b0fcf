"""`stepdb import csv`: the forms it takes, what it counts, and what it refuses."""

import glob
import json
import os
import unittest

from support import STEPDB, Case


class Import(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def import_csv(self, *arguments):
        out = self.stepdb("import", "csv", *arguments, "--project", "p", "--format", "json")
        reports = [json.loads(line) for line in out.splitlines()]
        for report in reports:
            self.assertEqual(list(report), ["project", "run", "series", "read", "sent", "stored",
                                            "replaced", "skipped", "restarts"])
            self.assertEqual(report["read"], report["sent"] + report["skipped"])
            self.assertEqual(report["sent"], report["stored"] + report["replaced"])
        return reports

    def import_text(self, text, *options):
        path = self.write("log.csv", text)
        (report,) = self.import_csv(path, "--run", "r", *options)
        return report

    def points(self, run="r", metrics="**"):
        return [(row["metric"], row.get("step") or row.get("time"), row["value"])
                for row in self.query(f"{metrics} @ p/{run}")]

    def test_wide_form(self):
        report = self.import_text("step,wall_time,loss,lr\n0,100.5,2.5,nan\n1,101,,1e-3\n")
        self.assertEqual(report, {"project": "p", "run": "r", "series": 2, "read": 3, "sent": 3,
                                  "stored": 3, "replaced": 0, "skipped": 0, "restarts": 0})
        self.assertEqual(self.points(), [("loss", "0", "2.5"), ("lr", "0", "NaN"),
                                         ("lr", "1", "0.001")])

    def test_every_spelling_of_what_is_not_finite(self):
        words = ["nan", "NaN", "NAN", "inf", "Inf", "INFINITY", "-inf", "-Infinity", "+inf"]
        lines = [f"{step},{word}" for step, word in enumerate(words)]
        report = self.import_text("step,x\n" + "\n".join(lines) + "\n")
        self.assertEqual(report["sent"], len(words))
        self.assertEqual([value for _, _, value in self.points()],
                         ["NaN"] * 3 + ["Infinity"] * 3 + ["-Infinity"] * 2 + ["Infinity"])

    def test_text_is_skipped_and_counted(self):
        path = self.write("log.csv", "step,loss,note\n0,1,fine\n1,n/a,\nlast,3,x\n3,4,\n")
        done = self.run_stepdb("import", "csv", path, "--project", "p", "--run", "r", "--format",
                               "json")
        self.assertEqual(done.returncode, 0)
        report = json.loads(done.stdout)
        self.assertEqual((report["read"], report["sent"], report["skipped"], report["series"]),
                         (6, 2, 4, 1))
        self.assertIn(f"{path}: line 2, column note: 'fine'", done.stderr)
        self.assertEqual(self.points(), [("loss", "0", "1"), ("loss", "3", "4")])

    def test_again_replaces_every_point_by_itself(self):
        text = "step,loss,lr\n0,1,2\n1,3,\n2,5,6\n"
        first = self.import_text(text)
        before = self.points()
        again = self.import_text(text)
        self.assertEqual((first["stored"], first["replaced"]), (5, 0))
        self.assertEqual((again["stored"], again["replaced"]), (0, 5))
        self.assertEqual(self.points(), before)

    def test_a_step_that_repeats_replaces(self):
        report = self.import_text("step,loss,lr\n0,1,9\n1,2,9\n0,3,\n1,4,\n2,5,\n")
        self.assertEqual((report["sent"], report["stored"], report["replaced"]), (7, 5, 2))
        self.assertEqual(self.points(metrics="loss"),
                         [("loss", "0", "3"), ("loss", "1", "4"), ("loss", "2", "5")])

    def test_the_later_row_wins_whatever_else_it_has(self):
        lines = ["step,a,b,c"]
        for step in range(500):
            lines += [f"{step},1,,", f"{step},2,2,", f"{step},3,,3", f"{step},4,,"]
        self.import_text("\n".join(lines) + "\n")
        self.assertEqual({value for _, _, value in self.points(metrics="a")}, {"4"})

    def test_axis_index_keeps_what_repeats(self):
        report = self.import_text("step,loss\n0,1\n1,2\n0,3\n", "--axis", "index")
        self.assertEqual((report["stored"], report["replaced"], report["series"]), (6, 0, 2))
        self.assertEqual(self.points(metrics="loss"),
                         [("loss", "0", "1"), ("loss", "1", "2"), ("loss", "2", "3")])

    def test_without_a_step_the_time_is_the_key(self):
        report = self.import_text("timestamp,power\n2026-11-23T00:00:01Z,300\n1795392002,310\n"
                                  "1795392003000,320\n,330\n")
        self.assertEqual((report["sent"], report["skipped"]), (3, 1))
        self.assertEqual([time for _, time, _ in self.points()],
                         ["2026-11-23T00:00:01Z", "2026-11-23T00:00:02Z",
                          "2026-11-23T00:00:03Z"])

    def test_axis_time_makes_the_step_a_metric(self):
        self.import_text("step,wall_time,loss\n7,1,2\n7,2,3\n", "--axis", "time")
        self.assertEqual(self.points(), [("loss", "1970-01-01T00:00:01Z", "2"),
                                         ("loss", "1970-01-01T00:00:02Z", "3"),
                                         ("step", "1970-01-01T00:00:01Z", "7"),
                                         ("step", "1970-01-01T00:00:02Z", "7")])

    def test_columns_can_be_named(self):
        report = self.import_text("tokens,when,loss\n1000,1970-01-02,2\n",
                                  "--step-column", "tokens", "--time-column", "when")
        self.assertEqual(report["series"], 1)
        self.assertEqual(self.points(), [("loss", "1000", "2")])

    def test_times_come_from_the_file_without_a_column(self):
        path = self.write("log.csv", "step,loss\n0,1\n")
        os.utime(path, (1000000, 1000000))
        self.import_csv(path, "--run", "r")
        self.assertEqual(len(self.query("loss @ p/r | time 1970-01-12T13:46:40Z.."
                                        "1970-01-12T13:46:40Z")), 1)

    def rows_in_log(self):
        """Rows as they were sent: one sequence each."""
        (log,) = glob.glob(os.path.join(self.data, "log-*"))
        lines = self.stepdb("inspect", log, "--format", "jsonl").splitlines()
        records = [json.loads(line) for line in lines]
        return sum(record["sequences"] for record in records if record.get("type") == "rows")

    def test_lines_of_one_step_become_one_row(self):
        """Wide, but with a cell a line; a metric that comes again begins another row."""
        lines = ["step,a,b,c"]
        for step in range(10):
            lines += [f"{step},1,,", f"{step},,2,", f"{step},,,3"]
        report = self.import_text("\n".join([*lines, "9,,5,", "9,,,6"]) + "\n")
        self.assertEqual((report["sent"], report["stored"], report["replaced"]), (32, 30, 2))
        self.assertEqual(self.rows_in_log(), 11)
        self.assertEqual(self.points()[-1], ("c", "9", "6"))
        self.assertEqual(self.points(metrics="b")[-1], ("b", "9", "5"))

    def test_lines_of_one_step_and_several_times_stay_apart(self):
        self.import_text("step,wall_time,a,b\n0,1,1,\n0,2,,2\n1,3,1,\n1,3,,2\n")
        self.assertEqual(self.rows_in_log(), 3)

    def test_long_form(self):
        report = self.import_text("series,step,wall_time,value\na,0,1.5,1\nb,0,1.5,2\na,1,2.5,3\n"
                                  "b,1,2.5,inf\nb,1,2.5,5\nc,9,3,x\nd,1,3,\n")
        self.assertEqual((report["series"], report["read"], report["stored"], report["replaced"],
                          report["skipped"]), (2, 6, 4, 1, 1))
        self.assertEqual(self.points(), [("a", "0", "1"), ("a", "1", "3"), ("b", "0", "2"),
                                         ("b", "1", "5")])

    def test_a_file_of_many_shapes_of_rows(self):
        names = [f"m{column}" for column in range(12)]
        lines, want = ["step," + ",".join(names)], set()
        for step in range(1000):
            cells = []
            for column, name in enumerate(names):
                here = (step * 2654435761 >> column) % 3 == 0
                cells.append(str(step * 100 + column) if here else "")
                if here:
                    want.add((name, str(step), str(step * 100 + column)))
            lines.append(f"{step}," + ",".join(cells))
        report = self.import_text("\n".join(lines) + "\n")
        self.assertEqual(report["stored"], len(want))
        self.assertEqual(set(self.points()), want)

    def test_names_that_need_quotes(self):
        self.import_text('Step,"a, b",x y,q"q,~z,läs/üre\n0,1,2,3,4,5\n')
        self.assertEqual({name for name, _, _ in self.points()},
                         {"a, b", "x y", 'q"q', "~z", "läs/üre"})

    def test_line_ends_and_marks_of_other_systems(self):
        self.import_text("\ufeffstep,loss\r\n0,1\r\n1,2")
        self.assertEqual(self.points(), [("loss", "0", "1"), ("loss", "1", "2")])

    def test_run_ids_come_from_paths(self):
        self.write("logs/a/b c.csv", "step,x\n0,1\n")
        self.write("logs/top.csv", "step,x\n0,1\n")
        self.write("logs/notes.txt", "no log")
        reports = self.import_csv(self.path("logs"))
        self.assertEqual([report["run"] for report in reports], ["a.b_c.csv", "top.csv"])
        (report,) = self.import_csv(self.path("logs/top.csv"))
        self.assertEqual((report["run"], report["replaced"]), ("top.csv", 1))

    def test_several_files_into_one_run(self):
        first = self.write("1.csv", "step,x\n0,1\n1,1\n")
        second = self.write("2.csv", "step,x,y\n1,2,2\n2,2,2\n")
        (report,) = self.import_csv(first, second, "--run", "r")
        self.assertEqual((report["series"], report["sent"], report["stored"]), (2, 6, 5))
        self.assertEqual(self.points(metrics="x"), [("x", "0", "1"), ("x", "1", "2"),
                                                    ("x", "2", "2")])

    def test_what_is_wrong_is_named_and_nothing_is_sent(self):
        wrong = [
            ("1,2\n3,4\n", ": line 1: ", "only numbers"),
            ("step,x,x\n", ": line 1: columns 2 and 3", "'x'"),
            ("a,b\n1,2\n", ": line 1: ", "--step-column"),
            ("step\n1\n", ": line 1: ", "no column is left"),
            ("step," + "x" * 1025 + "\n", ": line 1, column 2", "1024"),
        ]
        for text, *parts in wrong:
            path = self.write("log.csv", text)
            error = self.refused("import", "csv", path, "--project", "p", "--run", "r")
            for part in [path] + parts:
                self.assertIn(part, error, text)
        self.assertEqual(self.query("runs"), [])

    def test_what_breaks_off_is_imported_up_to_there(self):
        broken = [
            ("step,x\n0,1\n1\n", ": line 3: ", "1 cells, the header 2"),
            ("step,x\n0,1\n1,2,3\n", ": line 3: ", "3 cells, the header 2"),
            ("step,x\n0,1\n1,\"2\n3,4\n", ": line 3, column 3", "quote"),
            ("series,step,value\nx,0,1\nx,1\n", ": line 3: ", "2 cells, the header 3"),
        ]
        for number, (text, *parts) in enumerate(broken):
            path = self.write("log.csv", text)
            done = self.run_stepdb("import", "csv", path, "--project", "p", "--run", f"r{number}",
                                   "--format", "json")
            self.assertEqual(done.returncode, 1)
            report = json.loads(done.stdout)
            self.assertEqual((report["sent"], report["stored"]), (1, 1))
            for part in [path, "the point before it was imported"] + parts:
                self.assertIn(part, done.stderr, text)
            self.assertEqual(self.points(f"r{number}"), [("x", "0", "1")])

    def test_one_bad_file_stops_no_other(self):
        self.write("logs/a.csv", "a,b\n")
        self.write("logs/b.csv", "step,x\n0,1\n")
        done = self.run_stepdb("import", "csv", self.path("logs"), "--project", "p", "--format",
                               "json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["run"], "b.csv")
        self.assertRegex(done.stderr, "a.csv: line 1: no column .*; nothing of it was imported\n")
        self.assertEqual([row["run"] for row in self.query("runs")], ["p/b.csv"])

    def test_name_from(self):
        report = self.import_text(
            "step,layer,kind,rank,norm\n0,h.0,mlp,1,2\n0,h.1,mlp,3,\n1,h.0,mlp,5,6\n"
            "1,h.0,mlp,7,8\n2,,mlp,9,9\n", "--name-from", "layer")
        self.assertEqual((report["series"], report["read"], report["sent"], report["replaced"],
                          report["skipped"]), (3, 14, 7, 2, 7))
        self.assertEqual(self.points(), [("h.0/norm", "0", "2"), ("h.0/norm", "1", "8"),
                                         ("h.0/rank", "0", "1"), ("h.0/rank", "1", "7"),
                                         ("h.1/rank", "0", "3")])

    def test_name_from_two_columns(self):
        self.import_text("step,layer,part,norm\n0,0,w,1\n0,0,b,2\n", "--name-from", "layer",
                         "--name-from", "part")
        self.assertEqual(self.points(), [("0/b/norm", "0", "2"), ("0/w/norm", "0", "1")])

    def test_name_from_by_index_keeps_what_repeats(self):
        self.import_text("step,layer,norm\n0,a,1\n0,b,2\n0,a,3\n", "--name-from", "layer",
                         "--axis", "index")
        self.assertEqual(self.points(metrics="*/norm"), [("a/norm", "0", "1"), ("a/norm", "1", "3"),
                                                         ("b/norm", "0", "2")])

    def test_names_that_cannot_be_are_skipped(self):
        report = self.import_text(f"series,step,value\n{'x' * 1025},0,1\ny,0,2\n,0,3\n")
        self.assertEqual((report["read"], report["sent"], report["skipped"]), (3, 1, 2))

    def test_numbers_beyond_a_double_are_rounded(self):
        self.import_text("step,x\n0,9007199254740993\n1,1e999\n2,-1e-999\n")
        self.assertEqual([value for _, _, value in self.points()],
                         ["9007199254740992", "Infinity", "-0"])

    def test_refusals_of_the_server_name_the_file_and_the_metric(self):
        self.stepdb("log", "--project", "p", "--run", "r", "power=1")
        path = self.write("log.csv", "step,loss,power\n0,1,2\n")
        error = self.refused("import", "csv", path, "--project", "p", "--run", "r")
        self.assertIn(path, error)
        self.assertIn("'power'", error)
        self.assertEqual([name for name, _, _ in self.points()], ["power"])

    def test_bad_names_are_refused_before_anything_is_sent(self):
        path = self.write("log.csv", "step,x\n0,1\n")
        self.assertIn("a/b", self.refused("import", "csv", path, "--project", "a/b"))
        self.assertIn("r#1", self.refused("import", "csv", path, "--project", "p", "--run", "r#1"))
        self.assertIn("no-such", self.refused("import", "csv", self.path("no-such.csv"),
                                              "--project", "p"))
        self.assertEqual(self.query("runs"), [])

    def test_a_path_that_is_not_there_stops_no_other(self):
        path = self.write("log.csv", "step,x\n0,1\n")
        done = self.run_stepdb("import", "csv", self.path("no-such.csv"), path, "--project", "p",
                               "--format", "json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["run"], "log.csv")
        self.assertIn("no-such.csv", done.stderr)

    def test_a_file_named_twice_is_imported_once(self):
        path = self.write("log.csv", "step,x\n0,1\n")
        (report,) = self.import_csv(path, path, os.path.join(self.directory, ".", "log.csv"))
        self.assertEqual((report["sent"], report["stored"], report["replaced"]), (1, 1, 0))

    def test_a_file_without_a_point_makes_no_run(self):
        path = self.write("log.csv", "step,x\n0,none\n")
        done = self.run_stepdb("import", "csv", path, "--project", "p", "--format", "json")
        self.assertEqual(done.returncode, 0)
        report = json.loads(done.stdout)
        self.assertEqual((report["read"], report["sent"], report["skipped"]), (1, 0, 1))
        self.assertIn("no run was opened for it", done.stderr)
        self.assertEqual(self.query("runs"), [])

    def test_a_text_column_and_repeated_steps_are_told_of_name_from(self):
        path = self.write("log.csv", "step,layer,rank\n0,a,1\n0,b,2\n")
        done = self.run_stepdb("import", "csv", path, "--project", "p")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--name-from COLUMN", done.stderr)

    def test_finish_marks_runs_whose_files_are_all_in(self):
        self.write("logs/a.csv", "step,x\n0,1\n")
        self.write("logs/b.csv", "step,x\n0,1\n1\n")
        done = self.run_stepdb("import", "csv", self.path("logs"), "--project", "p", "--finish")
        self.assertEqual(done.returncode, 1)
        states = {row["run"]: row["state"] for row in self.query("runs")}
        self.assertEqual(states, {"p/a.csv": "finished", "p/b.csv": "running"})
        self.assertIn("note: p/b.csv: not marked as finished, because not all of it is there\n",
                      done.stderr)
        self.import_csv(self.path("logs/a.csv"))
        self.assertEqual(self.query("runs p/a.csv")[0]["state"], "finished")

    def test_finish_waits_for_all_that_was_named_for_a_run(self):
        path = self.write("a.csv", "step,x\n0,1\n")
        for number, missing in enumerate((self.path("nowhere.csv"), os.path.dirname(STEPDB))):
            done = self.run_stepdb("import", "csv", path, missing, "--project", "p", "--run",
                                   f"r{number}", "--finish")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"note: p/r{number}: not marked as finished", done.stderr)
            self.assertEqual(self.query(f"runs p/r{number}")[0]["state"], "running")
        done = self.run_stepdb("import", "csv", path, self.path("nowhere.csv"), "--project", "p",
                               "--finish")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.query("runs p/a.csv")[0]["state"], "finished")

    def test_a_file_with_nothing_in_it_is_no_failure_and_is_named(self):
        for text, options in (("", []), ("\n\n", []), ("step,x\n", []), ("step,x\n0,\n", ["--finish"])):
            path = self.write("log.csv", text)
            done = self.run_stepdb("import", "csv", path, "--project", "p", "--run", "r",
                                   "--format", "json", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["read"], 0)
            self.assertIn("note: p/r: no point to import; no run was opened for it\n", done.stderr)
            self.assertIn(f"note: {path}: there is no value in it\n", done.stderr)
        self.assertEqual(self.query("runs"), [])
        # Beside another file of its run it is named too.
        other = self.write("other.csv", "step,x\n0,1\n")
        done = self.run_stepdb("import", "csv", path, other, "--project", "p", "--run", "r")
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"note: {path}: there is no value in it\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
