#!/usr/bin/env python3
"""What a chart costs follows its buckets and not the points of its series: of ten million points no more
than two vectors a bucket are decoded, wherever they lie."""

import os
import random
import shutil
import struct
import tempfile
import unittest
from array import array

import wire
from support import Server

# Enough for a server that stops to move them to a segment.
POINTS = 1_500_000 if os.environ.get("STEPDB_SANITIZE") else 10_000_000
FRAME_ROWS = 50_000
METRICS = ["train/loss", "train/lr"]


class Index(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="stepdb-index-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        seed = int(os.environ.get("STEPDB_SEED", "20261129"))
        print(f"seed {seed} (repeat with STEPDB_SEED={seed})")
        chance = random.Random(seed)
        self.noise = array("f", (chance.gauss(1, 0.1) for _ in range(FRAME_ROWS)))
        # A part of all logged series, and of nearly all logs, never changes.
        self.values = array("f", [0.0, 3e-4] * FRAME_ROWS)
        self.values[::2] = self.noise

    def fill(self, server):
        connection = wire.Connection(server.port)
        connection.send(wire.schema("p", wire.STEPPED, METRICS), wire.open_run(1, "p", "r"))
        name = wire.schema_hash(wire.STEPPED, METRICS)
        frames = POINTS // FRAME_ROWS
        for number in range(1, frames + 1):
            first = (number - 1) * FRAME_ROWS
            steps = array("d", range(first, first + FRAME_ROWS))
            body = wire.rows_body(1, name, FRAME_ROWS, steps, values=self.values.tobytes())
            connection.send(wire.frame(wire.ROWS, number, body))
        connection.wait_for(2 + frames)
        return connection

    def check(self, connection, where):
        for buckets in (1, 10, 1000):
            answer, cost = self.ask(connection, f"train/loss @ p/r | buckets {buckets}")
            self.assertEqual(sum(answer["count"]), POINTS)
            self.assertEqual(min(answer["min"]), min(self.noise))
            self.assertEqual(max(answer["max"]), max(self.noise))
            with self.subTest(where=where, buckets=buckets, cost=cost):
                self.assertLessEqual(cost["vectors decoded"], 2 * buckets)
                if where == "in segments":
                    self.assertGreaterEqual(cost["index nodes used"],
                                            POINTS // 256 - 2 * buckets - cost["pieces"])
                else:  # the newest rows may not have become blocks yet, and are read as they came
                    self.assertGreater(cost["index nodes used"], 0)
            answer, cost = self.ask(connection, f"train/lr @ p/r | buckets {buckets}")
            self.assertEqual(sum(answer["count"]), POINTS)
            self.assertEqual(set(answer["mean"]), {struct.unpack("f", struct.pack("f", 3e-4))[0]})
            with self.subTest(where=where, buckets=buckets, cost=cost):
                self.assertEqual(cost["vectors decoded"], 0)

    @staticmethod
    def ask(connection, query):
        told = connection.ask("explain " + query)
        return connection.ask(query), dict(zip(told["what"], told["count"]))

    def test_at_most_two_vectors_a_bucket(self):
        data = os.path.join(self.directory, "store")
        server = Server(data)
        self.addCleanup(server.kill)
        connection = self.fill(server)
        self.check(connection, "in memory")
        connection.close()
        server.stop()  # which moves what is in memory to a segment
        server = Server(data)
        self.addCleanup(server.kill)
        connection = wire.Connection(server.port)
        self.check(connection, "in segments")
        connection.close()
        server.stop()


if __name__ == "__main__":
    unittest.main()
