"""`stepdb verify` and `stepdb inspect` on the files of a real store, whole and damaged."""

import glob
import json
import os
import unittest

from damage_stores import FEW, METRICS, Writer, flip_footer, flushed
from support import Case, Start

PAGE = 4096


class Files(Case):
    def make_store(self):
        """One row a frame and metric; the log holds them all, no segment is written."""
        self.start()
        for step in range(3):
            self.stepdb("log", "--project", "p", "--run", "r", "--step", str(step), "a=1", "b=0.5")
        self.server.stop()

    def file(self, kind):
        return sorted(glob.glob(os.path.join(self.data, kind)))[0]

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))

    def run_both(self, *arguments):
        """Fails, with something to read on both outputs."""
        done = self.run_stepdb(*arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, "^stepdb [a-z]+: error: ")
        return done.stdout, done.stderr

    def test_verify_sums_up_a_sound_store(self):
        self.make_store()
        self.assertRegex(self.stepdb("verify", self.data),
                         r"^store [0-9a-f]{32}: 3 files, .* 1 run, 3 rows, 6 points: all good\n$")
        rows = json.loads(self.stepdb("verify", self.data, "--format", "json"))
        self.assertEqual(rows[-1]["kind"], "summary")
        self.assertEqual((rows[-1]["points"], rows[-1]["problems"]), (6, 0))
        self.assertRegex(rows[-1]["store"], "^[0-9a-f]{32}$")
        self.assertIsNone(rows[-1]["file"])

    def test_verify_counts_the_rows_of_runs_that_are_there(self):
        self.start()
        for run, rows in (("r", 3), ("gone", 2)):
            for step in range(rows):
                self.stepdb("log", "--project", "p", "--run", run, "--step", str(step), "a=1", "b=2")
        self.stepdb("run", "delete", "p/gone", "--yes")
        self.server.stop()
        self.assertRegex(self.stepdb("verify", self.data),
                         r" 1 run, 3 rows, 6 points: all good\n"
                         r"2 rows of deleted runs still take space\n$")
        rows = json.loads(self.stepdb("verify", self.data, "--format", "json"))
        self.assertEqual((rows[-1]["rows"], rows[-1]["deleted_rows"]), (3, 2))

    def test_verify_lists_every_problem_with_its_place(self):
        self.make_store()
        log = self.file("log-*")
        self.flip(log, 60)
        self.flip(log, PAGE + 20)
        with open(os.path.join(self.data, "diary.txt"), "w", encoding="utf-8") as file:
            file.write("dear diary")
        out, err = self.run_both("verify", self.data)
        name = os.path.basename(log)
        self.assertRegex(out, rf"(?m)^note: {name}: byte 0: log header: checksum")
        self.assertRegex(out, rf"(?m)^{name} byte {PAGE}: .*; lost with it: sequence \d+$")
        self.assertIn("restore the store from a backup", out)
        self.assertIn("note: diary.txt: not a file of a store", out)
        self.assertIn("1 problem", err)
        lines = self.run_both("verify", self.data, "--format", "jsonl")[0].splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        self.assertEqual(kinds, ["problem", "note", "note", "summary"])

    def test_what_loses_nothing_is_noted_by_verify_and_inspect(self):
        self.make_store()
        log = self.file("log-*")
        name = os.path.basename(log)
        padding = 2 * PAGE - 1
        for offset, what in ((704, "byte 0: log header: checksum"),
                             (padding, f"byte {padding}: padding that should be zero is not")):
            self.flip(log, offset)
            out = self.stepdb("verify", self.data)
            self.assertIn(f"note: {name}: {what}", out)
            self.assertIn("nothing to do, for nothing is ", out)
            self.assertTrue(out.endswith(" 3 rows, 6 points: all good\n"), out)
            byte, words = what.removeprefix("byte ").split(": ", 1)
            self.assertRegex(self.stepdb("inspect", log),
                             rf"(?m)^notes \(1\)\n.*\n.*\n +{byte}  {words}")
            self.flip(log, offset)

    def test_verify_without_a_manifest_checks_the_rest(self):
        self.make_store()
        store = json.loads(self.stepdb("verify", self.data, "--format", "json"))[-1]["store"]
        manifest = self.file("manifest-*")
        self.flip(manifest, 60)
        out, _ = self.run_both("verify", self.data)
        self.assertRegex(out, rf"(?m)^{os.path.basename(manifest)}: manifest header: checksum")
        self.assertNotIn("removed when", out)
        self.assertRegex(out, rf"(?m)^store {store}: \d+ files, .* 1 run, 3 rows, 6 points: "
                              "1 problem$")

    def test_verify_only_notes_damage_that_matters_to_nothing(self):
        """A clean stop above 16 MiB of log flushes: the log is below the checkpoint then."""
        writer = Writer(self.start().port, {})
        writer.fill_log(17)
        writer.close()
        self.server.stop()
        self.start()
        self.server.stop()
        logs = sorted(glob.glob(os.path.join(self.data, "log-*")))
        self.flip(logs[0], PAGE + 200)
        out = self.stepdb("verify", self.data)
        self.assertIn(f"note: {os.path.basename(logs[0])}: ", out)
        self.assertIn("nothing to do: ", out)

    def test_queries_name_what_damage_concerns(self):
        flushed(self.data, {})
        segment = self.file("segment-*")
        self.flip(segment, PAGE + 6000)
        out, inspected = self.run_both("inspect", segment)
        self.assertRegex(out, r"(?m)^damaged blocks \(1\)$")
        self.assertRegex(inspected, r"block \d+: byte \d+: .*checksum")
        error = self.refused("query", "filler/* @ p/fill | last 1", "--data", self.data)
        self.assertRegex(error, r"filler/\d+ of run p/fill cannot be read here: .*segment-\d+ block")
        self.assertIn("from a backup", error)
        flip_footer(segment)
        rows = json.loads(self.stepdb("query", "runs", "--data", self.data, "--format", "json"))
        self.assertEqual([row["metrics"] for row in rows], [None, None])
        os.remove(self.file("catalog-*"))
        error = self.refused("query", "loss @ p/nothing", "--data", self.data)
        self.assertTrue(error.endswith("\n  loss @ p/nothing\n         ^^^^^^^^^\n"), error)
        server = Start(self.data)
        server.stop()
        said = server.said()
        server.close()
        self.assertEqual(said.count("runs and metrics are taken from segments"), 1, said)
        for lost in ("restarts (points that one hid are shown)", "forks (", "deletes (",
                     "attributes", "finished or failed", "retention"):
            self.assertIn(lost, said)

    def test_without_a_catalog_what_is_not_known_is_left_out(self):
        for run in ("old", "new"):
            writer = Writer(self.start().port, {})
            writer.noise(run, FEW, 10, 1)
            writer.fill_log(17)
            writer.close()
            self.server.stop()  # above 16 MiB of log all goes to a segment
        os.remove(self.file("catalog-*"))
        def ask(text):
            return json.loads(self.stepdb("query", text, "--data", self.data, "--format", "json"))
        created = {row["run"]: row["created"] for row in ask("runs")}
        self.assertEqual(list(created), ["p/fill", "p/new", "p/old"])
        self.assertIsNone(created["p/old"])  # the log of the last life knows of the others
        self.assertNotIn("sys/created", [row["attribute"] for row in ask("attributes p/old")])
        self.assertRegex(self.run_stepdb("verify", self.data).stdout, r" 3 runs, .*: 1 problem\n$")

    def test_a_fork_names_the_parent_whose_rows_cannot_be_read(self):
        writer = Writer(self.start().port, {})
        writer.noise("base", FEW, 10, 1)
        writer.fill_log(17)
        writer.close()
        self.server.stop()  # above 16 MiB of log all goes to a segment
        self.start()
        self.stepdb("run", "fork", "p/f", "--from", "p/base", "--at", "5")
        self.stepdb("log", "--project", "p", "--run", "f", "--step", "6", "loss=1")
        self.stepdb("run", "restart", "p/f", "--at", "6")
        self.server.stop()
        flip_footer(self.file("segment-*"))
        self.start()
        inherits = "run p/f: it inherits from p/base, which has rows in a segment that cannot be read: "
        self.assertIn(inherits, self.refused("query", "loss @ p/f"))
        self.assertIn("run p/base: it has rows in a segment that cannot be read: ",
                      self.refused("query", "loss @ p/base"))
        notes = self.run_stepdb("query", "runs").stderr
        self.assertIn("the metrics of run p/base and 1 other cannot be counted: it has rows", notes)
        self.assertIn("the metrics of run p/f cannot be counted: it inherits from p/base", notes)
        # What is the run's own can be read, and deleted.
        self.assertIn("would delete run p/f with 1 series of its own",
                      self.stepdb("run", "delete", "p/f"))
        self.assertIn("would discard attempt 0 of run p/f, which reads 1 series that the run has logged",
                      self.stepdb("run", "delete", "p/f#0"))
        self.assertIn("  loss\n", self.stepdb("run", "delete", "p/f", "--metrics", "**"))
        self.stepdb("run", "delete", "p/f", "--yes")
        self.server.kill()

    def test_import_into_a_run_with_a_damaged_metric_sends_all(self):
        writer = Writer(self.start().port, {})
        writer.noise("r", METRICS, 500, 1)
        writer.fill_log(17)
        writer.close()
        self.server.stop()
        self.flip(self.file("segment-*"), PAGE + 3000)  # in the strip of the first metrics
        self.start()
        self.refused("query", "w/0 @ p/r")
        self.stepdb("query", "w/7 @ p/r")
        log = self.write("log.csv", "step,w/0,w/7\n0,1,2\n1000,3,4\n")
        done = self.run_stepdb("import", "csv", log, "--project", "p", "--run", "r", "--format", "json")
        self.assertEqual(done.returncode, 1)
        told = json.loads(done.stdout)
        self.assertEqual((told["read"], told["sent"], told["stored"], told["replaced"]),
                         (4, 4, None, None))
        self.assertRegex(done.stderr, r"(?m)^stepdb import: error: p/r: all 4 points were sent, but how "
                                      r"many of them replaced others cannot be told: w/0 of run p/r "
                                      r"cannot be read here: .*segment-\d+")
        self.assertIn("1000,4", self.stepdb("query", "w/7 @ p/r | last 1", "--format", "csv"))
        self.server.kill()

    def test_verify_wants_a_store_of_its_own(self):
        self.start()
        self.assertIn("another process holds it", self.refused("verify", self.data))
        self.server.stop()
        self.assertIn("nowhere", self.refused("verify", self.path("nowhere")))
        os.mkdir(self.path("empty"))
        self.assertIn("holds no store", self.refused("verify", self.path("empty")))
        self.assertEqual(os.listdir(self.path("empty")), [])

    def test_inspect_prints_every_kind(self):
        self.make_store()
        self.assertIn("manifest-", self.stepdb("inspect", self.file("CURRENT")))
        text = self.stepdb("inspect", self.file("manifest-*"))
        self.assertRegex(text, r"(?m)^edits \(\d+\)$")
        self.assertRegex(text, r"(?m)^  log-\d{6} ")
        text = self.stepdb("inspect", self.file("log-*"))
        for kind in ("open_run", "schema", "rows"):
            self.assertRegex(text, rf"(?m)^ +\d+  {kind} ")
        both = [self.file("CURRENT"), self.file("log-*")]
        rows = json.loads(self.stepdb("inspect", *both, "--format", "json"))
        self.assertEqual({row["file"] for row in rows}, set(both))
        rows_records = [row for row in rows if row.get("type") == "rows"]
        self.assertEqual([row["sequences"] for row in rows_records], [1, 1, 1])
        lines = self.stepdb("inspect", *both, "--format", "jsonl").splitlines()
        self.assertEqual([json.loads(line) for line in lines], rows)

    def test_inspect_names_what_is_wrong_with_small_files(self):
        self.make_store()
        self.assertIn("nothing in it", self.refused("inspect", self.file("LOCK")))
        with open(self.file("CURRENT"), "w", encoding="utf-8") as file:
            file.write("manifold\n")
        self.assertIn("name a manifest", self.refused("inspect", self.file("CURRENT")))

    def test_inspect_of_a_log_that_was_cut_off(self):
        self.make_store()
        log = self.file("log-*")
        size = os.path.getsize(log)
        os.truncate(log, size - PAGE)
        out, err = self.run_both("inspect", log)
        self.assertRegex(out, rf"(?m)^  bytes made +{size}$")
        self.assertRegex(out, r"(?m)^  recycled +no$")
        self.assertIn(f"byte {size - PAGE}: the file ends here", err)

    def test_inspect_as_json_has_every_key_once(self):
        self.make_store()
        lines = self.stepdb("inspect", self.file("manifest-*"), "--format", "jsonl").splitlines()
        for line in lines:
            keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
            self.assertEqual(len(keys), len(set(keys)), line)

    def test_inspect_goes_on_up_to_the_damage(self):
        self.make_store()
        log = self.file("log-*")
        self.flip(log, 2 * PAGE + 200)
        out, err = self.run_both("inspect", log)
        self.assertIn("open_run", out)
        self.assertRegex(err, r"byte \d+.*acknowledged")

    def test_inspect_refuses_foreign_and_empty_files(self):
        empty = self.write("empty", "")
        foreign = self.write("notes.txt", "not a file of a store")
        self.assertIn("0 bytes", self.refused("inspect", empty))
        self.assertIn("it begins with 'not a fi'", self.refused("inspect", foreign))
        self.assertIn("no such file", self.refused("inspect", self.path("nothing")).lower())


if __name__ == "__main__":
    unittest.main()
