#!/usr/bin/env python3
"""`stepdb stats` and `| summary`, from a server and from its store: before a flush, after a clean
stop, after merges."""

import json
import unittest
from array import array

import wire
from support import Case

FACTS = ["runs", "schemas", "durable sequence", "live log bytes", "log groups", "tails",
         "rows in memory bytes", "pinned by snapshots bytes", "resident bytes", "flushes", "flushing now",
         "flushes wrote bytes", "segments", "segment bytes", "segment blocks", "damaged blocks", "blocks of a series, mean", "blocks of a series, most",
         "merges", "merging now", "merges read bytes", "merges wrote bytes",
         "write amplification", "settled",
         "queries running", "queries waiting for memory", "queries done", "queries failed",
         "queries cancelled", "slow queries", "query memory bytes", "query memory bytes, most",
         "query cache bytes", "query cache bytes, most", "query cache looks", "query cache hits"]


class Stats(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def stats(self, *where):
        facts = json.loads(self.stepdb("stats", "--format", "json", *where))
        self.assertEqual([fact["what"] for fact in facts], FACTS)
        return {fact["what"]: fact["value"] for fact in facts}

    def log(self, run, steps):
        path = self.path("rows.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("step,loss,acc\n")
            for step in steps:
                file.write(f"{step},{step * 0.5},{1 / (step + 1)}\n")
        self.stepdb("import", "csv", path, "--project", "p", "--run", run)

    def test_stats_count_what_is_there(self):
        empty = self.stats()
        self.assertEqual((empty["runs"], empty["segments"], empty["flushes"]), (0, 0, 0))
        self.log("a", range(5000))
        self.log("b", range(10))
        live = self.stats()
        self.assertEqual((live["runs"], live["schemas"]), (2, 1))
        self.assertGreater(live["live log bytes"], 5000 * 16)
        self.assertGreater(live["rows in memory bytes"], 0)
        table = self.stepdb("stats")
        self.assertIn("live log bytes", table)
        self.assertRegex(table, r"\d (KiB|MiB|bytes)")
        self.server.stop()
        closed = self.stats("--data", self.data)
        self.assertEqual((closed["runs"], closed["durable sequence"]),
                         (2, live["durable sequence"]))

    def fill(self, project, run, rows=50_000, frames=30):
        connection = wire.Connection(self.server.port)
        connection.send(wire.schema(project, wire.STEPPED, ["loss"]), wire.open_run(1, project, run))
        name = wire.schema_hash(wire.STEPPED, ["loss"])
        values = array("f", range(rows)).tobytes()
        for number in range(1, frames + 1):
            steps = array("d", range((number - 1) * rows, number * rows))
            body = wire.rows_body(1, name, rows, steps, values=values)
            connection.send(wire.frame(wire.ROWS, number, body))
        connection.wait_for(2 + frames)
        connection.close()

    def test_stats_count_queries(self):
        self.log("a", range(5000))
        first = self.stats()
        self.assertEqual(first["queries running"], 1, "itself")
        self.assertEqual(first["queries waiting for memory"], 0)
        self.query("loss @ p/a | buckets 10")
        self.refused("query", "missing @ p/a")
        then = self.stats()
        # The first stats and the chart; what the import asked was before.
        self.assertEqual(then["queries done"] - first["queries done"], 2)
        self.assertEqual(then["queries failed"] - first["queries failed"], 1)
        self.assertEqual(then["queries cancelled"], first["queries cancelled"])
        self.assertEqual(then["query memory bytes"], 0)
        self.assertGreater(then["query memory bytes, most"], 1 << 20)
        self.assertGreater(then["query cache bytes, most"], 1 << 20)
        # What a server that stops moves to segments, if it is much, is what the cache is for.
        self.fill("p", "long")
        self.server.stop()
        self.start()
        for _ in range(2):
            self.query("loss @ p/long | buckets 10")
        cached = self.stats()
        self.assertGreater(cached["query cache hits"], 0)
        self.assertGreater(cached["query cache looks"], cached["query cache hits"])
        self.assertGreater(cached["query cache bytes"], 0)
        self.server.stop()
        closed = self.stats("--data", self.data)
        self.assertEqual(closed["query memory bytes, most"], 0, "it has no bound without a server")

    def test_a_summary_is_the_same_from_log_segment_and_merged_pieces(self):
        def summary():
            return self.query("loss, acc @ p/a | summary")

        self.log("a", range(3000))
        first = summary()
        self.assertEqual([row["metric"] for row in first], ["acc", "loss"])
        loss = first[1]
        self.assertEqual((loss["count"], loss["min"], loss["min_step"], loss["max"],
                          loss["last_step"]), ("3000", "0", "0", "1499.5", "2999"))
        self.assertEqual(float(loss["mean"]), 749.75)
        self.assertAlmostEqual(float(loss["variance"]), 0.25 * (3000 ** 2 - 1) / 12, places=3)
        exact = [{name: value for name, value in row.items()
                  if name not in ("sum", "mean", "variance")} for row in first]

        def same():
            now = summary()
            for row, before in zip(now, first):
                for name in ("sum", "mean", "variance"):
                    self.assertAlmostEqual(float(row.pop(name)) / float(before[name]), 1, delta=1e-9)
            self.assertEqual(now, exact)
        self.restart_after_kill()
        same()
        self.server.stop()
        self.start()
        same()

    def test_own_leaves_out_what_a_fork_inherits(self):
        self.log("a", range(10))
        self.stepdb("run", "fork", "p/f", "--from", "p/a", "--at", "4")
        self.stepdb("log", "--project", "p", "--run", "f", "--step", "5", "loss=100", "extra=1")
        counts = {(row["run"], row["metric"]): int(row["count"])
                  for row in self.query("** @ p/f, own(p/f) | summary count")}
        self.assertEqual(counts, {("own(p/f)", "extra"): 1, ("own(p/f)", "loss"): 1,
                                  ("p/f", "acc"): 5, ("p/f", "extra"): 1, ("p/f", "loss"): 6})
        self.assertEqual([row["metric"] for row in self.query("metrics ** @ own(p/f)")],
                         ["extra", "loss"])
        self.assertIn("there is no metric 'acc' in run own(p/f)", self.refused("query", "acc @ own(p/f)"))


if __name__ == "__main__":
    unittest.main()
