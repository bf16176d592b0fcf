"""Backups of stores with a server and without, by `stepdb backup`, and stores that `stepdb restore`
makes of them."""

import array
import json
import os
import random
import shutil
import signal
import struct
import threading
import unittest

import wire
from support import SECONDS_MAX, Case, Server, verify

METRICS = [f"layers/{index:03}/norm" for index in range(100)]
SHOWN = (0, 50, 99)  # of these metrics every point is compared
ROWS = 64  # of a frame
NOISES = 61
AHEAD = 16  # frames sent and not acknowledged


class Load(threading.Thread):
    """A writer that logs rows as fast as they are acknowledged, and knows how many were."""

    def __init__(self, port, run="run"):
        super().__init__()
        rng = random.Random(run)
        self.run_name = run
        self.noises = [array.array("f", [rng.random() for _ in range(ROWS * len(METRICS))])
                       for _ in range(NOISES)]
        self.acknowledged = 0  # frames
        self.sent = 0
        self.some = threading.Condition()
        self.ending = False
        self.error = None
        self.connection = wire.Connection(port, run.encode().ljust(16, b"."))
        self.connection.send(wire.schema("p", wire.STEPPED, METRICS), wire.open_run(1, "p", run))
        self.connection.wait_for(2)
        self.schema = wire.schema_hash(wire.STEPPED, METRICS)

    def frame(self, number):
        steps = range((number - 1) * ROWS, number * ROWS)
        return wire.rows(number, 1, self.schema, steps, self.noises[number % NOISES])

    def run(self):
        try:
            while not self.ending or self.acknowledged < self.sent:
                if not self.ending and self.sent < self.acknowledged + AHEAD:
                    self.sent += 1
                    self.connection.send(self.frame(self.sent))
                    continue
                kind, number, body = self.connection.read()
                if kind == wire.ERROR:
                    raise wire.Refused(number, body)
                with self.some:
                    self.acknowledged = max(self.acknowledged, number - 2)
                    self.some.notify_all()
        except (OSError, EOFError, wire.Refused) as error:
            self.error = error
        with self.some:
            self.ending = True
            self.some.notify_all()
        self.connection.close()

    def wait_for(self, frames):
        with self.some:
            self.some.wait_for(lambda: self.acknowledged >= frames or self.ending, SECONDS_MAX)

    def end(self):
        self.ending = True
        self.join(SECONDS_MAX)

    def frames_in(self, port):
        """How many frames a server has; each of these must be there as it was sent."""
        connection = wire.Connection(port, bytes(16))
        frames = None
        for column in SHOWN:
            answer = connection.ask(f"{METRICS[column]} @ p/{self.run_name}")
            steps, values = answer["step"], answer["value"]
            assert len(steps) % ROWS == 0, len(steps)
            assert frames in (None, len(steps) // ROWS), (frames, len(steps))
            frames = len(steps) // ROWS
            assert list(steps) == list(range(frames * ROWS))
            for number in range(1, frames + 1):
                want = self.noises[number % NOISES][column::len(METRICS)]
                got = values[(number - 1) * ROWS:number * ROWS]
                assert list(got) == list(want), (self.run_name, column, number)
        connection.close()
        return frames


class BackupCase(Case):
    def setUp(self):
        super().setUp()
        self.target = self.path("backup")
        self.restored = 0

    def load(self, run="run"):
        load = Load(self.server.port, run)
        self.addCleanup(load.end)
        load.start()
        return load

    def log(self, step, run="p/r"):
        project, name = run.split("/")
        self.stepdb("log", "--project", project, "--run", name, "--step", str(step),
                    f"loss={step + 0.5}")

    def losses(self, server, run="p/r"):
        connection = wire.Connection(server.port, bytes(16))
        answer = connection.ask(f"loss @ {run}")
        connection.close()
        return dict(zip(answer["step"], answer["value"]))

    def serve_restored(self, backup=None):
        """Restores the backup and serves that; returns the server."""
        self.restored += 1
        data = self.path(f"restored-{self.restored}")
        self.stepdb("restore", backup or self.target, data)
        verify(data)
        server = Server(data)
        self.addCleanup(server.kill)
        return server

    def files(self, directory):
        return sorted(os.listdir(directory))


class Live(BackupCase):
    @unittest.skipIf(os.environ.get("STEPDB_SANITIZE"),
                     "under a sanitizer verify takes minutes for what the load has sent meanwhile")
    def test_under_load_everything_acknowledged_before_is_in_it(self):
        self.start("--memory", "256M")
        loads = [self.load("a"), self.load("b")]
        loads[0].wait_for(100)
        for _ in range(3):
            before = [load.acknowledged for load in loads]
            printed = self.stepdb("backup", self.target)
            self.assertRegex(printed, r"^backed up 2 runs: \d+ of \d+ files new, [\d.]+ \w+ copied "
                             rf"to {self.target}\n$")
            verify(self.target)
            server = self.serve_restored()
            for load, acknowledged in zip(loads, before):
                self.assertGreaterEqual(load.frames_in(server.port), acknowledged)
            server.stop()
            for load, acknowledged in zip(loads, before):
                load.wait_for(acknowledged + 50)
                self.assertIsNone(load.error)
        for load in loads:
            load.end()
            self.assertIsNone(load.error)
            self.assertEqual(load.frames_in(self.server.port), load.sent)
        self.server.stop()

    def test_the_second_copies_only_what_is_new(self):
        self.start()
        load = self.load()
        load.wait_for(200)
        load.end()
        first = json.loads(self.stepdb("backup", self.target, "--format", "json"))[0]
        self.assertEqual(first["files_new"], first["files"])
        self.assertEqual(first["bytes_copied"], first["bytes"])
        again = json.loads(self.stepdb("backup", self.target, "--format", "json"))[0]
        self.assertEqual((again["files_new"], again["bytes_copied"]), (0, 0))
        self.log(1)
        second = json.loads(self.stepdb("backup", self.target, "--format", "json"))[0]
        self.assertEqual(second["runs"], 2)
        self.assertLess(second["bytes_copied"], first["bytes_copied"] / 10)
        # And BACKUP, CURRENT, LOCK and the manifest.
        self.assertEqual(len(self.files(self.target)), second["files"] + 4)
        server = self.serve_restored()
        self.assertEqual(load.frames_in(server.port), load.sent)
        self.assertEqual(self.losses(server), {1: 1.5})

    def test_a_killed_server_leaves_the_last_backup(self):
        self.start()
        self.log(1)
        self.stepdb("backup", self.target)
        load = self.load()
        load.wait_for(800)
        load.end()
        connection = wire.Connection(self.server.port, bytes(16), wire.FEATURE_BACKUP)
        self.assertEqual(connection.features, wire.FEATURE_BACKUP)
        connection.send(wire.backup(1, self.target))
        kind = None
        while kind != wire.RESULT_BLOCK:
            kind, _, body = connection.read()
            self.assertNotEqual(kind, wire.ERROR, body)
        self.server.kill()
        connection.close()
        verify(self.target)
        server = self.serve_restored()
        self.assertEqual(self.losses(server), {1: 1.5})
        server.stop()
        self.restart_after_kill()
        self.stepdb("backup", self.target)
        verify(self.target)
        self.assertFalse([name for name in self.files(self.target) if name.endswith(".new")])
        server = self.serve_restored()
        self.assertEqual(self.losses(server), {1: 1.5})
        self.assertEqual(load.frames_in(server.port), load.sent)

    def test_cancelled_or_without_its_client_it_leaves_the_last_backup(self):
        self.start()
        self.log(1)
        self.stepdb("backup", self.target)
        load = self.load()
        load.wait_for(400)
        load.end()
        connection = wire.Connection(self.server.port, bytes(16), wire.FEATURE_BACKUP)
        connection.send(wire.backup(7, self.target), wire.cancel(7))
        kind, number, body = connection.read()
        while kind in (wire.RESULT_COLUMNS, wire.RESULT_BLOCK):
            kind, number, body = connection.read()
        self.assertEqual((kind, number), (wire.ERROR, 7))
        self.assertEqual(wire.Refused(number, body).code, 10)
        connection.send(wire.backup(8, self.target))
        connection.close()
        self.server.stop()
        verify(self.target)
        self.start()
        self.stepdb("backup", self.target)
        self.assertEqual(load.frames_in(self.serve_restored().port), load.sent)

    def test_a_wrong_directory_of_the_protocol_is_refused(self):
        self.start()
        connection = wire.Connection(self.server.port, bytes(16), wire.FEATURE_BACKUP)
        for directory in ("backups/a", "", "/tmp/\0"):
            connection.send(wire.backup(3, directory))
            kind, number, body = connection.read()
            self.assertEqual((kind, number), (wire.ERROR, 3))
            refused = wire.Refused(number, body)
            self.assertEqual((refused.scope, refused.code), ("query", 1))
        connection.close()


class Directories(BackupCase):
    def test_what_holds_something_else_is_refused_and_left_alone(self):
        self.start()
        self.log(1)
        home = os.path.dirname(self.write("home/diary.txt", "dear diary"))
        self.assertIn("is not empty and takes no backups", self.refused("backup", home))
        self.assertEqual(self.files(home), ["diary.txt"])
        self.assertIn("is not empty and takes no backups", self.refused("backup", self.data))
        self.assertIn("diary.txt", self.refused("backup", os.path.join(home, "diary.txt")))
        self.stepdb("backup", self.target)
        other = Server(self.path("other"))
        self.addCleanup(other.kill)
        refused = self.refused("backup", self.target, "--server", other.address)
        self.assertIn("holds backups of store ", refused)
        self.assertIn("name another directory", refused)
        other.stop()
        verify(self.target)

    def test_a_backup_that_is_served_is_one_no_more(self):
        self.start()
        self.log(1)
        self.stepdb("backup", self.target)
        served = Server(self.target)
        self.addCleanup(served.kill)
        self.assertEqual(self.losses(served), {1: 1.5})
        self.assertIn("a server has it open", self.refused("backup", self.target))
        served.stop()
        self.assertIn("has been opened as a store", self.refused("backup", self.target))
        self.assertIn("is a store of its own",
                      self.refused("restore", self.target, self.path("new")))

    def test_a_path_is_taken_from_where_one_is(self):
        self.start()
        self.log(1)
        self.assertRegex(self.stepdb("backup", "here/a"), r" copied to here/a\n$")
        verify(self.path("here/a"))

    def test_a_damaged_file_of_the_store_is_named_and_the_last_backup_stays(self):
        self.start()
        self.log(1)
        self.stepdb("backup", self.target)
        load = self.load()
        load.wait_for(50)
        load.end()
        self.stepdb("backup", self.path("other"))
        segments = {name for name in self.files(self.data) if name.startswith("segment-")}
        damaged = max(segments - set(self.files(self.target)))
        with open(os.path.join(self.data, damaged), "r+b") as file:
            file.seek(5000)
            byte = file.read(1)
            file.seek(5000)
            file.write(bytes([byte[0] ^ 0x10]))
        refused = self.refused("backup", self.target)
        self.assertIn(damaged, refused)
        self.assertIn("checksum", refused)
        verify(self.target)
        server = self.serve_restored()
        self.assertEqual(self.losses(server), {1: 1.5})
        # The other backup has the file as it was, and a store made of it is whole.
        self.assertEqual(load.frames_in(self.serve_restored(self.path("other")).port), load.sent)


class WithoutServer(BackupCase):
    def test_a_store_that_no_server_has_is_backed_up_as_well(self):
        self.start()
        load = self.load()
        load.wait_for(100)
        self.assertIn("ask it by --server",
                      self.refused("backup", self.target, "--data", self.data))
        load.ending = True
        load.join(SECONDS_MAX)
        self.server.kill()
        printed = self.stepdb("backup", self.target, "--data", self.data)
        self.assertRegex(printed, r"^backed up 1 run: ")
        verify(self.data)
        verify(self.target)
        self.assertEqual(load.frames_in(self.serve_restored().port), load.sent)
        self.assertIn("there is no directory",
                      self.refused("backup", self.target, "--data", self.path("none")))


class Restore(BackupCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.log(1)
        self.stepdb("backup", self.target)

    def test_refuses_what_is_not_empty_and_what_is_no_backup(self):
        home = os.path.dirname(self.write("home/diary.txt", "dear diary"))
        self.assertIn("is not empty", self.refused("restore", self.target, home))
        self.assertEqual(self.files(home), ["diary.txt"])
        self.assertIn("holds no backup", self.refused("restore", home, self.path("new")))
        self.assertIn("is not empty", self.refused("restore", self.target, self.data))
        self.assertFalse(os.path.exists(self.path("new")))

    def test_names_what_is_damaged_and_leaves_nothing(self):
        for name in self.files(self.target):
            if not name.startswith(("segment-", "catalog-", "manifest-")):
                continue
            path = os.path.join(self.target, name)
            shutil.copy(path, self.path("whole"))
            with open(path, "r+b") as file:
                file.seek(4100)
                file.write(b"?!")
            self.assertIn(name, self.refused("restore", self.target, self.path("new")))
            left = self.files(self.path("new")) if os.path.exists(self.path("new")) else []
            self.assertIn(left, ([], ["LOCK"]))
            shutil.copy(self.path("whole"), path)
        self.assertRegex(self.stepdb("restore", self.target, self.path("new")),
                         r"^restored 1 run: 2 of 2 files new, [\d.]+ \w+ copied to .*/new\n$")

    def test_writers_go_on_where_the_backup_is(self):
        schema = wire.schema_hash(wire.STEPPED, ["loss"])
        writer = b"a writer of ours"

        def rows(number):
            return wire.rows(number, 1, schema, [100 + number], [float(number)])

        def connect(port, first_number, mode):
            connection = wire.Connection(port, writer)
            connection.send(wire.schema("p", wire.STEPPED, ["loss"]),
                            wire.open_run(1, "p", "w", first_number, mode))
            kind, _, body = connection.read()
            while kind == wire.ACK:
                kind, _, body = connection.read()
            self.assertEqual(kind, wire.RUN_OPENED, body)
            return connection, struct.unpack_from("<Q", body, 16)[0]

        connection, _ = connect(self.server.port, 1, wire.CREATE_IF_MISSING)
        connection.send(rows(1), rows(2))
        connection.wait_for(4)
        self.stepdb("backup", self.target)
        connection.send(rows(3))  # is lost
        connection.wait_for(5)
        connection.close()
        server = self.serve_restored()
        connection, last = connect(server.port, 3, wire.RESUME)
        self.assertEqual(last, 2)
        connection.send(rows(2), rows(3))  # what it has already changes nothing
        connection.wait_for(4)
        connection.close()
        self.assertEqual(self.losses(server, "p/w"), {101: 1, 102: 2, 103: 3})
        # A gap that is declared is taken.
        connection, last = connect(server.port, 9, wire.RESUME)
        self.assertEqual(last, 3)
        connection.send(rows(9))
        connection.wait_for(3)
        connection.close()
        server.stop()
        # The restored store is backed up to where it came from.
        again = Server(server.data)
        self.addCleanup(again.kill)
        self.stepdb("backup", self.target, "--server", again.address)
        verify(self.target)
        self.assertEqual(self.losses(self.serve_restored(), "p/w"),
                         {101: 1, 102: 2, 103: 3, 109: 9})
        # The first store has gone on otherwise.
        self.log(2)
        self.assertIn("holds a newer backup", self.refused("backup", self.target))


if __name__ == "__main__":
    unittest.main()
