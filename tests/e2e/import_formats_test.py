"""`stepdb import` of every format but plain CSV: what they take, how rows are made, what they
skip, where they break off; and that an import that was killed is made good by the next."""

import json
import os
import struct
import subprocess
import unittest
import zlib

import tfevents
from support import ROOT, SECONDS_MAX, STEPDB, Case
from tfevents import VERSION, event, record, simple, tensor, write_events


class ImportFormats(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def check_report(self, report):
        self.assertEqual(list(report), ["project", "run", "series", "read", "sent", "stored",
                                        "replaced", "skipped", "restarts"])
        self.assertEqual(report["read"], report["sent"] + report["skipped"])
        self.assertEqual(report["sent"], report["stored"] + report["replaced"])

    def import_logs(self, *arguments, status=0):
        """(reports, what it said on stderr)"""
        done = self.run_stepdb("import", *arguments, "--project", "p", "--format", "json")
        self.assertEqual(done.returncode, status, done.stderr)
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        for report in reports:
            self.check_report(report)
        return reports, done.stderr

    def import_lines(self, text, *options, status=0):
        path = self.write("log.jsonl", text)
        reports, said = self.import_logs("jsonl", path, "--run", "r", *options, status=status)
        return reports[0] if reports else None, said

    def facts(self, run="r"):
        """name: (type, value) of the attributes that are not the server's own"""
        own = ("sys/attempt", "sys/created", "sys/last_write", "sys/writers")
        return {row["attribute"]: (row["type"], row["value"])
                for row in self.query(f"attributes p/{run}") if row["attribute"] not in own}

    def points(self, run="r", metrics="**"):
        return [(row["metric"], row.get("step") or row.get("time"), row["value"])
                for row in self.query(f"{metrics} @ p/{run}")]


class TensorBoard(ImportFormats):
    def events(self, name, *events, tail=b""):
        return write_events(self.path(name), [VERSION, *events], tail)

    def test_every_encoding(self):
        path = self.events(
            "run/events.out.tfevents.1",
            event(1.5, 3, simple("simple", 0.1), tensor("float", 1, struct.pack("<f", 2.5)),
                  tensor("double", 2, struct.pack("<d", 0.1)),
                  tensor("int64", 9, fields=tfevents.number_field(10, -5)),
                  tensor("bool", 10, fields=tfevents.number_field(11, 1)),
                  tensor("half", 19, fields=tfevents.number_field(13, 0x3C00)),
                  tensor("bfloat16", 14, struct.pack("<H", 0x7F80))))
        (report,), _ = self.import_logs("tensorboard", path, "--run", "r")
        self.assertEqual((report["series"], report["stored"]), (7, 7))
        self.assertEqual(self.points(), [
            ("bfloat16", "3", "Infinity"), ("bool", "3", "1"), ("double", "3", "0.1"),
            ("float", "3", "2.5"), ("half", "3", "1"), ("int64", "3", "-5"),
            ("simple", "3", "0.10000000149011612")])

    def test_a_row_takes_the_time_of_its_first_scalar(self):
        self.events("run/tfevents", event(100.0, 1, simple("a", 1)), event(100.4, 1, simple("b", 2)),
                    event(101.5, 1, simple("c", 3)))
        self.import_logs("tb", self.path("run"))
        at = "1970-01-01T00:01:40Z"
        self.assertEqual([row["metric"] for row in self.query(f"** @ p/run | time {at}..{at}")],
                         ["a", "b"])
        self.import_logs("tb", self.path("run"), "--row-window", "100ms", "--run", "narrow")
        self.assertEqual([row["metric"] for row in self.query(f"** @ p/narrow | time {at}..{at}")],
                         ["a"])
        for wrong in ("1", "-1s", "x", "1d", "nans", "1e9s"):
            self.assertIn(wrong, self.refused("import", "tb", self.path("run"), "--project", "p",
                                              "--row-window=" + wrong))

    def test_what_is_no_scalar_is_skipped_by_kind(self):
        path = self.events(
            "run/tfevents",
            event(1, 0, simple("loss", 1), tfevents.bytes_field(1, b"h") + tfevents.bytes_field(5, b""),
                  tensor("words", 7, fields=tfevents.bytes_field(8, b"hello")),
                  tensor("many", 1, struct.pack("<2f", 1, 2), shape=[2])),
            event(2, 1, tfevents.bytes_field(1, b"i") + tfevents.bytes_field(4, b"")))
        (report,), said = self.import_logs("tensorboard", path)
        self.assertEqual((report["sent"], report["skipped"]), (1, 4))
        self.assertIn("1 histograms, 1 images, 1 tensors of many elements, 1 text", said)
        self.assertIn("record 2, tag 'h'", said)

    def test_a_tree_is_a_run_a_directory(self):
        for name in ("tree/a/b c/tfevents", "tree/a/events.out.tfevents.1",
                     "tree/events.out.tfevents.9.host", "tree/a/events.out.tfevents.10"):
            self.events(name, event(1, 0, simple(name.rsplit("/", 1)[1], 1)))
        self.write("tree/notes.txt", "no log")
        for tree in (self.path("tree"), "tree", "tree/", "./tree/a/.."):
            reports, _ = self.import_logs("tensorboard", tree)
            self.assertEqual({report["run"]: report["series"] for report in reports},
                             {"tree": 1, "a": 2, "a.b_c": 1})
        (report,), _ = self.import_logs("tensorboard", "tree/a/b c/tfevents")
        self.assertEqual(report["run"], "tfevents")

    def test_of_merged_restarts_the_later_point_stands(self):
        self.events("run/events.out.tfevents.9", *[event(step, step, simple("x", step))
                                                   for step in range(10)])
        self.events("run/events.out.tfevents.10", *[event(99, step, simple("x", -step))
                                                    for step in range(5, 15)])
        (report,), said = self.import_logs("tensorboard", self.path("run"), "--restarts", "merge")
        self.assertEqual((report["sent"], report["stored"], report["replaced"]), (20, 15, 5))
        self.assertIn("5 points replaced", said)
        self.assertEqual([value for _, _, value in self.points("run")],
                         [str(step if step < 5 else -step) for step in range(15)])

    def test_axis_index_keeps_what_repeats(self):
        path = self.events("run/tfevents", *[event(1, 0, simple("x", value))
                                             for value in range(3)])
        (report,), _ = self.import_logs("tb", path, "--run", "r", "--axis", "index")
        self.assertEqual(report["replaced"], 0)
        self.assertEqual(self.points(), [("x", "0", "0"), ("x", "1", "1"), ("x", "2", "2")])

    def test_a_torn_file_is_imported_up_to_the_break(self):
        torn = self.events("tree/a/tfevents.1", event(1, 0, simple("x", 1)),
                           tail=record(event(2, 1, simple("x", 2)))[:-1])
        self.events("tree/a/tfevents.2", event(3, 2, simple("x", 3)))
        self.events("tree/b/tfevents", event(3, 2, simple("x", 3)))
        self.write("tree/c/tfevents", "this is something else")
        reports, said = self.import_logs("tensorboard", self.path("tree"), status=1)
        self.assertEqual({report["run"]: report["stored"] for report in reports},
                         {"a": 2, "b": 1})
        where = os.path.getsize(torn) - len(record(event(2, 1, simple("x", 2)))) + 1
        self.assertIn(f"{torn}: byte {where}, record 3: the file ends within this record", said)
        self.assertIn("the point before it was imported", said)
        self.assertRegex(said, "c/tfevents: byte 0, record 1: this is no event file.*; nothing of it "
                               "was imported\n")

    def test_a_damaged_record_ends_the_file(self):
        bad = bytearray(record(event(2, 1, simple("x", 2))))
        bad[-6] ^= 1
        path = self.events("run/tfevents", event(1, 0, simple("x", 1)),
                           tail=bytes(bad) + record(event(3, 2, simple("x", 3))))
        (report,), said = self.import_logs("tensorboard", path, "--run", "r", status=1)
        self.assertEqual(report["stored"], 1)
        self.assertIn("record 3: the data does not match its checksum", said)

    def test_a_file_that_grows_is_imported_again(self):
        path = self.events("run/tfevents", event(1, 0, simple("x", 1)))
        self.import_logs("tensorboard", self.path("run"))
        with open(path, "ab") as file:
            file.write(record(event(2, 1, simple("x", 2))))
        (report,), _ = self.import_logs("tensorboard", self.path("run"))
        self.assertEqual((report["stored"], report["replaced"]), (1, 1))

    def test_a_directory_without_event_files(self):
        self.write("tree/log.csv", "step,x\n0,1\n")
        self.assertIn("*tfevents*", self.refused("import", "tb", self.path("tree"), "--project",
                                                 "p"))


class JsonLines(ImportFormats):
    def test_objects_are_flattened(self):
        report, said = self.import_lines(
            '{"step": 0, "loss": 1.5, "perf": {"cpu": 0.1, "net": {"in": 3}}, "done": false}\n'
            '\n'
            '{"step": 1, "loss": NaN, "perf": {"cpu": Infinity}, "done": true, "note": "x",'
            ' "list": [1, 2], "gone": null, "words": "-Infinity"}')
        self.assertEqual((report["series"], report["read"], report["skipped"]), (5, 10, 2))
        self.assertIn("1 arrays, 1 strings", said)
        self.assertIn("line 3, note: 'x' is no number", said)
        self.assertEqual(self.points(), [
            ("done", "0", "0"), ("done", "1", "1"), ("loss", "0", "1.5"), ("loss", "1", "NaN"),
            ("perf/cpu", "0", "0.1"), ("perf/cpu", "1", "Infinity"), ("perf/net/in", "0", "3"),
            ("words", "1", "-Infinity")])

    def test_numbers_are_the_nearest_double(self):
        self.import_lines('{"step": 0, "x": 9007199254740993}\n{"step": 1, "x": 0.1}\n'
                          '{"step": 2, "x": 1e999}\n{"step": 3, "x": -0.0}\n')
        self.assertEqual([value for _, _, value in self.points()],
                         ["9007199254740992", "0.1", "Infinity", "-0"])

    def test_fields_can_be_named(self):
        text = '{"at": {"n": 5, "when": "1970-01-02"}, "step": 1, "x": 2}\n'
        for step, time in (("at/n", "at/when"), ("at.n", "at.when")):
            report, _ = self.import_lines(text, "--step-column", step, "--time-column", time)
            self.assertEqual(report["series"], 2)
        self.assertEqual(self.points(), [("step", "5", "1"), ("x", "5", "2")])
        self.assertEqual(len(self.query("x @ p/r | time 1970-01-02..1970-01-02")), 1)
        path = self.write("log.jsonl", text)
        error = self.refused("import", "jsonl", path, "--project", "p", "--step-column", "no")
        self.assertIn("'no'", error)
        self.assertIn("at/n, at/when, step, x", error)

    def test_without_a_step_the_time_is_the_key(self):
        report, _ = self.import_lines('{"timestamp": 1.5, "x": 1}\n{"timestamp": null, "x": 2}\n')
        self.assertEqual((report["sent"], report["skipped"]), (1, 1))
        self.assertEqual(self.points(), [("x", "1970-01-01T00:00:01.500Z", "1")])

    def test_axes(self):
        text = '{"step": 7, "_timestamp": 1, "x": 1}\n{"step": 7, "_timestamp": 2, "x": 2}\n'
        self.import_lines(text, "--axis", "index")
        self.assertEqual(self.points(), [("step", "0", "7"), ("step", "1", "7"), ("x", "0", "1"),
                                         ("x", "1", "2")])
        self.write("log.jsonl", text)
        self.import_logs("jsonl", self.path("log.jsonl"), "--run", "t", "--axis", "time")
        self.assertEqual([(name, value) for name, _, value in self.points("t")],
                         [("step", "7"), ("step", "7"), ("x", "1"), ("x", "2")])

    def test_a_line_without_a_step_is_skipped(self):
        report, said = self.import_lines('{"config": 1}\n{"step": 0, "x": 1}\n{"step": "?", "x": 1}')
        self.assertEqual((report["read"], report["sent"], report["skipped"]), (3, 1, 2))
        self.assertIn("2 without a step", said)

    def test_a_name_that_comes_twice(self):
        report, said = self.import_lines('{"step": 0, "x": 1, "x": 2, "a/b": 3, "a": {"b": 4}}\n')
        self.assertEqual((report["read"], report["sent"], report["skipped"]), (4, 2, 2))
        self.assertIn("2 named twice in a line", said)
        self.assertEqual(self.points(), [("a/b", "0", "4"), ("x", "0", "2")])

    def test_what_breaks_off_is_imported_up_to_there(self):
        for number, (tail, *parts) in enumerate([
                ('{"step": 2, "x"', "line 3: column 16", "cut off"),
                ('[1]\n{"step": 3, "x": 1}\n', "line 3: column 1"),
                ('{"step": 2, "x": 1} more\n', "line 3: column 21"),
                ('{"a": ' * 65 + "1" + "}" * 65 + "\n", "line 3", "64 levels")]):
            path = self.write("log.jsonl", '{"step": 0, "x": 0}\n{"step": 1, "x": 1}\n' + tail)
            (report,), said = self.import_logs("jsonl", path, "--run", f"r{number}", status=1)
            self.assertEqual((report["sent"], report["stored"]), (2, 2))
            for part in [path, "2 points before it were imported"] + parts:
                self.assertIn(part, said)

    def test_what_is_no_log_is_refused(self):
        for text in ('[\n{"step": 1}\n]', "step,x\n0,1\n", '{"x": 1}\n'):
            path = self.write("log.jsonl", text)
            self.assertIn(path, self.refused("import", "jsonl", path, "--project", "p"))
        self.assertEqual(self.query("runs"), [])

    def test_a_file_with_nothing_in_it_is_no_failure(self):
        for kind, text in (("jsonl", ""), ("jsonl", "\n\n"), ("tb", "")):
            path = self.write("tfevents", text)
            (report,), said = self.import_logs(kind, path, "--run", "r")
            self.assertEqual((report["read"], report["sent"]), (0, 0))
            self.assertIn(f"note: {path}: there is no value in it\n", said)
        self.assertEqual(self.query("runs"), [])

    def test_directories(self):
        for name in ("a/result.json", "b.jsonl", "c/d.ndjson"):
            self.write("tree/" + name, '{"step": 0, "x": 1}\n')
        self.write("tree/config.json", "{}")
        reports, _ = self.import_logs("jsonl", self.path("tree"))
        self.assertEqual([report["run"] for report in reports],
                         ["a.result.json", "b.jsonl", "c.d.ndjson"])


class TrainerState(ImportFormats):
    TEXT = ('{"epoch": 1.0, "log_history": [{"loss": NaN, "step": 10, "left": "59h"},'
            ' {"loss": 2.5, "step": 20}, {"eval_loss": 3.5, "step": 20}],'
            ' "max_steps": 20, "best_metric": null, "trial_params": {"lr": 0.1}}')

    def test_history_and_settings(self):
        path = self.write("out/checkpoint-20/trainer_state.json", self.TEXT)
        for replaced in (0, 3):
            (report,), said = self.import_logs("hf", self.path("out"))
            self.assertEqual(report["run"], "checkpoint-20.trainer_state.json")
            self.assertEqual((report["sent"], report["replaced"], report["skipped"]),
                             (3, replaced, 1))
            self.assertIn("1 strings", said)
            self.assertEqual(self.points(report["run"]), [
                ("eval_loss", "20", "3.5"), ("loss", "10", "NaN"), ("loss", "20", "2.5")])
            self.assertEqual(self.facts(report["run"]), {
                "config/lr": ("float64", "0.1"), "config/max_steps": ("int64", "20"),
                "sys/state": ("string", "running"), "trainer/epoch": ("float64", "1")})
        with open(path, "a", encoding="utf-8") as file:
            file.write("more")
        (report,), said = self.import_logs("hf", path, "--run", "r", "--finish", status=1)
        self.assertEqual(report["sent"], 3)
        self.assertIn("something follows the object; the 3 points before it were imported", said)

    def test_what_is_none_is_refused(self):
        path = self.write("trainer_state.json", '{"step": 1}')
        self.assertIn("no log_history", self.refused("import", "hf", path, "--project", "p"))


class Mlflow(ImportFormats):
    def write_run(self, name, status=None):
        run = f"mlruns/7/{name}/"
        self.write(run + "metrics/train/loss", "1000 1.5 0\n1100 nan 1\n")
        self.write(run + "metrics/Rank IC", "1101 0.25 1\n1200 x 2\n")
        self.write(run + "params/lr", "3e-4")
        self.write(run + "params/model.layers", "12")
        self.write(run + "params/amp", "True")
        self.write(run + "params/started", "2024-10-13")
        self.write(run + "params/optimizer", "adamw")
        self.write(run + "tags/mlflow.runName", "bold owl")
        self.write(run + "tags/team", "speech")
        if status is not None:
            self.write(run + "meta.yaml", f"experiment_id: '7'\nrun_id: {name}\n"
                       f"start_time: 1766470857502\nstatus: {status}\nuser_id: me\n")

    def test_a_run_with_all_that_it_has(self):
        self.write("mlruns/7/meta.yaml", "experiment_id: '7'\nname: sweep\n")
        self.write_run("a", 3)
        want = {
            "config/amp": ("bool", "true"), "config/lr": ("float64", "0.0003"),
            "config/model.layers": ("int64", "12"), "config/optimizer": ("string", "adamw"),
            "config/started": ("datetime", "2024-10-13T00:00:00Z"),
            "mlflow/experiment": ("string", "sweep"), "mlflow/experiment_id": ("string", "7"),
            "mlflow/run_id": ("string", "a"),
            "mlflow/start_time": ("datetime", "2025-12-23T06:20:57.502Z"),
            "sys/name": ("string", "bold owl"), "sys/owner": ("string", "me"),
            "sys/state": ("string", "finished"), "tags/team": ("string", "speech")}
        for replaced in (0, 3):
            (report,), said = self.import_logs("mlflow", self.path("mlruns"))
            self.assertEqual((report["run"], report["sent"], report["replaced"],
                              report["skipped"]), ("7.a", 3, replaced, 1))
            self.assertIn("1 line skipped (1 malformed lines)", said)
            self.assertIn("Rank IC: line 2: '1200 x 2'", said)
            self.assertEqual(self.points("7.a"), [
                ("Rank IC", "1", "0.25"), ("train/loss", "0", "1.5"), ("train/loss", "1", "NaN")])
            self.assertEqual(self.facts("7.a"), want)

    def test_states(self):
        for status, state in ((1, "running"), (2, "running"), (4, "failed"), ("KILLED", "failed"),
                              ("FINISHED", "finished"), (None, "running")):
            self.write_run(f"r{status}", status)
            self.import_logs("mlflow", self.path(f"mlruns/7/r{status}"))
            self.assertEqual(self.facts(f"r{status}")["sys/state"][1], state)
        for status, state in ((1, "finished"), (4, "failed")):
            self.import_logs("mlflow", self.path(f"mlruns/7/r{status}"), "--finish")
            self.assertEqual(self.facts(f"r{status}")["sys/state"][1], state)

    def test_a_run_that_logged_nothing_is_a_run(self):
        self.write("mlruns/7/a/meta.yaml", "run_id: a\nstatus: 4\n")
        self.write("mlruns/7/a/params/lr", "0.5")
        (report,), said = self.import_logs("mlflow", self.path("mlruns"))
        self.assertEqual((report["run"], report["sent"]), ("7.a", 0))
        self.assertIn("what the log says of its run was taken", said)
        self.assertEqual(self.facts("7.a")["sys/state"], ("string", "failed"))

    def test_what_is_no_run_is_named(self):
        self.write("other/log.csv", "step,x\n")
        self.assertIn("there is no MLflow run in", self.refused(
            "import", "mlflow", self.path("other"), "--project", "p"))
        self.assertIn("is no MLflow run", self.refused(
            "import", "mlflow", self.path("other/log.csv"), "--project", "p"))


class Console(ImportFormats):
    def test_patterns_of_ones_own(self):
        path = self.write("train.log", "loading\n[2024-01-01 00:00:01] it 5 loss 2.5 acc=0.5 n=x\n"
                          "  memory: 12.5 GiB\n[2024-01-01 00:00:02] it 6 loss nan\n")
        patterns = self.write("mine.txt", "line ^\\[(?P<time>[^]]+)\\] it (?P<step>\\d+) "
                              "loss (?P<loss>\\S+)\npairs (?P<name>\\w+)=(?P<value>\\S+)\n"
                              "line memory: (?P<memory>[\\d.]+)\n")
        for axis, key in (("auto", "5"), ("time", "2024-01-01T00:00:01Z"), ("index", "0")):
            (report,), said = self.import_logs("console", path, "--run", axis, "--axis", axis,
                                               "--patterns", patterns)
            self.assertEqual((report["read"], report["sent"], report["skipped"]), (5, 4, 1))
            self.assertIn("1 text); the first: " + path + ": line 2, n: 'x' is no number", said)
            self.assertEqual(self.points(axis)[:2], [("acc", key, "0.5"), ("loss", key, "2.5")])
        self.assertEqual(self.points("auto")[2:], [("loss", "6", "NaN"), ("memory", "5", "12.5")])

    def test_what_is_wrong_with_patterns_is_told(self):
        path = self.write("train.log", "x\n")
        bad = self.write("bad.txt", "line it (?P<step>\\d+\n")
        self.assertIn("bad.txt: line 1: the regex", self.refused(
            "import", "console", path, "--patterns", bad, "--project", "p"))
        self.assertIn("megatron, all (of them) or a file", self.refused(
            "import", "console", path, "--patterns", "none", "--project", "p"))
        (report,), said = self.import_logs("console", path, "--run", "r")
        self.assertEqual(report["read"], 0)
        self.assertIn(f"note: {path}: there is no value in it that the patterns find; --patterns "
                      "gives others\n", said)


class Wandb(ImportFormats):
    @staticmethod
    def fragment(data):
        data = b"\x01" + data
        return struct.pack("<IH", zlib.crc32(data), len(data) - 1) + data

    @staticmethod
    def item(key, text):
        return tfevents.bytes_field(2, key) + tfevents.bytes_field(16, text)

    def write_log(self, *more, tail=b""):
        field, number = tfevents.bytes_field, tfevents.number_field
        stamp = number(1, 100) + number(2, 5000)
        config = field(1, self.item(b"lr", b"0.1")) + field(1, self.item(b"_wandb", b"{}"))
        records = [
            field(17, field(1, b"3f2a") + field(8, b"bold owl") + field(10, b"sweep")
                  + field(17, stamp) + field(4, config)),
            field(2, field(1, self.item(b"loss", b"NaN")) + field(1, self.item(b"_step", b"4"))
                  + field(1, self.item(b"_timestamp", b"99.5")) + field(2, number(1, 4))),
            field(7, field(2, stamp) + field(3, self.item(b"cpu", b"12.5"))), *more]
        path = self.path("wandb/run-1-3f2a/run-3f2a.wandb")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b":W&B\xe1\xbe\0" + b"".join(map(self.fragment, records)) + tail)
        return path

    def test_history_system_and_facts(self):
        self.write_log(tfevents.bytes_field(18, tfevents.number_field(1, 1)))
        for replaced in (0, 2):
            (report,), said = self.import_logs("wandb", self.path("wandb"))
            run = "run-1-3f2a.run-3f2a.wandb"
            self.assertEqual((report["run"], report["sent"], report["replaced"]),
                             (run, 2, replaced))
            self.assertEqual(self.points(run), [
                ("_system/cpu", "1970-01-01T00:01:40.000005Z", "12.5"), ("loss", "4", "NaN")])
            self.assertEqual(self.facts(run), {
                "config/lr": ("float64", "0.1"), "sys/name": ("string", "bold owl"),
                "sys/state": ("string", "failed"), "sys/tags": ("string set", "sweep"),
                "wandb/run_id": ("string", "3f2a"),
                "wandb/start_time": ("datetime", "1970-01-01T00:01:40.000005Z")})

    def test_a_log_that_breaks_off(self):
        path = self.write_log(tail=self.fragment(b"whatever")[:-1])
        (report,), said = self.import_logs("wandb", path, "--run", "r", "--finish", status=1)
        self.assertEqual((report["sent"], report["stored"]), (2, 2))
        self.assertEqual(said.count("error"), 1)
        self.assertEqual(said.count("the file ends within this record"), 1)
        self.assertIn("record 4: the file ends within this record; the 2 points before it were "
                      "imported", said)
        self.assertEqual(self.facts()["sys/state"][1], "running")
        self.write("other.wandb", "no log")
        self.assertIn("this is no log of W&B", self.refused(
            "import", "wandb", self.path("other.wandb"), "--project", "p"))


class NvidiaSmi(ImportFormats):
    HEADER = "timestamp, index, name, clocks.current.sm [MHz], fan.speed [%]\n"

    def test_several_gpus(self):
        path = self.write("nvsmi.csv", self.HEADER + (
            "2026/04/21 20:54:20.434, 0, NVIDIA H100, 345 MHz, [N/A]\n"
            "2026/04/21 20:54:20.435, 1, NVIDIA H100, 360 MHz, 30 %\n"))
        (report,), said = self.import_logs("nvidia-smi", path, "--run", "r")
        self.assertEqual((report["sent"], report["skipped"]), (3, 3))
        self.assertIn("'NVIDIA H100' is no number", said)
        first, second = "2026-04-21T20:54:20.434Z", "2026-04-21T20:54:20.435Z"
        want = [("gpu.0/clocks.current.sm", first, "345"),
                ("gpu.1/clocks.current.sm", second, "360"), ("gpu.1/fan.speed", second, "30")]
        self.assertEqual(self.points(), want)
        nounits = self.write("nounits-nvsmi.csv", self.HEADER + (
            "2026/04/21 20:54:20.434, 0, NVIDIA H100, 345, [N/A]\n"
            "2026/04/21 20:54:20.435, 1, NVIDIA H100, 360, 30\n"))
        self.import_logs("nvidia-smi", nounits, "--run", "nounits")
        self.assertEqual(self.points("nounits"), want)
        reports, _ = self.import_logs("nvidia-smi", self.directory)
        self.assertEqual([report["run"] for report in reports], ["nounits-nvsmi.csv", "nvsmi.csv"])


class Monitor(ImportFormats):
    TEXT = ('#{"t_start": 1624568444.5, "env_id": "Fetch", "gym": {"version": 0.21}}\n'
            "r,l,t\n-50.0,50,2.25\n-40.0,50,3.5\n")

    def test_episodes(self):
        path = self.write("0.monitor.csv", self.TEXT)
        (report,), said = self.import_logs("monitor", path, "--run", "r")
        self.assertEqual((report["sent"], report["skipped"], said), (6, 0, ""))
        self.assertEqual(self.points(), [("l", "0", "50"), ("l", "1", "50"), ("r", "0", "-50"),
                                         ("r", "1", "-40"), ("t", "0", "2.25"), ("t", "1", "3.5")])
        at = "2021-06-24T21:00:48Z"
        self.assertEqual(len(self.query(f"r @ p/r | time {at}..{at}")), 1)
        want = {"config/env_id": ("string", "Fetch"), "config/gym/version": ("float64", "0.21"),
                "sys/state": ("string", "running")}
        self.assertEqual(self.facts(), want)
        (report,), _ = self.import_logs("monitor", path, "--run", "r")
        self.assertEqual((report["stored"], report["replaced"]), (0, 6))
        self.assertEqual(self.facts(), want)
        self.import_logs("csv", path, "--run", "timed")
        self.assertEqual(self.points("timed", "r")[1], ("r", at, "-40"))

    def test_what_it_says_of_the_run_is_taken_without_a_point(self):
        path = self.write("0.monitor.csv", self.TEXT[:self.TEXT.index("-50")])
        (report,), said = self.import_logs("monitor", path, "--run", "r")
        self.assertEqual(report["sent"], 0)
        self.assertIn("no point to import; what the log says of its run was taken", said)
        self.assertIn("config/env_id", self.facts())

    def test_what_can_be_no_attribute_is_left_out(self):
        path = self.write("0.monitor.csv", '#{"layers": [1, 2], "a": 1}\nr\n1\n')
        _, said = self.import_logs("monitor", path, "--run", "r")
        self.assertIn("1 attribute left out; the first: attribute 'config/layers': an array", said)
        self.assertEqual(self.facts()["config/a"], ("int64", "1"))


class Examples(ImportFormats):
    def test_they_are_what_the_converter_makes(self):
        logs = os.path.join(ROOT, "examples", "logs")
        events = os.path.join("tensorboard", "events.out.tfevents.1795455830")
        subprocess.run(["python3", os.path.join(ROOT, "examples", "convert_log.py"),
                        os.path.join(logs, "char-model.csv"), "--events", self.path(events),
                        "--jsonl", self.path("char-model.jsonl")], check=True,
                       timeout=SECONDS_MAX)
        for name in (events, "char-model.jsonl"):
            with open(os.path.join(logs, name), "rb") as want, open(self.path(name), "rb") as got:
                self.assertEqual(got.read(), want.read(), name)

    def test_each_format_gives_the_same_series(self):
        logs = os.path.join(ROOT, "examples", "logs")
        for name, file in (("csv", "char-model.csv"), ("jsonl", "char-model.jsonl"),
                           ("tensorboard", "tensorboard")):
            self.import_logs(name, os.path.join(logs, file), "--run", name)
        for metric in ("train/loss", "val/loss", "layers/hidden/grad_norm"):
            got = {name: [(row["step"], struct.pack("<f", float(row["value"])))
                          for row in self.query(f"{metric} @ p/{name} | steps ..399")]
                   for name in ("csv", "jsonl", "tensorboard")}
            self.assertGreaterEqual(len(got["csv"]), 4)
            self.assertEqual(got["jsonl"], got["csv"])
            self.assertEqual(got["tensorboard"], got["csv"])


class Interrupted(ImportFormats):
    ROWS = 60000

    def write_log(self):
        """Every step twice, so that an old point that lands late would be seen."""
        lines = [f'{{"step": {row % (self.ROWS // 2)}, "a": {row}, "b": {row}.5}}\n'
                 for row in range(self.ROWS)]
        return self.write("log.jsonl", "".join(lines))

    def test_a_killed_import_is_made_good_by_the_next(self):
        path = self.write_log()
        for _ in range(3):
            client = subprocess.Popen(
                [STEPDB, "import", "jsonl", path, "--project", "p", "--run", "r", "--server",
                 self.server.address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # As soon as something has come in.
            while client.poll() is None and not self.query("runs"):
                pass
            client.kill()
            client.wait(timeout=SECONDS_MAX)
        (report,), _ = self.import_logs("jsonl", path, "--run", "r")
        self.assertEqual(report["sent"], 2 * self.ROWS)
        half = self.ROWS // 2
        self.assertEqual({int(step): float(value) for _, step, value in self.points(metrics="a")},
                         {step: step + half for step in range(half)})
        (row,) = self.query("b @ p/r | buckets 1")
        self.assertEqual(int(row["count"]), half)

    def test_the_server_dies_and_comes_back(self):
        path = self.write_log()
        client = subprocess.Popen(
            [STEPDB, "import", "jsonl", path, "--project", "p", "--run", "r", "--server",
             self.server.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while client.poll() is None and not self.query("runs"):
            pass
        self.restart_after_kill()
        client.communicate(timeout=SECONDS_MAX)
        (report,), _ = self.import_logs("jsonl", path, "--run", "r")
        self.assertEqual(report["sent"], 2 * self.ROWS)
        self.assertEqual(len(self.points()), self.ROWS)

    @unittest.skipIf(os.environ.get("STEPDB_SANITIZE"), "a sanitizer keeps what was freed")
    def test_memory_is_bounded(self):
        """The peak of an import does not grow with the file."""
        peaks = []
        for rows in (20_000, 1_000_000):
            path = self.write(f"{rows}.jsonl", "".join(
                f'{{"step": {row}, "a": {row}, "{"b" if row % 3 else "c"}": 0.5}}\n'
                for row in range(rows)))
            done = self.run_python(
                "import resource, subprocess, sys\n"
                "subprocess.run(sys.argv[1:], check=True)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n",
                [STEPDB, "import", "jsonl", path, "--project", "m", "--format", "json"])
            peaks.append(int(done.splitlines()[-1]))  # KiB
        # The rows alone would take 100 MB; what waits to be sent may take 32.
        self.assertLess(peaks[1], peaks[0] + 40 * 1024)

    def run_python(self, script, arguments):
        done = subprocess.run(["python3", "-c", script, *arguments], capture_output=True, text=True,
                              timeout=SECONDS_MAX,
                              env={**os.environ, "STEPDB_SERVER": self.server.address})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


if __name__ == "__main__":
    unittest.main()
