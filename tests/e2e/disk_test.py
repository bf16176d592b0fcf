"""Nothing is damaged, but the directory or the disk is not as a server needs it."""

import json
import os
import subprocess
import time
import unittest
from array import array

import wire
from damage_stores import FEW, FILLER, Writer, flushed
from support import Case, Start

EXHAUSTED = 5


class Mount:
    """A small file system of its own, or a directory bound read-only; needs root."""

    def __init__(self, case, where, *options, source="none"):
        self.where = where
        os.makedirs(where, exist_ok=True)
        done = subprocess.run(["mount", *options, source, where], capture_output=True, text=True)
        if done.returncode != 0:
            case.skipTest(f"mounting needs rights this user has not: {done.stderr.strip()}")
        case.addCleanup(self.unmount)

    def unmount(self):
        # Lazily: the kernel lets go of what a ring of io_uring held some time after its process has gone.
        subprocess.run(["umount", "--lazy", self.where], check=True)


class SurroundingsTest(Case):
    """Nothing is damaged, but the directory is not as a server needs it."""

    def serve_refused(self, data):
        start = Start(data)
        self.addCleanup(start.close)
        self.assertEqual((start.port, start.status), (None, 1), start.said())
        self.assertIn("stepdb serve: error: ", start.said())
        self.assertIn(data, start.said())
        return start.said()

    def test_a_store_in_use(self):
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.assertIn("another process", self.serve_refused(self.data))
        error = self.refused("query", "loss @ p/r", "--data", self.data)
        self.assertIn("another process", error)
        self.assertIn("--server", error)
        self.assertEqual(self.query("loss @ p/r")[0]["value"], "2")

    def test_a_file_where_the_directory_should_be(self):
        path = self.write("file", "x")
        self.serve_refused(path)
        self.assertIn(path, self.refused("query", "runs", "--data", path))

    def test_a_read_only_directory(self):
        model = {}
        flushed(self.data, model)
        Mount(self, self.data, "--bind", source=self.data)
        subprocess.run(["mount", "-o", "remount,ro,bind", self.data], check=True)
        self.assertIn("Read-only", self.serve_refused(self.data))
        self.assertIn("Read-only", self.serve_refused(os.path.join(self.data, "new")))
        answer = self.query("loss @ p/before", "--data", self.data)
        self.assertEqual({float(row["step"]): float(row["value"]) for row in answer},
                         model["before"]["loss"])


class FullDiskCase(Case):
    """A log file has 64 MiB, and the reserve for deletes 128."""

    MEBIBYTES = 240
    BALLAST = 72

    def setUp(self):
        super().setUp()
        disk = self.path("disk")
        Mount(self, disk, "-t", "tmpfs", "-o", f"size={self.MEBIBYTES}m")
        self.data = os.path.join(disk, "store")
        self.ballast = os.path.join(disk, "ballast")
        with open(self.ballast, "wb") as file:
            file.write(bytes(self.BALLAST << 20))
        self.model = {}

    def fill_by_ingesting(self):
        """Until a frame is refused; returns the error. What compresses well never fills a disk, for a
        flush frees its log, so something else takes the room meanwhile."""
        writer = Writer(self.server.port, self.model)
        writer.noise("r", FEW, 100, 1)
        for mebibyte in range(240):
            try:
                if mebibyte == 20:
                    self.fill_to_the_last_byte()
                writer.fill_log(1)
            except wire.Refused as error:
                writer.close()
                return error
        return self.fail("240 MiB were taken by a disk of 240 MiB")

    def fill_to_the_last_byte(self):
        descriptor = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(descriptor, bytes(4096))
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def check_reading(self, port):
        connection = wire.Connection(port, bytes(16))
        for metric in FEW:
            answer = connection.ask(f"{metric} @ p/r")
            self.assertEqual(dict(zip(answer["step"], answer["value"])), self.model["r"][metric])
        self.assertEqual(list(connection.ask(f"{FILLER[0]} @ p/fill")["value"]), [0.25])
        connection.close()

    def write_until_taken(self, port, run):
        """The server looks again for room twice a second."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            writer = Writer(port, self.model)
            try:
                writer.noise(run, FEW, 5, run)
                return
            except wire.Refused as refused:
                self.assertEqual(refused.code, EXHAUSTED, refused)
            finally:
                writer.close()
        self.fail("writing does not go on though there is room")


class FullDiskTest(FullDiskCase):
    """Too small for a reserve, so rows are taken without one."""

    def test_frames_are_refused_and_go_on_when_there_is_room(self):
        self.start("--log-format", "json")
        refused = self.fill_by_ingesting()
        self.assertEqual(refused.code, EXHAUSTED)
        self.assertIn(self.data, refused.message)
        self.assertIn("No space left", refused.message)
        self.check_reading(self.server.port)
        os.remove(self.ballast)
        self.write_until_taken(self.server.port, "again")
        self.check_reading(self.server.port)
        events = [json.loads(line) for line in self.server.stop().splitlines()]
        told = [(event["event"], event["level"]) for event in events
                if event["event"].startswith("disk_")]
        self.assertEqual(told, [("disk_full", "error"), ("disk_has_room", "info")])
        self.start()
        self.check_reading(self.server.port)
        self.assertEqual(len(self.query("loss @ p/again")), 5)

    def test_a_restart_on_a_full_disk_reads(self):
        self.start()
        self.fill_by_ingesting()
        self.fill_to_the_last_byte()
        self.server.kill()
        self.assertEqual(len(self.query("loss @ p/r", "--data", self.data)), 100)
        self.start()
        self.check_reading(self.server.port)
        os.remove(self.ballast)
        self.write_until_taken(self.server.port, "again")
        self.server.kill()
        self.start()
        self.check_reading(self.server.port)
        self.assertEqual(len(self.query("loss @ p/again")), 5)

    def test_no_store_begins_on_a_full_disk(self):
        self.fill_to_the_last_byte()
        start = Start(self.data)
        self.addCleanup(start.close)
        self.assertEqual(start.status, 1, start.said())
        self.assertIn(self.data, start.said())
        self.assertIn("No space left", start.said())
        os.remove(self.ballast)
        self.start()
        self.assertEqual(self.query("runs"), [])


class ReserveTest(FullDiskCase):
    """What is deleted on a full disk makes room on it."""

    MEBIBYTES = 520
    BALLAST = 4

    def start_with_reserve(self):
        """A store that is mostly a run to be deleted, and has its reserve."""
        self.start()
        writer = Writer(self.server.port, self.model)
        writer.noise("r", FEW, 100, 1)
        for mebibyte in range(90):
            values = array("d")
            values.frombytes(os.urandom(4096 * len(FILLER) * 8))
            steps = [float(4096 * mebibyte + row) for row in range(4096)]
            writer.rows("big", FILLER, steps, values)
        writer.fill_log(1)
        writer.close()
        self.server.stop()
        self.start()
        self.wait_until(lambda: os.path.exists(self.reserve), "no room is kept for deletes")

    def setUp(self):
        super().setUp()
        self.reserve = os.path.join(self.data, "RESERVE")

    def wait_until(self, is_so, otherwise):
        """The server looks twice a second."""
        deadline = time.monotonic() + 30
        while not is_so():
            self.assertLess(time.monotonic(), deadline, otherwise)
            self.query("runs")

    def test_a_delete_on_a_full_disk_makes_room(self):
        self.start_with_reserve()
        self.assertEqual(os.stat(self.reserve).st_size, 128 << 20)
        self.fill_to_the_last_byte()
        refused = self.fill_by_ingesting()
        self.assertEqual(refused.code, EXHAUSTED)
        self.stepdb("run", "delete", "p/big", "--yes")
        # The ballast is still there: the room is the run's.
        self.write_until_taken(self.server.port, "again")
        self.wait_until(lambda: os.path.exists(self.reserve), "the reserve is not made anew")
        self.check_reading(self.server.port)
        self.server.stop()
        self.start()
        self.check_reading(self.server.port)
        self.assertEqual(len(self.query("loss @ p/again")), 5)
        self.assertIn("no run", self.refused("query", "filler/0 @ p/big"))


if __name__ == "__main__":
    unittest.main()
