"""`stepdb repair` through the real program: stores with known content are damaged file by file, repaired,
verified, served, written to, and compared with what was written."""

import array
import json
import os
import shutil
import subprocess
import unittest

import wire
from damage_stores import (FEW, Writer, cut_in_half, directory_instead, empty, files_of, flip_body,
                           flip_first_group, flip_footer, flip_header, flip_index, flip_last_group,
                           flip_middle, flip_middle_group, garbage, remove)
from support import Case, Server, sampled

DAMAGES = {
    "segment": (flip_header, flip_body, flip_middle, flip_index, flip_footer, cut_in_half, empty, remove,
                garbage),
    "catalog": (flip_header, flip_body, cut_in_half, empty, remove, garbage),
    "manifest": (flip_header, flip_body, empty, remove, garbage),
    "log": (flip_header, flip_first_group, flip_middle_group, flip_last_group, cut_in_half, empty, remove,
            garbage),
    "CURRENT": (flip_middle, empty, remove, garbage, directory_instead),
}


def built(data, model):
    """A store with a segment, made when its first life ended, and a log that the second one left."""
    server = Server(data)
    writer = Writer(server.port, model)
    writer.noise("before", FEW, 3000, 1)
    writer.noise("both", FEW, 300, 2)
    writer.fill_log(17)
    writer.close()
    server.stop()
    server = Server(data)
    writer = Writer(server.port, model)
    for part in range(10):
        writer.noise("both", FEW, 20, 3 + part, first=300 + 20 * part)
        writer.noise("after", FEW, 20, 30 + part, first=20 * part)
    writer.close()
    server.kill()


class RepairTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = Case()
        cls.shared.setUp()
        cls.model = {}
        built(cls.shared.data, cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.shared.doCleanups()

    def setUp(self):
        super().setUp()
        subprocess.run(["cp", "-r", "--sparse=always", self.shared.data, self.data], check=True)

    def repair(self, *options):
        return [json.loads(line)
                for line in self.stepdb("repair", self.data, "--format", "jsonl", *options).splitlines()]

    def contents(self):
        """The bytes of every file, by name."""
        found = {}
        for name in os.listdir(self.data):
            path = os.path.join(self.data, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[name] = file.read()
        return found

    def check_answers(self, findings):
        """What is not told to be lost or kept as damaged is there; the server takes rows."""
        server = Server(self.data)
        self.addCleanup(server.kill)
        connection = wire.Connection(server.port, bytes(16))
        # Damage to the last group looks like a write that a crash cut short, which is noted.
        told = [f for f in findings
                if f["kind"] in ("lost", "kept") or "a crash cut short" in f["what"]]
        # Of a log the findings tell sequences, of its end maybe just that there was more.
        log_lost = any(f["file"].startswith("log") for f in told)
        exact = 0
        for run, metrics in self.model.items():
            named = any(f"p/{run}" in f["what"] or "nobody knows of which" in f["what"] for f in told)
            for metric, points in metrics.items():
                try:
                    answer = connection.ask(f"{metric} @ p/{run}")
                except wire.Refused as error:
                    self.assertTrue(named or log_lost, (run, error.message, findings))
                    continue
                got = dict(zip(answer["step"], answer["value"]))
                self.assertLessEqual(set(got.items()), set(points.items()), (run, metric))
                if got == points:
                    exact += 1
                else:
                    self.assertTrue(named or log_lost, (run, metric, len(got), len(points), findings))
        connection.close()
        writer = Writer(server.port, {})
        writer.rows("new", FEW, [1.0], array.array("d", [1, 2]))
        writer.close()
        server.end(15)
        return exact

    def judge(self, kind, damage):
        name = files_of(self.data, kind)[0 if kind != "log" else -1]
        damage(os.path.join(self.data, name))
        before = self.contents()
        planned = self.repair("--dry-run")
        self.assertEqual(self.contents(), before, "a dry run changes nothing")
        findings = self.repair()
        self.assertEqual([f["what"] for f in findings[:-1]], [f["what"] for f in planned[:-1]])
        if findings[-1]["what"] == "repaired":
            self.assertEqual(planned[-1]["what"], "would be repaired")
            self.assertTrue(any(f["file"] in (name, "CURRENT") or kind in ("manifest", "CURRENT")
                                for f in findings[:-1]), findings)
        done = self.run_stepdb("verify", self.data)
        if not any(f["kind"] == "kept" for f in findings):
            self.assertEqual(done.returncode, 0, done.stdout)
        for line in done.stdout.splitlines():
            if done.returncode != 0 and " byte " in line and not line.startswith("note"):
                self.assertIn("damaged already", line)
        after = self.contents()
        for file, was in before.items():
            self.assertTrue(after.get(file) == was or after.get(file + ".before-repair") == was, file)
        self.assertEqual(self.repair()[-1]["what"], "nothing to repair")
        self.assertEqual(self.contents(), after, "the second time nothing happens")
        return self.check_answers(findings)

    def test_every_damage_to_every_kind_of_file(self):
        series = sum(len(metrics) for metrics in self.model.values())
        for kind, damages in DAMAGES.items():
            for damage in sampled(damages, 3):
                with self.subTest(f"{kind} {damage.__name__}"):
                    exact = self.judge(kind, damage)
                    if kind in ("CURRENT", "manifest"):
                        self.assertEqual(exact, series)
                shutil.rmtree(self.data)
                subprocess.run(["cp", "-r", "--sparse=always", self.shared.data, self.data], check=True)

    def test_a_store_that_is_whole_is_left_alone(self):
        before = self.contents()
        printed = self.stepdb("repair", self.data)
        self.assertRegex(printed, r"store [0-9a-f]{32}: 4 runs, \d+ segments?: 0 mended, 0 kept as "
                         r"damaged, 0 lost: nothing to repair\n$")
        self.assertEqual(self.contents(), before)

    def test_what_is_printed_names_file_bytes_and_what_becomes_of_it(self):
        remove(os.path.join(self.data, files_of(self.data, "catalog")[0]))
        printed = self.stepdb("repair", self.data, "--dry-run")
        self.assertRegex(printed, r"(?m)^lost: catalog-\d+: the file is gone; runs and metrics are taken")
        self.assertRegex(printed, r": would be repaired\n$")
        printed = self.stepdb("repair", self.data)
        self.assertRegex(printed, r": repaired\n[\d.]+ \w+ written; \d+ files are kept as before, in "
                         r".*/\*\.before-repair\n    remove them when nothing of them is wanted any more\n$")

    def test_is_refused_while_a_server_has_the_store(self):
        self.start()
        self.assertRegex(self.refused("repair", self.data), r"A server that has the store open must end")
        self.assertRegex(self.refused("repair", self.path("nothing")), "nothing")

    def test_going_back_to_what_was_before(self):
        remove(os.path.join(self.data, files_of(self.data, "catalog")[0]))
        before = self.contents()
        self.repair()
        for name in os.listdir(self.data):
            if name.endswith(".before-repair"):
                os.rename(os.path.join(self.data, name),
                          os.path.join(self.data, name[:-len(".before-repair")]))
        after = self.contents()
        self.assertEqual({name: after[name] for name in before}, before)


if __name__ == "__main__":
    unittest.main()
