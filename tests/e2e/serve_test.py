"""`stepdb serve`: start, stop, and what it refuses."""

import os
import signal
import socket
import subprocess
import unittest

from support import SECONDS_MAX, STEPDB, Case


class Serve(Case):
    def refused_to_serve(self, *arguments, status=1):
        done = subprocess.run([STEPDB, "serve", *arguments], capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("stepdb serve: error: "), done.stderr)
        return done.stderr

    def test_says_what_it_opened(self):
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        _, _, said = self.server.end(signal.SIGKILL)
        self.assertIn("a new store", said)
        self.assertRegex(said, "io_uring|pread/pwrite")
        self.start()
        said = self.server.stop()
        self.assertRegex(said, r"(?m)^\S+Z info +store_opened +the store is open .* runs=1 segments=0 "
                               r"segment_bytes=0 replayed_rows=1 replayed_bytes=\d+(\.\d+)?KiB ")

    def test_works_without_io_uring(self):
        self.start(environment={"STEPDB_IO": "posix"})
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        _, _, said = self.server.end(signal.SIGKILL)
        self.assertIn("pread/pwrite", said)
        self.start(environment={"STEPDB_IO": "posix"})
        self.assertEqual(self.query("loss @ p/r")[0]["value"], "2")

    def test_ends_well_on_both_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.start()
            self.stepdb("log", "--project", "p", "--run", "r", "--step", str(number), "loss=2")
            status, out, err = self.server.end(number)
            self.assertEqual((status, out), (0, ""), err)
            self.assertIn("stopping", err)
        self.start()
        self.assertEqual(len(self.query("loss @ p/r")), 2)

    def test_ends_while_a_client_is_connected(self):
        self.start()
        with socket.create_connection(("127.0.0.1", self.server.port)):
            self.server.stop()

    def test_refuses_a_port_that_is_taken(self):
        self.start()
        error = self.refused_to_serve("--data", self.path("other"), "--listen",
                                      self.server.address)
        self.assertIn(str(self.server.port), error)
        self.assertIn("in use", error)

    def test_refuses_a_store_that_is_in_use(self):
        self.start()
        error = self.refused_to_serve("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertIn(self.data, error)
        self.assertIn("another process", error)
        self.assertEqual(self.query("runs"), [])

    def test_refuses_a_directory_that_is_none(self):
        path = self.write("file", "x")
        self.assertIn(path, self.refused_to_serve("--data", path, "--listen", "127.0.0.1:0"))
        below = os.path.join(path, "store")
        self.assertIn(path, self.refused_to_serve("--data", below, "--listen", "127.0.0.1:0"))

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_refuses_a_directory_it_may_not_write(self):
        os.mkdir(self.data, mode=0o500)
        error = self.refused_to_serve("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertIn("Permission denied", error)

    def test_listens_on_this_machine_only(self):
        for address in ("0.0.0.0:0", "192.0.2.1:7420", "[::]:0"):
            error = self.refused_to_serve("--data", self.data, "--listen", address, status=2)
            self.assertIn(address, error)
            self.assertIn("127.0.0.1", error)
        self.assertFalse(os.path.exists(self.data))

    def test_refuses_too_little_memory(self):
        error = self.refused_to_serve("--data", self.data, "--memory", "255M", status=2)
        self.assertIn("256 MiB", error)

    def test_survives_what_is_no_protocol(self):
        self.start()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, b"\xff" * 64):
            with socket.create_connection(("127.0.0.1", self.server.port)) as client:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                while True:
                    try:
                        if not client.recv(4096):
                            break
                    except ConnectionResetError:
                        break
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.assertEqual(len(self.query("loss @ p/r")), 1)

    def big_log(self, rows):
        lines = [f"{step},{step / 3},{-step}" for step in range(rows)]
        return self.write("big.csv", "step,a,b\n" + "\n".join(lines) + "\n")

    def test_an_answer_that_nobody_takes_harms_nobody(self):
        """Askers that die in the middle of an answer; then others are served, and the stop is clean."""
        self.start()
        self.stepdb("import", "csv", self.big_log(40000), "--project", "p", "--run", "r")
        askers = [subprocess.Popen([STEPDB, "query", "** @ p/r", "--format", "csv", "--server",
                                    self.server.address], stdout=subprocess.PIPE)
                  for _ in range(4)]
        for asker in askers:
            self.assertTrue(asker.stdout.read(100).startswith(b"run,metric,step,value\n"))
            self.assertEqual(len(self.query("a @ p/r | last 10")), 10)
        for asker in askers:
            asker.kill()
            asker.communicate()
        self.assertEqual(len(self.query("a @ p/r | last 10")), 10)
        self.server.stop()

    def test_ends_well_in_the_middle_of_an_import(self):
        """What was acknowledged is there; what was not, wholly or not at all."""
        path = self.big_log(100000)
        self.start()
        importer = subprocess.Popen([STEPDB, "import", "csv", path, "--project", "p", "--run", "r",
                                     "--server", self.server.address], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
        while not self.query("runs"):
            pass
        self.server.stop()
        importer.communicate(timeout=SECONDS_MAX)
        self.start()
        counts = {int(row["count"]) for row in self.query("** @ p/r | buckets 1 count")}
        self.assertLessEqual(len(counts), 1)
        self.stepdb("import", "csv", path, "--project", "p", "--run", "r")
        counts = [int(row["count"]) for row in self.query("** @ p/r | buckets 1 count")]
        self.assertEqual(counts, [100000, 100000])


if __name__ == "__main__":
    unittest.main()
