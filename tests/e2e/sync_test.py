"""`stepdb sync`: the spool of a Python job that is gone, sent by the program, by the package, and by
both in turn; each row once."""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import unittest

from python_client import CLIENT, ClientCase
from stepdb import _protocol as protocol
from stepdb._spool import Spool, SpoolRun, find_spools
from support import SECONDS_MAX, STEPDB, Relay

JOB = ("import os, signal, stepdb, sys\n"
       "run = stepdb.Run('p', sys.argv[1])\n"
       "run.log_configs({'lr': 0.5})\n"
       "for step in range(int(sys.argv[2])):\n"
       "    run.log({'loss': step / 3, f'm/{step % 7}': step}, step=step)\n"
       "run.persist()\n"
       "os.kill(os.getpid(), signal.SIGKILL)\n")


class SyncTest(ClientCase):
    def leave_spool(self, run, steps, code=JOB):
        """Of a job that was killed while its server was away."""
        with self.job(code, run, str(steps), stderr=subprocess.DEVNULL) as job:
            self.assertEqual(job.wait(SECONDS_MAX), -signal.SIGKILL)

    def start_away(self, leave):
        self.start()
        port = self.server.port
        self.server.stop()
        leave()
        self.start(port=port)

    def sync(self, *options, status=0):
        done = self.run_stepdb("sync", self.spool, *options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def check(self, run, steps):
        self.assert_bits(self.points("loss", run), [(float(s), s / 3) for s in range(steps)])
        self.assertEqual(len(self.points("m/*", run)), steps)

    def test_sends_what_a_killed_job_left(self):
        self.start_away(lambda: self.leave_spool("r", 3000))
        [left] = find_spools(self.spool)
        self.assertEqual(self.sync(), (f"{left}: 3000 rows sent\n", ""))
        self.check("r", 3000)
        [lr] = [row for row in self.query("attributes p/r") if row["attribute"] == "config/lr"]
        self.assertEqual(lr["value"], "0.5")
        self.assertEqual(os.listdir(self.spool), [])
        self.assertEqual(self.sync()[0], f"{self.spool}: nothing to send\n")

    def test_a_torn_end_is_told(self):
        self.start_away(lambda: self.leave_spool("r", 500))
        [left] = find_spools(self.spool)
        [frames] = [name for name in os.listdir(left) if name.endswith(".frames")]
        with open(os.path.join(left, frames), "ab") as file:
            file.write(b"\x40\0\0\0\1\4\2\0torn")  # as a crash of the machine may leave it
        out, said = self.sync()
        self.assertEqual(out, f"{left}: 500 rows sent\n")
        self.assertIn("12 bytes from byte", said)
        self.check("r", 500)

    def test_damage_in_the_middle_stays_and_what_lies_behind_is_sent(self):
        code = JOB.replace("import os", "import stepdb._spool as spool\nspool.FILE_BYTES = 4000\n"
                           "import os")
        self.start_away(lambda: self.leave_spool("r", 8000, code))
        [left] = find_spools(self.spool)
        names = sorted(name for name in os.listdir(left) if name.endswith(".frames"))
        self.assertGreater(len(names), 3)
        with open(os.path.join(left, names[1]), "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(size // 2)
            byte = file.read(1)
            file.seek(size // 2)
            file.write(bytes([byte[0] ^ 1]))
        out, said = self.sync(status=1)
        self.assertIn("(it stays)", out)
        self.assertRegex(said, "frames [0-9]+ to [0-9]+ are missing")
        self.assertEqual([name for name in os.listdir(left) if "frames" in name],
                         [names[1] + ".damaged"])
        got = dict(self.points("loss"))
        self.assertLess(len(got), 8000)
        self.assertIn(0.0, got)
        self.assertIn(7999.0, got)
        self.assertTrue(all(value == step / 3 for step, value in got.items()))

    def test_both_tools_in_turn_killed_at_any_moment(self):
        seed = int(os.environ.get("STEPDB_SEED", "0")) or random.randrange(1, 1 << 32)
        print(f"STEPDB_SEED={seed}", file=sys.stderr)
        chance = random.Random(seed)
        runs = {"a": 20000, "b": 9000, "c": 1}
        self.start_away(lambda: [self.leave_spool(run, steps) for run, steps in runs.items()])
        for turn in range(8):
            tool = ([sys.executable, "-m", "stepdb", "sync", self.spool] if turn % 2 else
                    [STEPDB, "sync", self.spool])
            with subprocess.Popen(tool, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={**os.environ, "PYTHONPATH": CLIENT}) as sync:
                # The moment is the point: a Python takes longer to begin.
                threading.Timer(chance.random() / (8 if turn % 2 else 60), sync.kill).start()
        self.sync()
        for run, steps in runs.items():
            self.check(run, steps)
        self.assertEqual(find_spools(self.spool), [])
        stored = {row["attribute"]: row["value"] for row in self.query("attributes p/a")}
        self.assertEqual(stored["sys/attempt"], "0")

    def test_a_connection_that_is_cut_costs_nothing(self):
        self.start_away(lambda: self.leave_spool("r", 20000))
        cut = threading.Event()
        relay = Relay(self.server.port, 150_000, cut.set)
        self.addCleanup(relay.close)
        out, _ = self.sync("--server", relay.address, "--wait", "100ms", status=1)
        self.assertTrue(cut.is_set())
        self.assertIn("(it stays)", out)
        self.sync()
        self.check("r", 20000)

    def test_a_server_that_is_away_keeps_it_all(self):
        self.start_away(lambda: self.leave_spool("r", 10))
        self.server.stop()
        out, said = self.sync("--wait", "0s", status=1)
        self.assertIn("0 rows sent; cannot connect", out)
        self.assertIn("1 of 1 spool not sent in full", said)
        self.start(port=self.server.port)
        self.sync()
        self.check("r", 10)

    def test_leaves_the_spool_of_a_living_process(self):
        self.start()
        run = self.new_run(offline=True)
        run.log({"loss": 1}, step=1)
        run.persist()
        out, _ = self.sync(status=1)
        self.assertIn("its process is alive and sends it itself (it stays)", out)
        run.finish()
        self.sync("--server", self.server.address)
        self.assertEqual(self.points("loss"), [(1.0, 1.0)])

    def test_refused_rows_are_told_and_others_stored(self):
        """Also forks, and rows of an attempt that the dead process never learned."""
        self.start()
        self.stepdb("log", "--project", "p", "--run", "parent", "--step", "1", "loss=7")
        self.stepdb("log", "--project", "p", "--run", "parent", "axis=7")
        directory = os.path.join(self.spool, "one")
        spool = Spool(directory, SpoolRun(self.server.address, "p", "child_x",
                                          "parent", 1.0, "ab" * 16, 0))
        for axis, metrics, number in ((protocol.STEPPED, ["loss"], 1),
                                      (protocol.STEPPED, ["axis"], 2),
                                      (protocol.STEPPED, ["loss"], 3)):
            canonical = protocol.canonical_schema(axis, metrics)
            for frame in protocol.schema_frames("p", canonical):
                spool.append(frame)
            spool.append(protocol.frame(protocol.ROWS, number, protocol.rows_body(
                1, protocol.NEWEST, protocol.schema_hash(canonical), 1,
                struct.pack("<d", number + 1), b"",
                protocol.RowsLayout(1, b""), b"", struct.pack("<d", number))))
        spool.close()
        out, _ = self.sync()
        self.assertIn("2 rows sent, 1 refused: ", out)
        self.assertEqual(self.points("loss", "child_x"), [(1.0, 7.0), (2.0, 1.0), (4.0, 3.0)])

    def test_a_spool_that_is_none_is_named(self):
        self.start()
        directory = os.path.join(self.spool, "x")
        os.makedirs(directory)
        for text, words in (("{", "run.json"), ('{"format": 9}', "of format 9"),
                            ('{"format": 1, "base": -1}', "base is -1"),
                            ('{"format": 1, "project": "p"}', "are missing"),
                            ('{"format": 1, "writer": "zz"}', "32 hexadecimal digits"),
                            ('{"format": 1, "color": 3}', "'color'")):
            with open(os.path.join(directory, "run.json"), "w", encoding="utf-8") as file:
                file.write(text)
            out, _ = self.sync(status=1)
            self.assertIn(words, out)
            self.assertIn("(it stays)", out)
        self.assertIn("cannot list", self.refused("sync", os.path.join(self.directory, "none")))
        shutil.rmtree(directory)

    def test_the_example_of_the_document_is_what_the_client_writes(self):
        with open(os.path.join(os.path.dirname(CLIENT), os.pardir, "docs", "protocol.md"),
                  encoding="utf-8") as file:
            [shown] = [line for line in file if line.startswith('{"format": 1')]
        directory = os.path.join(self.directory, "shown")
        spool = Spool(directory, SpoolRun(**{k: v for k, v in json.loads(shown).items()
                                             if k != "format"}))
        spool.close()
        with open(os.path.join(directory, "run.json"), encoding="utf-8") as file:
            self.assertEqual(file.read(), shown.rstrip("\n"))


if __name__ == "__main__":
    unittest.main()
