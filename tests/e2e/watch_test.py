"""Watched queries through the real server: whatever is stored, the updates make the answer that a query
gives; slow, gone and many watchers; what `stepdb query --watch` prints. How fresh the updates are is
printed, not tested: it is a matter of the machine.
"""

import json
import os
import selectors
import signal
import struct
import subprocess
import threading
import time
import unittest

import wire
from support import SECONDS_MAX, STEPDB, Case

LOSS = wire.schema_hash(wire.STEPPED, ["loss"])
CANCELLED, NOT_FOUND, INVALID, UNAVAILABLE = 10, 2, 1, 6


class Writer:
    """Logs `loss` of one run, a frame at a time, each acknowledged before the next."""

    def __init__(self, port, run):
        self.connection = wire.Connection(port, b"the only writer!")
        self.connection.send(wire.schema("p", wire.STEPPED, ["loss"]), wire.open_run(1, "p", run))
        self.connection.wait_for(2)
        self.ordinal, self.number, self.attempt = 2, 0, 0

    def send(self, kind, body):
        self.number += 1
        self.ordinal += 1
        self.connection.send(wire.frame(kind, self.number, body))
        self.connection.wait_for(self.ordinal)

    def log(self, *points):
        steps, values = zip(*points)
        self.send(wire.ROWS, wire.rows_body(1, LOSS, len(steps), steps, attempt=self.attempt,
                                            values=struct.pack(f"<{len(values)}f", *values)))

    def restart(self, step):
        self.attempt += 1
        self.send(7, struct.pack("<IIB7xd", 1, self.attempt, 1, step))

    def delete_metric(self):
        self.send(10, struct.pack("<II", 1, 1) + wire.text("loss"))

    def delete_run(self):
        self.send(11, struct.pack("<II", 1, 0))


class WatchTest(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.port = self.server.port

    def connect(self, **named):
        connection = wire.Connection(self.port, bytes(16), wire.FEATURE_WATCH, **named)
        self.addCleanup(connection.close)
        return connection

    def writer(self, run="r"):
        writer = Writer(self.port, run)
        self.addCleanup(writer.connection.close)
        return writer

    def answer(self, text):
        answer = self.connect().ask(text)
        return list(zip(*answer.columns))

    def read_until(self, connection, watched, want, request=1):
        """Reads updates until the rows are these; more updates than changes cannot come."""
        while watched.rows != want:
            connection.read_update(watched, request)

    def test_the_server_says_that_it_knows_watch(self):
        self.assertEqual(self.connect().features, wire.FEATURE_WATCH)
        self.assertEqual(self.writer().connection.features, 0)

    def test_whatever_changes_is_told(self):
        writer = self.writer()
        writer.log((1, 1), (2, 2), (3, 3))
        connection = self.connect()
        watched = connection.watch("loss @ p/r")
        self.assertEqual(watched.rows, self.answer("loss @ p/r"))
        self.assertEqual((watched.resets, watched.keys), (1, 3))
        changes = [lambda: writer.log((4, 4)), lambda: writer.log((2.5, 7)),   # new, late
                   lambda: writer.log((3, 9)), lambda: writer.restart(2),      # replaced
                   lambda: writer.log((3, 5), (4, 6))]
        for change in changes:
            change()
            self.read_until(connection, watched, self.answer("loss @ p/r"))
        self.assertEqual(watched.resets, 1)
        writer.delete_run()
        with self.assertRaises(wire.Refused) as refused:
            connection.read_update(watched)
        self.assertEqual((refused.exception.scope, refused.exception.code), ("query", NOT_FOUND))

    def test_what_is_deleted_is_gone(self):
        writer = self.writer()
        writer.log((1, 1), (2, 2))
        connection = self.connect()
        watched = connection.watch("l* @ p/*")
        writer.delete_metric()
        self.read_until(connection, watched, [])
        self.assertEqual([row[:2] for row in watched.told], [("gone", 0), ("gone", 1)])
        writer.log((5, 5))
        self.read_until(connection, watched, [("p/r", "loss", 5, 5)])

    def test_a_fork_follows_its_parent(self):
        writer = self.writer("parent")
        writer.log((1, 1), (9, 9))
        self.stepdb("run", "fork", "p/child", "--from", "p/parent", "--at", "5")
        connection = self.connect()
        watched = connection.watch("loss @ p/child")
        self.assertEqual([row[2:] for row in watched.rows], [(1, 1)])
        writer.log((3, 3), (7, 7))
        connection.read_update(watched)
        self.assertEqual([row[2:] for row in watched.rows], [(1, 1), (3, 3)])

    def test_the_grid_stays_until_it_is_full(self):
        writer = self.writer()
        writer.log(*((step, 1) for step in range(8)))
        connection = self.connect()
        watched = connection.watch("loss @ p/r | buckets 8 count, sum")
        edges = [row[2:4] for row in watched.rows]
        self.assertEqual(edges, [(step, step + 1) for step in range(8)])
        writer.log((3.5, 2))
        connection.read_update(watched)
        self.assertEqual(watched.told, [("changed", 3, "p/r", "loss", 3, 4, 2, 3)])
        writer.log((8, 1))
        connection.read_update(watched)
        self.assertEqual(watched.resets, 2)
        self.assertEqual([row[2:4] for row in watched.rows], [(at, at + 2) for at in range(0, 10, 2)])
        self.assertEqual(sum(row[4] for row in watched.rows), 10)
        self.assertEqual(len(self.answer("loss @ p/r | buckets 8 count")), 8, "of a query it is free")

    def test_bad_queries_and_cancel(self):
        writer = self.writer()
        writer.log((1, 1))
        connection = self.connect()
        for text, code in (("loss @", INVALID), ("los @ p/r", NOT_FOUND), ("loss @ p/none", NOT_FOUND),
                           ("explain loss @ p/r", INVALID)):
            with self.assertRaises(wire.Refused) as refused:
                connection.watch(text)
            self.assertEqual((refused.exception.scope, refused.exception.code), ("query", code), text)
        watched = connection.watch("loss @ p/r", 2)
        connection.send(wire.watch(2, "loss @ p/r"))
        self.assertEqual(connection.read_error()[0], 3)
        connection.send(wire.cancel(2))
        with self.assertRaises(wire.Refused) as refused:
            connection.read_update(watched, 2)
        self.assertEqual(refused.exception.code, CANCELLED)
        self.assertEqual(len(connection.watch("loss @ p/r", 2).rows), 1)
        connection.socket.shutdown(wire.socket.SHUT_WR)
        with self.assertRaises(wire.Refused) as refused:
            connection.read_update(watched, 2)
        self.assertEqual(refused.exception.code, CANCELLED)

    def test_a_server_that_stops_ends_its_watches(self):
        self.writer().log((1, 1))
        connection = self.connect()
        watched = connection.watch("loss @ p/r")
        stopping = threading.Thread(target=self.server.stop)
        stopping.start()
        with self.assertRaises(wire.Refused) as refused:
            connection.read_update(watched)
        self.assertEqual(refused.exception.code, UNAVAILABLE)
        connection.close()
        stopping.join()

    def test_who_does_not_read_skips_and_holds_up_nobody(self):
        """Each update is a few MB, so that few fill every buffer on the way."""
        writer = self.writer()
        count = 50_000
        writer.log(*((step, 0) for step in range(count)))
        slow = self.connect(receive_bytes=4096)
        slow.send(wire.watch(1, "loss @ p/r"))
        quick = self.connect()
        last = quick.watch("loss @ p/r | last 1 ")
        rounds = 12
        for value in range(1, rounds + 1):
            writer.log(*((step, value) for step in range(count)))
            self.read_until(quick, last, [("p/r", "loss", count - 1, value)])
        watched = wire.Watched()
        want = [("p/r", "loss", step, rounds) for step in range(count)]
        self.read_until(slow, watched, want)
        self.assertLess(watched.updates, rounds)
        print(f"of {rounds} changes the slow watcher was told {watched.updates}")

    def test_a_hundred_watchers_of_a_run_that_goes_on(self):
        """Twenty of each of five queries; some go away in the middle."""
        writer = self.writer()
        writer.log((0, 0))
        texts = ["loss @ p/r", "loss @ p/r | last 5", "loss @ p/r | buckets 20 count, mean",
                 "runs p/* | show last(loss), count(loss)", "loss @ p/r | steps 10..40 | buckets 5"]
        selector = selectors.DefaultSelector()
        watches = []
        for number in range(100):
            connection = self.connect()
            watched = connection.watch(texts[number % 5])
            watches.append((texts[number % 5], connection, watched))
            selector.register(connection.socket, selectors.EVENT_READ, watches[-1])
        stored = {}
        delays = []
        for step in range(1, 60):
            writer.log((step, step % 7))
            stored[step] = time.monotonic()
            if step == 30:
                for _, connection, _ in watches[::10]:
                    selector.unregister(connection.socket)
                    connection.close()
                watches = [watch for at, watch in enumerate(watches) if at % 10]
            self.read_ready(selector, delays, stored)
        wanted = {text: self.answer(text) for text in texts if "buckets 20" not in text}
        for text, connection, watched in watches:
            if text in wanted:
                self.read_until(connection, watched, wanted[text])
            while "buckets 20" in text and sum(row[4] for row in watched.rows) < 60:
                connection.read_update(watched)
        delays.sort()
        if delays:
            print(f"from acknowledged to told, ms: median {delays[len(delays) // 2] * 1e3:.0f}, "
                  f"most {delays[-1] * 1e3:.0f}, of {len(delays)}")

    def read_ready(self, selector, delays, stored):
        """Takes what has come, and notes how long after its acknowledgement each newest step came."""
        for key, _ in selector.select(0):
            text, connection, watched = key.data
            connection.read_update(watched)
            if text == "loss @ p/r":
                delays.append(time.monotonic() - stored[watched.rows[-1][2]])

    def program(self, *arguments):
        """`stepdb query --watch`, which interrupt() or the server ends."""
        process = subprocess.Popen(
            [STEPDB, "query", "--watch", *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "STEPDB_SERVER": self.server.address})
        self.addCleanup(process.kill)
        return process

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        return out

    def test_the_program_prints_a_line_for_each_row_that_changes(self):
        writer = self.writer()
        writer.log((1, 1))
        process = self.program("loss @ p/r | last 2")
        self.assertEqual(json.loads(process.stdout.readline())["change"], "reset")
        self.assertEqual(json.loads(process.stdout.readline()),
                         {"change": "new", "place": 0, "run": "p/r", "metric": "loss", "step": 1,
                          "value": 1})
        writer.log((2, 2))
        self.assertEqual(json.loads(process.stdout.readline())["step"], 2)
        writer.log((3, 3))
        self.assertEqual(json.loads(process.stdout.readline()),
                         {"change": "gone", "place": 0, "run": "p/r", "metric": "loss", "step": 1,
                          "value": None})
        self.assertEqual(json.loads(process.stdout.readline())["place"], 1)
        self.assertEqual(self.interrupt(process), "")

    def test_the_program_prints_tables_anew(self):
        writer = self.writer()
        writer.log((1, 1))
        process = self.program("loss @ p/r | last 1", "--format", "table")
        while "(1 row)" not in process.stdout.readline():
            pass
        writer.log((2, 0.5))
        lines = []
        while not lines or "(1 row)" not in lines[-1]:
            lines.append(process.stdout.readline())
        self.assertIn("0.5", "".join(lines))
        self.assertEqual(self.interrupt(process), "")

    def test_the_program_says_what_is_wrong(self):
        self.writer().log((1, 1))
        self.assertIn("did you mean 'loss'", self.refused("query", "--watch", "los @ p/r"))
        self.assertIn("jsonl", self.refused("query", "--watch", "loss @ p/r", "--format", "json"))
        done = self.run_stepdb("query", "--watch", "loss @ p/r", "--data", self.data)
        self.assertEqual(done.returncode, 2)
        process = self.program("loss @ p/r")
        process.stdout.readline()
        self.server.stop()
        _, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, 1)
        self.assertIn("shutting down", err)


if __name__ == "__main__":
    unittest.main()
