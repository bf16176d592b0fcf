"""`stepdb import tensorboard --follow`: a job writes event files, in pieces that end anywhere, while
importer and server are killed and started again. What is stored equals what was written."""

import json
import os
import random
import signal
import subprocess
import time
import unittest

from support import ROOT, SECONDS_MAX, STEPDB, Case, Server
from tfevents import VERSION, event, record, simple

SEED = int(os.environ.get("STEPDB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
TAGS = ["train/loss", "train/lr", "val/loss"]


class Follow(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.random = random.Random(SEED)
        self.logs = self.path("logs")
        self.importer = None

    def follow(self, *options, poll="20ms"):
        self.importer = subprocess.Popen(
            [STEPDB, "import", "tensorboard", self.logs, "--follow", "--poll", poll, "--project",
             "p", "--format", "json", "--server", self.server.address, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.kill_importer)
        return self.importer

    def kill_importer(self):
        if self.importer.poll() is None:
            self.importer.kill()
        self.importer.communicate(timeout=SECONDS_MAX)

    def end_importer(self, number=signal.SIGTERM, status=0):
        """(reports, what it said)"""
        self.importer.send_signal(number)
        out, err = self.importer.communicate(timeout=SECONDS_MAX)
        self.assertEqual(self.importer.returncode, status, err)
        return {one["run"]: one for one in map(json.loads, out.splitlines())}, err

    def append(self, name, data):
        path = os.path.join(self.logs, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as file:
            file.write(data)

    def count(self, run):
        rows = self.run_stepdb("query", f"** @ p/{run} | summary count, nan, pinf, ninf",
                               "--format", "json")
        return sum(row[kind] for row in json.loads(rows.stdout)
                   for kind in ("count", "nan", "pinf", "ninf")) if rows.returncode == 0 else 0

    def wait_for(self, condition):
        """Until what the importer does by itself has come so far."""
        until = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), until)
            self.assertIsNone(self.importer.poll(), "the importer has ended")

    def points(self, run):
        return {(row["metric"], float(row["step"])): float(row["value"])
                for row in self.query(f"** @ p/{run}")}

    def offsets(self, run):
        return {row["attribute"]: int(row["value"]) for row in self.query(f"attributes p/{run}")
                if row["attribute"].startswith("import/offset/")}


class Grows(Follow):
    def make_records(self, name, first, steps, written):
        """Bytes of an event file; what it holds goes into `written`."""
        data = record(VERSION)
        for step in range(first, first + steps):
            for tag in self.random.sample(TAGS, self.random.randint(1, len(TAGS))):
                value = self.random.randrange(1 << 20) / 1024
                written[(tag, float(step))] = value
                data += record(event(1.7e9 + step, step, simple(tag, value)))
        return data

    def test_kills_of_all_sides_lose_and_double_nothing(self):
        print(f"STEPDB_SEED={SEED}")
        written = {"a": {}, "b.x": {}}
        files = {"a/events.out.tfevents.1": self.make_records("a", 0, 60, written["a"]),
                 # The job went on from a checkpoint: later points of a step stand.
                 "a/events.out.tfevents.2": self.make_records("a", 40, 60, written["a"]),
                 "b/x/events.out.tfevents.1": self.make_records("b.x", 0, 120, written["b.x"])}
        order = list(files)
        # Pieces end anywhere, most of them within a record.
        pieces = []
        for name in order:
            cuts = sorted(self.random.sample(range(1, len(files[name])), 12))
            pieces += [(name, files[name][begin:end])
                       for begin, end in zip([0, *cuts], [*cuts, len(files[name])])]
        deeds = ["kill importer", "restart server", "kill server", "kill importer", None]
        self.follow()
        port = self.server.port
        for at, (name, piece) in enumerate(pieces):
            self.append(name, piece)
            deed = deeds[at % len(deeds)] if at % 3 == 0 else None
            if deed == "kill importer":
                if at % 2 == 0:  # wait until it is in the middle of things
                    self.wait_for(lambda: self.count("a") > 0 or at == 0)
                self.kill_importer()
                self.follow()
            elif deed is not None:
                self.server.end(signal.SIGKILL if deed == "kill server" else signal.SIGTERM)
                self.server = Server(self.data, port=port)
                self.addCleanup(self.server.kill)
        wanted = {run: len(points) for run, points in written.items()}
        self.wait_for(lambda: {run: self.count(run) for run in wanted} == wanted)
        reports, said = self.end_importer()
        self.assertNotIn("error", said)
        for run, points in written.items():
            self.assertEqual(self.points(run), points)
            self.assertEqual(reports[run]["read"], reports[run]["sent"] + reports[run]["skipped"])
        self.assertEqual(self.offsets("a"), {
            f"import/offset/events.out.tfevents.{n}": len(files[f"a/events.out.tfevents.{n}"])
            for n in (1, 2)})
        self.server.stop()

    def test_what_has_been_read_is_not_sent_again(self):
        written = {}
        self.append("a/events.out.tfevents.1", self.make_records("a", 0, 50, written))
        self.follow()
        self.wait_for(lambda: self.count("a") == len(written))
        reports, _ = self.end_importer(signal.SIGINT)
        self.assertEqual(reports["a"]["sent"], len(written))
        more = {}
        self.append("a/events.out.tfevents.1", self.make_records("a", 50, 2, more))
        self.follow()
        self.wait_for(lambda: self.count("a") == len(written) + len(more))
        reports, _ = self.end_importer()
        self.assertEqual(reports["a"], {"project": "p", "run": "a", "files": 1,
                                        "series": len({tag for tag, _ in more}), "read": len(more),
                                        "sent": len(more), "skipped": 0})

    def test_what_was_written_before_the_signal_is_taken(self):
        self.follow(poll="1h")
        self.append("a/tfevents", record(event(1.7e9, 0, simple("loss", 1))))
        self.importer.stderr.readline()  # it has looked once, and found nothing or the file
        self.append("a/tfevents", record(event(1.7e9, 1, simple("loss", 2))))
        reports, _ = self.end_importer()
        self.assertEqual(reports["a"]["sent"], 2)
        self.assertEqual(self.points("a"), {("loss", 0.0): 1.0, ("loss", 1.0): 2.0})

    def test_the_server_may_come_later(self):
        port = self.server.port
        self.server.stop()
        self.follow()
        self.assertIn("it is tried again", self.importer.stderr.readline())
        self.append("a/tfevents", record(event(1.7e9, 0, simple("loss", 1))))
        self.server = Server(self.data, port=port)
        self.addCleanup(self.server.kill)
        self.wait_for(lambda: self.count("a") == 1)
        self.end_importer()

    def test_a_server_that_stays_away_does_not_keep_it(self):
        self.append("a/tfevents", record(event(1.7e9, 0, simple("loss", 1))))
        self.follow()
        self.wait_for(lambda: self.count("a") == 1)
        self.server.stop()
        self.append("a/tfevents", record(event(1.7e9, 1, simple("loss", 2))))
        _, said = self.end_importer(status=1)
        self.assertIn("is sent again when this is started again", said)


class Bad(Follow):
    def test_a_torn_end_is_told_and_is_no_failure(self):
        line = record(event(1.7e9, 0, simple("loss", 1)))
        self.append("a/tfevents", line + line[:20])
        self.follow()
        self.wait_for(lambda: self.count("a") == 1)
        _, said = self.end_importer()
        self.assertIn(f"ends within a record, at byte {len(line)}", said)

    def test_damage_is_told_and_other_files_go_on(self):
        line = record(event(1.7e9, 0, simple("loss", 1)))
        broken = bytearray(line)
        broken[-6] ^= 1
        self.append("a/tfevents", line + bytes(broken) + line)
        self.append("b/tfevents", line)
        self.follow()
        self.assertIn("following 2 event files of 2 runs", self.importer.stderr.readline())
        told = self.importer.stderr.readline()
        self.assertRegex(told, rf"a/tfevents: byte {len(line)}.*does not match its checksum")
        self.append("b/tfevents", record(event(1.7e9, 1, simple("loss", 2))))
        self.wait_for(lambda: self.count("b") == 2)
        _, said = self.end_importer(status=1)
        self.assertRegex(said, "error: .*does not match its checksum")

    def test_what_a_shared_disk_shows_as_zeros_is_read_once_it_is_there(self):
        line = record(event(1.7e9, 0, simple("loss", 1)))
        second = record(event(1.7e9, 1, simple("loss", 2)))
        self.append("a/tfevents", line + bytes(len(second)))
        self.follow()
        self.importer.stderr.readline()
        self.assertIn("nothing behind it is read", self.importer.stderr.readline())
        with open(os.path.join(self.logs, "a/tfevents"), "r+b") as file:
            file.seek(len(line))
            file.write(second + line[:3])
        self.wait_for(lambda: self.count("a") == 2)
        self.end_importer()

    def test_a_file_that_was_made_anew_is_read_from_its_beginning(self):
        self.append("a/tfevents", b"".join(record(event(1.7e9, step, simple("loss", step)))
                                           for step in range(5)))
        self.follow()
        self.wait_for(lambda: self.count("a") == 5)
        with open(os.path.join(self.logs, "a/tfevents"), "wb") as file:
            file.write(record(event(1.7e9, 9, simple("loss", 9))))
        self.wait_for(lambda: self.count("a") == 6)
        _, said = self.end_importer()
        self.assertIn("it is read again from its beginning", said)

    def test_the_newer_importer_fences_the_older(self):
        self.append("a/tfevents", record(event(1.7e9, 0, simple("loss", 1))))
        older = self.follow()
        self.wait_for(lambda: self.count("a") == 1)
        self.stepdb("import", "tensorboard", self.logs, "--project", "p")
        self.append("a/tfevents", record(event(1.7e9, 1, simple("loss", 2))))
        older.stderr.readline()
        self.assertIn("is followed no more", older.stderr.readline())
        _, said = self.end_importer(status=1)
        self.assertIn("fenced", said)

    def test_what_does_not_go_together_is_refused(self):
        for options, words in (
                (["--follow", "--restarts", "attempt"], "--restarts merge"),
                (["--follow", "--axis", "index"], "--axis step or time"),
                (["--follow", "--poll", "1ms"], "10ms at least"),
                (["--poll", "1s"], "--follow")):
            done = self.run_stepdb("import", "tensorboard", self.directory, "--project", "p",
                                   *options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


class Many(Follow):
    def test_irregular_rows_of_many_metrics(self):
        """More sets of metrics than schemas are made for; also by time, and all in one run."""
        written = {}
        data = b""
        for step in range(400):
            for tag in self.random.sample(range(300), 4):
                written[(f"m{tag}", float(step))] = float(tag)
                data += record(event(1.7e9 + step, step, simple(f"m{tag}", tag)))
        self.append("deep/er/tfevents", data)
        self.append("other/tfevents", record(event(1.7e9, 1000, simple("x", 1))))
        written[("x", 1000.0)] = 1.0
        self.follow("--run", "all", "--finish")
        self.wait_for(lambda: self.count("all") == len(written))
        self.end_importer()
        self.assertEqual(self.points("all"), written)
        self.assertEqual(set(self.offsets("all")),
                         {"import/offset/deep/er/tfevents", "import/offset/other/tfevents"})
        state = {row["attribute"]: row["value"] for row in self.query("attributes p/all")}
        self.assertEqual(state["sys/state"], "finished")

    def test_the_same_as_an_import_makes_of_it(self):
        self.logs = os.path.join(ROOT, "examples", "logs")
        self.follow()
        self.wait_for(lambda: self.count("tensorboard") == 2408)
        self.end_importer()
        self.stepdb("import", "tensorboard", self.logs, "--project", "p", "--run", "whole")
        both = [self.stepdb("query", f"** @ p/{run} | steps 0..", "--format", "csv")
                .replace(run, "") for run in ("tensorboard", "whole")]
        self.assertEqual(both[0], both[1])


if __name__ == "__main__":
    unittest.main()
