"""`stepdb export`, and `stepdb import` of what it wrote: into another store come the same points, steps,
times and values bit for bit."""

import datetime
import gzip
import json
import math
import os
import random
import struct
import unittest

from support import Case, Server, shared_data, value_text

BITS = (0, 1 << 63, 0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000123, 0x7FF0000000000000,
        0xFFF0000000000000, 1, 0x8000000000000001, 0x3FB999999999999A, 0x7FEFFFFFFFFFFFFF,
        0x4340000000000001)
NAMES = ("loss", "a b", " blanks around ", 'say "it", twice', "größe/λ", "step", "time", "run", "value",
         "layers/10/norm", "x'y", "{l}*")


def made_up_points(draw):
    """(metric, step or None, microseconds, bits) of one run; each metric has one axis."""
    for name in NAMES:
        timed = draw.random() < 0.3
        step, time = 0.0, draw.choice((0, 1772366400000000, -5, 1772366400123456))
        for _ in range(draw.choice((1, 2, 40))):
            bits = draw.choice((*BITS, draw.getrandbits(64)))
            yield name, None if timed else step, time, bits
            step = max(math.nextafter(step, math.inf),
                       step + draw.choice((1, 0.1, 2.0**60, 1 / 3)))
            time += draw.choice((1, 999, 10**6, 10**9))


class Export(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def import_points(self, run, points):
        lines = ["run,metric,step,time,value"]
        for name, step, time, bits in points:
            quoted = '"' + name.replace('"', '""') + '"'
            lines.append(f"{run},{quoted},{'' if step is None else repr(step)},"
                         f"{self.time_text(time)},{value_text(bits)}")
        path = self.write("points.csv", "\n".join(lines) + "\n")
        (report,) = self.import_table("csv", path)
        self.assertEqual((report["sent"], report["skipped"]), (len(lines) - 1, 0))

    @staticmethod
    def time_text(us):
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)
        return at.isoformat(timespec="microseconds") + "Z"

    def import_table(self, form, *arguments):
        out = self.stepdb("import", form, *arguments, "--project", "p", "--format", "json")
        return list(map(json.loads, out.splitlines()))

    def answer(self, query="** @ p/* | stamped", server=None):
        return self.stepdb("query", query, "--format", "csv",
                           *(["--server", server.address] if server else []))

    def other_server(self, name):
        server = Server(os.path.join(self.directory, name))
        self.addCleanup(server.kill)
        return server

    def round_trip(self, query="** @ p/*", names=()):
        """Exports, imports elsewhere by the same ids, and compares; in both formats."""
        want = self.answer(f"{query} | stamped")
        for old, new in names:
            want = want.replace(old, new)
        for form in ("csv", "jsonl"):
            path = self.path(f"out.{form}")
            said = self.stepdb("export", query, "--output", path)
            points = want.count("\n") - 1
            self.assertRegex(said, rf"^{points} points? of \d+ series and \d+ runs? written to ")
            if os.path.exists(self.path("elsewhere")):
                raise AssertionError("a store is left from before")
            server = self.other_server("elsewhere")
            out = self.stepdb("import", form, path, "--project", "p", "--server", server.address,
                              "--format", "json")
            reports = list(map(json.loads, out.splitlines()))
            self.assertEqual(sum(report["sent"] for report in reports), points)
            self.assertEqual(sum(report["stored"] for report in reports), points)
            self.assertEqual(sum(report["skipped"] + report["restarts"] for report in reports), 0)
            self.assertEqual(self.answer(server=server), want)
            self.stepdb("import", form, path, "--project", "p", "--server", server.address)
            self.assertEqual(self.answer(server=server), want)
            server.stop()
            os.rename(self.path("elsewhere"), self.path(f"elsewhere-{len(os.listdir(self.directory))}"))

    def test_every_kind_of_value_step_time_and_name(self):
        for seed in range(4):
            draw = random.Random(seed)
            points = list(made_up_points(draw))
            self.import_points(f"p/r{seed % 2}" if seed < 2 else f"r{seed}", points)
            got = self.answer(f"** @ p/r{seed} | stamped").splitlines()
            self.assertEqual(len(got) - 1, len(points))
        self.round_trip()

    def test_values_come_back_bit_for_bit(self):
        self.import_points("p/r", [("x", float(step), step, bits)
                                   for step, bits in enumerate(BITS)])
        self.stepdb("export", "** @ p/r", "--output", self.path("x.jsonl"))
        server = self.other_server("elsewhere")
        self.stepdb("import", "jsonl", self.path("x.jsonl"), "--project", "p", "--server",
                    server.address)
        lines = self.answer("x @ p/r", server).splitlines()[1:]
        got = [line.split(",")[3] for line in lines]
        self.assertEqual([int(text[4:], 16) if text.startswith("nan:") else
                          0x7FF8000000000000 if text == "NaN" else
                          struct.unpack("<Q", struct.pack("<d", float(text)))[0] for text in got],
                         list(BITS))

    def test_attempts_and_forks_as_they_read(self):
        self.write("log.csv", "step,wall_time,loss\n" + "".join(
            f"{step},{100 + at},{at}\n" for at, step in enumerate([*range(10), *range(6, 15)])))
        self.import_table("csv", self.path("log.csv"), "--run", "r")
        self.stepdb("run", "fork", "p/f", "--from", "p/r", "--at", "8")
        self.stepdb("log", "--project", "p", "--run", "f", "--step", "9", "loss=99")
        self.round_trip()
        self.round_trip("loss @ p/r#0", [("p/r#0", "p/r_0")])
        self.round_trip("** @ p/r#0, p/f | steps 3..8 | when value > 4", [("p/r#0", "p/r_0")])

    def test_what_is_written(self):
        self.import_points("p/r", [("loss", 0.0, 0, 0x4000000000000000),
                                   ("gpu", None, 1_500_000, 0x7FF0000000000000)])
        want = ("run,metric,step,time,value\np/r,gpu,,1970-01-01T00:00:01.500Z,Infinity\n"
                "p/r,loss,0,1970-01-01T00:00:00Z,2\n")
        self.assertEqual(self.stepdb("export", "** @ p/r").replace("01.500000Z", "01.500Z"), want)
        self.assertEqual(self.stepdb("export", "** @ p/r", "--format", "jsonl").splitlines()[1],
                         '{"run": "p/r", "metric": "loss", "step": 0, "time": '
                         '"1970-01-01T00:00:00Z", "value": 2}')
        self.assertEqual(self.stepdb("export", "$m @ p/r", "--param", "m=loss"),
                         "run,metric,step,time,value\np/r,loss,0,1970-01-01T00:00:00Z,2\n")
        self.server.stop()
        self.assertEqual(self.stepdb("export", "loss @ p/r", "--data", self.data).splitlines()[1],
                         "p/r,loss,0,1970-01-01T00:00:00Z,2")

    def test_what_is_no_export(self):
        self.import_points("p/r", [("loss", float(step), 0, step) for step in range(9)])
        path = self.write("kept.csv", "as it was")
        for query in ("runs p/*", "loss @ p/r | buckets 3", "loss @ p/none", "loss @", "stats"):
            self.refused("export", query, "--output", path)
            with open(path, encoding="utf-8") as file:
                self.assertEqual(file.read(), "as it was")
            self.assertEqual([name for name in os.listdir(self.directory) if "unfinished" in name],
                             [])
        self.assertIn("`stepdb export` adds this last stage",
                      self.refused("export", "loss @ p/r | buckets 3"))
        self.refused("export", "loss @ p/r", "--output", self.path("none/x.csv"))

    def test_tables_of_several_runs(self):
        """Their points may lie anyhow."""
        draw = random.Random(7)
        lines = [f"{draw.choice(('g/a', 'g/b', 'c', 'h/d e'))},{step},{draw.choice('xyz')},{step}"
                 for step in range(2000)]
        path = self.write("mixed.csv", "run,step,series,value\n" + "\n".join(lines) + "\n")
        reports = self.import_table("csv", path)
        self.assertEqual({report["run"] for report in reports}, {"a", "b", "c", "d_e"})
        self.assertEqual(sum(report["stored"] for report in reports), 2000)
        packed = self.path("mixed.csv.gz")
        with open(path, "rb") as plain, open(packed, "wb") as file:
            file.write(gzip.compress(plain.read()))
        self.assertEqual([(report["run"], report["stored"], report["replaced"])
                          for report in self.import_table("csv", packed)],
                         [(report["run"], 0, report["sent"]) for report in reports])
        said = self.refused("import", "csv", path, "--project", "p", "--run", "r")
        self.assertIn("--run r would mix", said)
        both = self.write("both.csv", "run,step,metric,value\ng/a,0,x,1\nh/a,0,x,2\n")
        self.assertIn("g/a and h/a would both become run a",
                      self.refused("import", "csv", both, "--project", "p"))
        one = self.write("one.csv", "run,step,metric,value\ng/a,0,x,1\ng/a,,x,2\n")
        (report,) = self.import_table("csv", one, "--run", "other")
        self.assertEqual((report["run"], report["sent"], report["skipped"]), ("other", 1, 1))

    def test_what_is_no_point_is_skipped(self):
        text = ("run,metric,step,time,value\nr,x,0,,1\nr,x,1,2026-01-01,text\nr,x,word,,1\nr,x,,,5\n"
                "r,x,3,,\nr,,4,,1\nr,gpu,,2026-01-01,1\nr,x,,2026-01-01,1\nr,gpu,,soon,1\n")
        (report,) = self.import_table("csv", self.write("t.csv", text))
        self.assertEqual((report["read"], report["sent"], report["skipped"]), (8, 2, 6))
        objects = ['{"run": "r", "metric": "x", "step": 0, "value": 1}', '',
                   '{"run": "r", "metric": "x", "step": 1, "value": "NaN"}',
                   '{"run": "r", "metric": "x", "step": 2, "value": null}',
                   '{"run": "r", "metric": "x", "step": 3, "value": "many"}',
                   '{"run": "s", "metric": "x", "step": null, "time": 5, "value": true}',
                   '{"run": "s", "metric": "y", "step": null, "time": 5, "value": [1]}', 'broken']
        done = self.run_stepdb("import", "jsonl", self.write("t.jsonl", "\n".join(objects)),
                               "--project", "q", "--format", "json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([(report["run"], report["sent"], report["skipped"]) for report in
                          map(json.loads, done.stdout.splitlines())], [("r", 2, 1), ("s", 1, 1)])
        self.assertIn("t.jsonl: line 8", done.stderr)

    def test_logs_that_name_a_run_beside_their_metrics_are_no_tables(self):
        wide = self.write("wide.csv", "run,step,loss,acc\nname,0,1,2\n")
        (report,) = self.import_table("csv", wide)
        self.assertEqual((report["run"], report["sent"], report["skipped"]), ("wide.csv", 2, 1))
        told = self.write("told.csv", "run,step,metric,value\n3,0,1,2\n")
        (report,) = self.import_table("csv", told, "--step-column", "run")
        self.assertEqual((report["run"], report["series"]), ("told.csv", 3))
        rows = self.write("rows.jsonl", '{"run": 1, "metric": 2, "step": 0, "value": 3}\n')
        (report,) = self.import_table("jsonl", rows)
        self.assertEqual((report["run"], report["series"]), ("rows.jsonl", 3))

    @unittest.skipUnless(shared_data(), "no ../shared/data beside the checkout and no $STEPDB_DATA")
    def test_real_logs(self):
        data = shared_data()
        for form, *paths in (("tb", "verl_dapo_restarts", "algoperf_deepspeech_restart"),
                             ("wandb", "nanogpt_wandb"), ("mlflow", "qlib_mlruns"),
                             ("nvidia-smi", "nvidia_smi")):
            self.import_table(form, *(os.path.join(data, path) for path in paths))
        self.round_trip()


if __name__ == "__main__":
    unittest.main()
