"""`stepdb import jsonl`: lines that tell of the run, telemetry between them; and compressed files."""

import gzip
import json
import unittest

from import_formats_test import ImportFormats


class JsonLines(ImportFormats):
    def test_lines_that_tell_of_the_run(self):
        self.write("a.jsonl", '{"run": {"id": "base", "config": {"lr": 0.1}, "tags": ["sweep"]}}\n'
                   '{"step": 0, "x": 1}\n{"step": 1, "x": 2}\n{"step": 2, "x": 3}\n'
                   '{"run": {"state": "failed"}}\n')
        self.write("b.jsonl", '{"run": {"id": "low", "fork": {"of": "base", "at": 1},'
                   ' "config": {"lr": 0.01}}}\n{"step": 2, "x": 2.5}\n'
                   '{"timestamp": 5, "cpu": 0.5}\n{"run": {"tags": 7}}\n')
        for _ in range(2):  # again changes nothing
            reports, said = self.import_logs("jsonl", self.directory)
            self.assertEqual([(report["run"], report["sent"]) for report in reports],
                             [("base", 3), ("low", 2)])
            self.assertIn("note: p/low: 1 attribute left out; the first: tags: a list of strings",
                          said)
            self.assertEqual(self.points("low"), [("cpu", "1970-01-01T00:00:05Z", "0.5"),
                                                  ("x", "0", "1"), ("x", "1", "2"), ("x", "2", "2.5")])
            self.assertEqual(self.facts("base")["sys/state"][1], "failed")
            self.assertEqual(self.facts("base")["config/lr"], ("float64", "0.1"))
            low = self.facts("low")
            self.assertEqual(low["config/lr"], ("float64", "0.01"))
            self.assertIn("sweep", low["sys/tags"][1])
        self.write("b.jsonl", '{"run": {"id": "other", "fork": {"of": "none", "at": 1}}}\n'
                   '{"step": 2, "x": 2.5}\n')
        _, said = self.import_logs("jsonl", self.path("b.jsonl"), status=1)
        self.assertIn("the log says that p/other is a fork of none at 1: ", said)

    def test_a_restarted_job_ends_its_newest_attempt(self):
        self.write("log.jsonl", '{"run": {"id": "r"}}\n' +
                   "".join(f'{{"step": {n}, "timestamp": {n}, "x": {n}}}\n' for n in range(50)) +
                   "".join(f'{{"step": {n}, "timestamp": {n}, "x": {-n}}}\n' for n in range(30, 60)) +
                   '{"timestamp": 100, "cpu": 1}\n{"run": {"state": "finished"}}\n')
        for _ in range(2):
            done = self.stepdb("import", "jsonl", self.path("log.jsonl"), "--project", "p",
                               "--format", "json")
            self.assertEqual(json.loads(done)["restarts"], 1)
            self.assertEqual(self.facts()["sys/state"][1], "finished")

    def test_compressed_files_are_read_as_what_they_were(self):
        text = "".join(f'{{"step": {n}, "x": {n / 8}}}\n' for n in range(20_000))
        self.write("tree/a.jsonl", text)
        packed = gzip.compress(text.encode(), mtime=0)
        for name, tail in (("b.jsonl.gz", packed), ("c.ndjson.gz", packed[:-9])):
            with open(self.path("tree/" + name), "wb") as file:
                file.write(tail)
        reports, said = self.import_logs("jsonl", self.path("tree"), status=1)
        self.assertEqual([report["run"] for report in reports], ["a.jsonl", "b.jsonl", "c.ndjson"])
        self.assertEqual([report["sent"] for report in reports[:2]], [20_000] * 2)
        self.assertGreater(reports[2]["sent"], 10_000)
        self.assertIn(f"c.ndjson.gz: byte {len(packed) - 9} of the compressed file: the file ends "
                      "within gzip data: it is not all there; the ", said)
        self.assertEqual(self.points("b.jsonl"), self.points("a.jsonl"))


if __name__ == "__main__":
    unittest.main()
