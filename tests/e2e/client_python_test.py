"""The Python client against the real server: what is logged is what is stored, whatever dies."""

import ast
import contextlib
import datetime
import glob
import io
import math
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest

from python_client import CLIENT, ClientCase
from support import SECONDS_MAX, Case

import stepdb
from stepdb import _protocol as protocol
from stepdb._spool import Spool, SpoolRun, find_spools


class PythonClient(ClientCase):
    def test_every_value_comes_back_bit_for_bit(self):
        self.start()
        chance = random.Random(7)
        special = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e300, 5e-324, 0.1, 0.5, -1.5,
                   3.4028235e38, 2.0 ** 53 + 2, struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0]]
        want = {f"m/{column}": [] for column in range(40)}
        with self.new_run() as run:
            for step in range(3000):
                row = {}
                for column, name in enumerate(want):
                    kind = column % 4
                    value = (chance.random() if kind == 0 else float(chance.randrange(1000)) / 8
                             if kind == 1 else chance.choice(special) if kind == 2 else step)
                    if column < 20 or step % 3 == 0:
                        row[name] = value
                        want[name].append((float(step), float(value)))
                run.log(row, step=step)
        for name, points in want.items():
            self.assert_bits(self.points(name), points)
        report = run.report()
        self.assertEqual((report.rows_sent, report.is_complete), (3000, True))
        self.assertEqual(find_spools(self.spool), [])

    def test_rows_of_many_sets_of_metrics_are_sparse(self):
        """Random subsets in random order; few schemas and few frames, every value bit for bit."""
        self.start()
        seed = random.randrange(1 << 32)
        print(f"seed {seed}", file=sys.stderr)
        chance = random.Random(seed)
        names = [f"m/{metric}" for metric in range(59)]
        want = {name: [] for name in names}
        run = self.new_run(offline=True)
        for step in range(3000):
            row = {}
            # New metrics come while it runs, some are too large for float32 from some step on.
            known = 20 + step // 75
            for metric in chance.sample(range(known), chance.randrange(1, 12)):
                value = (chance.random() if metric % 3 == 0 else chance.randrange(1000) / 8
                         if metric % 3 == 1 or step < 1500 else chance.choice([1e300, math.nan]))
                row[names[metric]] = value
                want[names[metric]].append((float(step), float(value)))
            run.log(row, step=step)
        run.finish()
        [left] = find_spools(self.spool)
        spool = Spool(left)
        kinds = [frame.kind for frame, _ in spool.read(1, 0, limit=1 << 24)]
        spool.close()
        self.assertLess(kinds.count(protocol.SCHEMA), 80)  # a new metric makes a new one
        self.assertLess(kinds.count(protocol.ROWS), 400)
        self.assertEqual(stepdb.sync(self.spool, self.server.address),
                         [(left, True, "3,000 rows sent")])
        for name, points in want.items():
            self.assert_bits(self.points(name), points)

    def test_rows_that_alternate_share_frames(self):
        self.start()
        run = self.new_run(offline=True)
        for step in range(2000):
            run.log({"train/loss": step, "lr": 1} if step % 2 else {"val/loss": -step}, step=step)
            if step % 3 == 0:
                run.log({"gpu/util": step}, timestamp=1e9 + step)
        run.finish()
        [left] = find_spools(self.spool)
        spool = Spool(left)
        frames = [frame for frame, _ in spool.read(1, 0, limit=1 << 24)]
        spool.close()
        self.assertGreater(len(frames), 64)
        self.assertLess(len(frames), 1000, "of 2,667 rows")
        stepdb.sync(self.spool, self.server.address)
        for metric, first, sign in (("val/loss", 0, -1), ("train/loss", 1, 1)):
            self.assert_bits(self.points(metric), [(float(step), float(sign * step))
                                                   for step in range(first, 2000, 2)])
        with stepdb.connect(self.server.address) as connection:
            self.assertEqual(len(connection.query("gpu/util @ p/r")), 667)

    def test_notes(self):
        self.start()
        with self.new_run() as run:
            run.log({"loss": 1}, step=1)
            run.note("lr halved", step=40_000)
            run.note("checkpoint saved", step=40_000)
            run.note("between", step=0.5)
            run.note("rack 7 throttled", timestamp=1_700_000_000)
            run.note("now")
            with contextlib.redirect_stderr(io.StringIO()) as said:
                run.note("never", step=math.inf)
        self.assertIn("a note is left out", said.getvalue())
        with stepdb.connect(self.server.address) as connection:
            *notes, (_, _, now, text) = connection.query("notes p/r")
        self.assertEqual(text, "now")
        self.assertGreater(now, 1_700_000_000_000_000)
        self.assertEqual([row[1:] for row in notes], [
            (0.5, None, "between"), (40_000.0, None, "checkpoint saved"),
            (40_000.0, None, "lr halved"), (None, 1_700_000_000_000_000, "rack 7 throttled")])

    def test_what_cannot_be_stored_costs_nothing_else(self):
        self.start()
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            with self.new_run() as run:
                run.log({1: 0.5, "\ud800": 1.0, "x" * 2000: 2.0, "a\nb": 3.0, "": 4.0, "ok": 5.0},
                        step=1)
                run.log({"\n": 1.0}, step=2)
                run.log({"huge": 10 ** 400, "ok": 1.0}, step=3)
                for step in ("x", math.nan, math.inf):
                    run.log({"ok": 1.0}, step=step)
                run.log({"ok": 1.0}, step=4, timestamp=1e300)
                run.log(None, step=5)
                run.log_rank(None, step=5)
                run.log({"ok": 6.0}, step=6)
                run.set_attributes({7: "number", "list": [[1]], "object": object(), "t":
                                    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)})
        self.assertEqual(self.points("ok"), [(1.0, 5.0), (6.0, 6.0)])
        self.assertEqual(self.points("1"), [(1.0, 0.5)])
        report = run.report()
        self.assertTrue(report.is_complete, report)
        self.assertEqual((report.rows_sent, report.rows_dropped, report.values_refused),
                         (2, 7, 4 + 1 + 2 + 1), said.getvalue())
        for what in ("no name of a metric (no Unicode text)", "a row is left out: ",
                     "is no number (NoneType", "it is stored as text"):
            self.assertIn(what, said.getvalue())
        with stepdb.connect(self.server.address) as connection:
            [row] = connection.query("runs p/r | show attr(\"7\"), t").to_dicts()
        self.assertEqual(list(row.values())[1:], ["number", 1767312000000000])

    def test_nested_values_attributes_and_what_is_no_number(self):
        self.start()
        with self.new_run() as run:
            run.log({"a": {"b": {"c": 1}, "d": True}, "e": 2.5, "f": "text", "g": None}, step=1)
            run.log({"loss": 3}, timestamp=1_700_000_000.25)
            run.log_configs({"optimizer": {"lr": 3e-4, "name": "adam"}, "resume": False, "n": 7})
            run.add_tags(["sweep-3", "keep"])
            run.remove_tags(["keep"])
        self.assertEqual(self.points("a/b/c"), [(1.0, 1.0)])
        self.assertEqual(self.points("a/d"), [(1.0, 1.0)])
        self.assertEqual(run.report().values_refused, 2)
        with stepdb.connect(self.server.address) as connection:
            [row] = connection.query("loss @ p/r").to_dicts()
            self.assertEqual((row["time"], row["value"]), (1_700_000_000_250_000, 3.0))
            [row] = connection.query("runs p/r | show config/optimizer/lr, config/optimizer/name, "
                                     "config/resume, config/n, sys/tags, sys/state").to_dicts()
        self.assertEqual([row[name] for name in list(row)[1:]],
                         [3e-4, "adam", "false", 7, "sweep-3", "finished"])

    def test_the_server_is_killed_twice_in_the_middle(self):
        self.start()
        run = self.new_run()
        for step in range(30_000):
            run.log({"loss": step / 7, "lr": 0.5}, step=step)
            if step in (10_000, 20_000):
                self.assertTrue(run.flush(SECONDS_MAX))
                port = self.server.port
                self.server.kill()
                for late in range(step + 1, step + 2000):  # nobody listens
                    run.log({"late": late}, step=late)
                self.start(port=port)
        report = run.finish(seconds=SECONDS_MAX)
        self.assertEqual((report.rows_sent, report.is_complete), (33_998, True))
        self.assert_bits(self.points("loss"), [(float(s), s / 7) for s in range(30_000)])
        self.assertEqual(len(self.points("late")), 3998)

    def test_the_job_is_killed_and_resumes(self):
        """What it had logged before it last told us is there, in the attempt it belongs to."""
        self.start()
        code = ("import stepdb, sys\n"
                "run = stepdb.Run('p', 'r')\n"
                "for step in range(10 ** 9):\n"
                "    run.log({'loss': step / 3}, step=step)\n"
                "    if step % 500 == 0:\n"
                "        run.persist()\n"
                "        print(step, flush=True)\n")
        with self.job(code) as job:
            for line in job.stdout:
                told = int(line)
                if told >= 20_000:
                    job.kill()
                    break
        with self.new_run(resume_step=15_000) as run:
            self.assertEqual(run._writer.attempt, 1)
            for step in range(15_001, 15_100):
                run.log({"loss": -step}, step=step)
        self.assertEqual(find_spools(self.spool), [], "what the dead job left was sent")
        first = self.points("loss", "r#0")
        self.assertGreater(len(first), told)
        self.assert_bits(first, [(float(s), s / 3) for s in range(len(first))])
        self.assert_bits(self.points("loss"), [(float(s), s / 3) for s in range(15_001)] +
                         [(float(s), -float(s)) for s in range(15_001, 15_100)])

    def test_the_job_is_killed_at_any_moment(self):
        """Of each of these jobs there is what it had persisted, once, and nothing out of order;
        also if those who send what it left are killed in turn."""
        self.start()
        code = ("import stepdb, sys\n"
                "run = stepdb.Run('p', sys.argv[1])\n"
                "for step in range(10 ** 9):\n"
                "    run.log({f'm/{step % 3}': step / 3}, step=step)\n"
                "    if step % 40 == 0 and run.persist():\n"
                "        print(step, flush=True)\n")
        seed = random.randrange(1 << 32)
        print(f"seed {seed}", file=sys.stderr)
        chance = random.Random(seed)
        told = {}
        for run in ("a", "b", "c", "d", "e", "f"):
            with self.job(code, run, stderr=subprocess.DEVNULL) as job:
                lines = [job.stdout.readline()]  # it runs
                threading.Timer(chance.random() / 4, job.kill).start()  # the moment is the point
                lines += job.stdout.readlines()
            told[run] = int([line for line in lines if line.endswith("\n")][-1])
        for _ in range(4):
            sync = self.job("import stepdb, os\n"
                            "print(flush=True)\n"
                            "stepdb.sync(os.environ['STEPDB_SPOOL'])\n", stderr=subprocess.DEVNULL)
            with sync:
                sync.stdout.readline()
                threading.Timer(chance.random() / 20, sync.kill).start()
        self.assertTrue(all(is_complete for _, is_complete, _ in stepdb.sync(self.spool)))
        for run, last in told.items():
            stored = sorted(self.points("m/*", run))  # a job may have come to one or two metrics
            self.assertGreater(len(stored), last)
            self.assert_bits(stored, [(float(step), step / 3) for step in range(len(stored))])

    def test_the_job_dies_while_nobody_listens_and_its_spool_is_sent_later(self):
        self.start()
        port = self.server.port
        self.server.stop()
        code = ("import os, signal, stepdb\n"
                "run = stepdb.Run('p', 'r')\n"
                "for step in range(5000):\n"
                "    run.log({'loss': step}, step=step)\n"
                "run.persist()\n"
                "os.kill(os.getpid(), signal.SIGKILL)\n")
        with self.job(code, stderr=subprocess.DEVNULL) as job:
            self.assertEqual(job.wait(SECONDS_MAX), -signal.SIGKILL)
        [left] = find_spools(self.spool)
        with open(os.path.join(left, "00000001.frames"), "ab") as file:
            file.write(b"\x40\0\0\0\1\4\2\0torn")  # as a crash of the machine may leave it
        self.start(port=port)
        done = subprocess.run([sys.executable, "-m", "stepdb", "sync", self.spool], text=True,
                              env={**os.environ, "PYTHONPATH": CLIENT}, capture_output=True,
                              timeout=SECONDS_MAX)
        self.assertEqual((done.returncode, done.stdout), (0, f"{left}: 5,000 rows sent\n"))
        self.assert_bits(self.points("loss"), [(float(s), float(s)) for s in range(5000)])
        self.assertEqual(find_spools(self.spool), [])

    def test_offline_and_a_live_process_keeps_its_spool(self):
        self.start()
        run = self.new_run(offline=True)
        run.log({"loss": 1}, step=1)
        self.assertFalse(run.flush())
        [(_, is_complete, why)] = stepdb.sync(self.spool)
        self.assertEqual((is_complete, why), (False, "its process is alive and sends it itself"))
        self.assertFalse(run.finish().is_complete)
        self.assertTrue(stepdb.sync(self.spool)[0][1])
        self.assertEqual(self.points("loss"), [(1.0, 1.0)])

    def test_a_run_that_is_gone_on_with_is_its_newest_attempt(self):
        self.start()
        with self.new_run() as run:
            run.log({"loss": 1}, step=1)
        with self.new_run(resume_step=1) as run:
            run.log({"loss": 2}, step=2)
        with self.new_run() as run:
            run.log({"loss": 3}, step=3)
        self.assertEqual(run.attempt, 1)
        self.assertEqual(self.points("loss"), [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)])
        self.assertEqual(self.points("loss", "r#0"), [(1.0, 1.0)])
        with self.new_run(attempt=0) as run:
            run.log({"loss": 4}, step=4)
        self.assertEqual(self.points("loss", "r#0"), [(1.0, 1.0), (4.0, 4.0)])

    def test_children_log_by_themselves(self):
        self.start()
        run = self.new_run()
        run.log({"parent": 1}, step=1)
        children = []
        for rank in range(3):
            child = os.fork()
            if child == 0:
                run._rank = rank
                run.log_rank({"loss": rank}, step=5)
                os._exit(0 if run.finish().is_complete else 1)
            children.append(child)
        for child in children:
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        child = os.fork()
        if child == 0:  # one that logs nothing has no spool, and nothing to send
            os._exit(0 if run.finish().is_complete else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        with stepdb.connect(self.server.address) as connection:
            self.assertEqual(list(connection.query("runs p/r | show sys/state"))[0][1], "running")
        run.log({"parent": 2}, step=2)
        self.assertTrue(run.finish().is_complete)
        self.assertEqual(self.points("parent"), [(1.0, 1.0), (2.0, 2.0)])
        for rank in range(3):
            self.assertEqual(self.points(f"rank_{rank}/loss"), [(5.0, float(rank))])

    def test_a_fork_and_errors_that_say_what_to_do(self):
        self.start()
        with self.new_run("base") as run:
            for step in range(10):
                run.log({"loss": step}, step=step)
        with self.new_run("tip", parent="p/base", fork_step=4) as run:
            run.log({"loss": 50}, step=5)
        self.assertEqual(self.points("loss", "tip"),
                         [(float(s), float(s)) for s in range(5)] + [(5.0, 50.0)])
        with self.assertRaisesRegex(stepdb.Error, "a fork takes both"):
            self.new_run("x", parent="p/base")
        with self.assertRaisesRegex(stepdb.Error, "expected HOST:PORT"):
            self.new_run("x", server="nowhere:port")
        with self.assertRaisesRegex(stepdb.Error, "run is finished"):
            run._raise_errors = True
            run.log({"loss": 1}, step=9)

    def test_answers(self):
        self.start()
        with self.new_run() as run:
            for step in range(20_000):
                run.log({"loss": step}, step=step)
        with stepdb.connect(self.server.address) as connection:
            answer = connection.query("$what @ p/r | buckets 4 count, mean", what="loss")
            self.assertEqual(answer.names, ["run", "metric", "lo", "hi", "count", "mean"])
            self.assertEqual([row[4] for row in answer], [5000] * 4)
            self.assertEqual(len(connection.query("loss @ p/r")), 20_000)
            with self.assertRaises(stepdb.Error) as refused:
                connection.query("nothing @ p/r")
            self.assertEqual(refused.exception.code, protocol.NOT_FOUND)
            self.assertEqual(len(connection.query("runs p/*")), 1)  # it goes on


    def test_metrics_logged_one_by_one_are_rows(self):
        self.start()
        with self.new_run() as run:
            for step in range(2000):
                for metric in range(10):
                    run.log({f"m/{metric}": step * metric / 7}, step=step)
                run.log({"m/0": -step}, step=step)  # again: the last one wins
        report = run.report()
        self.assertEqual((report.rows_logged, report.is_complete), (4000, True))
        for metric in range(1, 10):
            self.assert_bits(self.points(f"m/{metric}"),
                             [(float(step), step * metric / 7) for step in range(2000)])
        self.assert_bits(self.points("m/0"), [(float(step), float(-step)) for step in range(2000)])



class FullServer:
    """Speaks just enough of the protocol to refuse rows of the first writer for want of room. With
    `loses_refusal` the connection is lost before the first refusal can be told."""

    def __init__(self, refuse_number, loses_refusal=False):
        self.refuse_number = refuse_number
        self.loses_refusal = loses_refusal
        self.last = {}  # number of each writer
        self.rows = []  # writer, number and steps of those taken
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            try:
                self.talk(client)
            except (EOFError, OSError):
                pass
            client.close()

    def read_bytes(self, client, count):
        data = b""
        while len(data) < count:
            data += client.recv(count - len(data)) or self.end()
        return data

    def read(self, client):
        head = self.read_bytes(client, 24)
        body = self.read_bytes(client, struct.unpack_from("<I", head)[0] - 24)
        return head[5], struct.unpack_from("<Q", head, 16)[0], body

    @staticmethod
    def end():
        raise EOFError

    def talk(self, client):
        ordinal = 0
        while True:
            kind, number, body = self.read(client)
            if kind == protocol.HELLO:
                writer = body[12:28]
                client.sendall(protocol.frame(protocol.HELLO_OK, 0, struct.pack(
                    "<IQ16sIIB", 1, 0, bytes(16), 1 << 25, 65536, 1) + protocol.text("full")))
                continue
            ordinal += 1
            if kind == protocol.OPEN_RUN:
                client.sendall(protocol.frame(protocol.RUN_OPENED, ordinal, struct.pack(
                    "<IIQQB7x", 1, 0, 1, self.last.get(writer, 0), 1)))
            is_known = 0 < number <= self.last.get(writer, 0)
            if number and not is_known:
                self.last[writer] = number
            if kind == protocol.ROWS and number >= self.refuse_number and len(self.last) == 1:
                if self.loses_refusal:
                    self.loses_refusal = False
                    return
                client.sendall(protocol.frame(protocol.ERROR, ordinal, struct.pack(
                    "<BBxxII", 1, protocol.RESOURCE_EXHAUSTED, 2 ** 32 - 1, 2 ** 32 - 1) +
                    protocol.text("the disk is full")))
                continue
            if kind == protocol.ROWS and not is_known:
                count = struct.unpack_from("<I", body, 24)[0]
                self.rows.append((writer, number, struct.unpack_from(f"<{count}d", body, 32)))
            client.sendall(protocol.frame(protocol.ACK, ordinal, struct.pack("<B7xQ", 1, 0)))


class FullDisk(Case):
    def test_what_was_refused_for_want_of_room_goes_out_again_in_order(self):
        self.check(FullServer(refuse_number=3))

    def test_a_refusal_lost_with_the_connection_is_asked_for_again(self):
        self.check(FullServer(refuse_number=3, loses_refusal=True))

    def check(self, server):
        run = stepdb.Run("p", "r", server=server.address,
                         spool=os.path.join(self.directory, "spool"))
        for step in range(6):  # a frame each
            run.log({"loss": step}, step=step)
            run._writer.mark().is_reached.wait(SECONDS_MAX)
        report = run.finish(seconds=SECONDS_MAX)
        self.assertTrue(report.is_complete, report)
        first, second = dict.fromkeys(writer for writer, _, _ in server.rows)
        steps = [step for writer, _, its in server.rows for step in its if writer == first]
        self.assertEqual(steps, [0.0, 1.0])
        again = [(number, its) for writer, number, its in server.rows if writer == second]
        self.assertEqual([number for number, _ in again], list(range(1, len(again) + 1)))
        steps = [step for _, its in again for step in its]
        self.assertEqual(steps, [float(step) for step in range(6) if step >= steps[0]])
        self.assertLessEqual(steps[0], 2.0)


class Sources(unittest.TestCase):
    def test_the_package_is_written_in_python_3_9(self):
        paths = glob.glob(os.path.join(CLIENT, "stepdb", "*.py"))
        self.assertGreater(len(paths), 15)
        for path in paths:
            with open(path, encoding="utf-8") as file:
                ast.parse(file.read(), path, feature_version=(3, 9))


class SpoolTest(Case):
    def test_reads_what_is_whole(self):
        run = SpoolRun("s", "p", "r", None, None, "00" * 16, 0)
        directory = os.path.join(self.directory, "one")
        spool = Spool(directory, run)
        frames = [protocol.frame(protocol.ROWS, number, os.urandom(number * 100))
                  for number in range(1, 9)]
        for frame in frames:
            spool.append(frame)
        spool.close()
        path = os.path.join(directory, "00000001.frames")
        with open(path, "rb") as file:
            whole = file.read()
        starts = [sum(map(len, frames[:count])) for count in range(9)]
        for at in range(0, len(whole), 97):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 8]) + whole[at + 1:]):
                with open(path, "wb") as file:
                    file.write(damaged)
                spool = Spool(directory)
                sound = sum(start <= at for start in starts[1:])
                self.assertEqual([bytes_ for _, bytes_ in spool.read(1, 0)], frames[:sound])
                spool.close()


if __name__ == "__main__":
    unittest.main()
