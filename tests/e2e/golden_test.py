"""Stores of every format that counts (tests/format/golden) through the real program: verified, served,
asked, written to and repaired."""

import array
import os
import subprocess
import unittest

import wire
from damage_stores import FEW, Writer
from support import Case, Server

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "format", "golden")


def listed(name):
    """What tests/format says of a store: points by (run, metric), of long series how many."""
    points, counts = {}, {}
    with open(os.path.join(GOLDEN, name, "contents.txt"), encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if len(words) == 5 and words[2].lstrip("-").isdigit():
                points.setdefault((words[0], words[1]), []).append(int(words[4], 16))
            elif "points," in words:
                counts[words[0], words[1]] = int(words[2])
    return points, counts


class GoldenTest(Case):
    def test_are_what_was_written_down_of_them(self):
        names = sorted(os.listdir(GOLDEN))
        self.assertGreater(len(names), 0)
        for number, name in enumerate(names):
            with self.subTest(name):
                data = self.path(f"store-{number}")
                subprocess.run(["cp", "-r", os.path.join(GOLDEN, name, "store"), data], check=True)
                self.stepdb("verify", data)
                self.assertRegex(self.stepdb("repair", data), "nothing to repair")
                self.check(name, data)
                self.stepdb("verify", data)

    def check(self, name, data):
        points, counts = listed(name)
        self.assertGreater(len(points), 5)
        self.assertGreater(len(counts), 0)
        server = Server(data)
        self.addCleanup(server.kill)
        connection = wire.Connection(server.port, bytes(16))
        for (run, metric), bits in points.items():
            if "#" in run:
                continue  # an older attempt, which has to be asked for by its number
            answer = connection.ask(f"{metric} @ {run}")
            got = array.array("d", answer["value"])
            want = array.array("d", array.array("Q", bits).tobytes())
            self.assertEqual(got.tobytes(), want.tobytes(), (run, metric))
        for (run, metric), count in counts.items():
            self.assertEqual(len(connection.ask(f"{metric} @ {run}")["value"]), count)
        connection.close()
        writer = Writer(server.port, {})
        writer.rows("new", FEW, [1.0], array.array("d", [1, 2]))
        writer.close()
        server.stop()


if __name__ == "__main__":
    unittest.main()
