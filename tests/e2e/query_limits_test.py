"""What `stepdb serve` lets a query take, and the log of slow ones."""

import json
import subprocess
import unittest

import wire
from support import SECONDS_MAX, STEPDB, Case

CANCEL = 17
FIELDS = ["time", "level", "event", "outcome", "seconds", "turn_wait", "memory_wait", "memory_bytes",
          "rows", "pieces", "vectors", "nodes", "read_bytes"]


class QueryLimits(Case):
    def begin(self, *options, rows=3000):
        # Without limits, for an import asks what became of its points.
        self.start()
        path = self.write("rows.csv", "step,a,b\n" + "".join(
            f"{step},{step / 3},{-step}\n" for step in range(rows)))
        self.stepdb("import", "csv", path, "--project", "p", "--run", "r")
        self.server.stop()
        self.start("--log-format", "json", *options)

    def slow_queries(self, said):
        """The events of slow queries."""
        events = [json.loads(line) for line in said.splitlines()]
        found = [event for event in events if event["event"] == "slow_query"]
        for event in found:
            names = FIELDS + ["error"] * ("error" in event) + ["query"]
            self.assertEqual(list(event), names + ["parameters"] * ("parameters" in event))
        return found

    def test_points_of_a_query(self):
        self.begin("--query-points", "5k")
        self.assertEqual(len(self.query("a @ p/r")), 3000)
        error = self.refused("query", "a, b @ p/r")
        self.assertRegex(error, r"has read 6000 points and is not done, and one query may read 5000;")
        self.assertIn("--query-points", error)

    def test_buckets_of_a_query(self):
        self.begin("--query-buckets", "1k")
        self.assertEqual(len(self.query("a, b @ p/r | buckets 500 mean")), 1000)
        error = self.refused("query", "a, b @ p/r | buckets 501")
        self.assertIn("501 buckets of each of 2 series, 1002 in all, and one query may have 1000;", error)
        self.assertIn("--query-buckets", error)

    def test_memory_of_a_query(self):
        self.begin("--memory", "256M", "--query-memory", "1M", rows=40000)
        self.assertEqual(len(self.query("a @ p/r | buckets 100 mean")), 100)
        error = self.refused("query", "a, b @ p/r | sort value")
        self.assertRegex(error, r"needs [\d.]+ MiB of memory, and one query may take 1\.0 MiB of the ")
        self.assertIn("--query-memory", error)

    def test_time_of_a_query(self):
        # The limit is looked after some times a second, and this answer takes seconds.
        self.begin("--query-time", "100ms", rows=20_000)
        connection = wire.Connection(self.server.port, bytes(16))
        connection.send(wire.query(1, self.endless()))
        error = self.read_to_its_error(connection)
        connection.close()
        self.assertIn("has taken longer than 0.1 s, the limit", error)
        self.assertIn("--query-time", error)

    def test_refuses_limits_that_are_none(self):
        for option, value, why in (("--query-points", "0", "whole number from 1"),
                                   ("--query-buckets", "many", "whole number from 1"),
                                   ("--query-memory", "1G", "that all share of --memory 256 MiB"),
                                   ("--query-memory", "0", "a query can have up to"),
                                   ("--query-time", "0s", "needs some time"),
                                   ("--query-time", "10", "not a duration"),
                                   ("--slow-query", "soon", "or off")):
            done = subprocess.run([STEPDB, "serve", "--data", self.data, "--memory", "256M", option,
                                   value], capture_output=True, text=True, timeout=SECONDS_MAX)
            self.assertEqual(done.returncode, 2, (option, done.stderr))
            self.assertIn(option, done.stderr)
            self.assertIn(why, done.stderr)

    @staticmethod
    def endless():
        """Hundreds of megabytes of answer, or more."""
        return ", ".join(f"a + {number}" for number in range(2000)) + " @ p/r"

    def read_to_its_error(self, connection):
        while True:
            kind, number, body = connection.read()
            self.assertNotEqual(kind, wire.RESULT_END)
            if kind == wire.ERROR:
                return wire.Refused(number, body).message

    def test_slow_queries_are_told_of_however_they_end(self):
        self.begin("--slow-query", "0")
        self.query("a @ p/r | last $n", "--param", "n=7")
        self.refused("query", "a, missing @ p/r")
        connection = wire.Connection(self.server.port, bytes(16))
        connection.send(wire.query(1, self.endless()))
        self.assertEqual(connection.read()[0], wire.RESULT_COLUMNS)
        connection.send(wire.frame(CANCEL, 1, b""))
        self.assertIn("cancelled as asked", self.read_to_its_error(connection))
        connection.send(wire.query(2, "b + 1, " + self.endless()))
        self.assertEqual(connection.read()[0], wire.RESULT_COLUMNS)
        connection.close()
        facts = {}
        while facts.get("queries cancelled") != "2":
            facts = {row["what"]: row["value"] for row in self.query("stats")}
        self.assertGreaterEqual(int(facts["slow queries"]), 4)
        lines = self.slow_queries(self.server.stop())
        by_text = {line["query"]: line for line in lines}
        done = by_text["a @ p/r | last $n"]
        self.assertEqual((done["outcome"], done["rows"], done["parameters"]), ("ok", 7, "$n=7"))
        self.assertNotIn("error", done)
        self.assertGreater(done["memory_bytes"], 0)
        self.assertGreater(done["pieces"], 0)
        failed = by_text["a, missing @ p/r"]
        self.assertEqual((failed["outcome"], failed["rows"]), ("error", 0))
        self.assertIn("missing", failed["error"])
        cut = {text[:5]: line for text, line in by_text.items() if text.endswith("...")}
        self.assertEqual(cut["a + 0"]["outcome"], "cancelled")
        self.assertEqual(cut["b + 1"]["outcome"], "client-gone")
        self.assertLess(len(cut["b + 1"]["query"]), 600)

    def test_quick_queries_are_not_told_of(self):
        for option in ("1h", "off"):
            self.begin("--slow-query", option, rows=10)
            self.query("a @ p/r")
            facts = {row["what"]: row["value"] for row in self.query("stats")}
            self.assertEqual(facts["slow queries"], "0")
            self.assertEqual(self.slow_queries(self.server.stop()), [])


if __name__ == "__main__":
    unittest.main()
