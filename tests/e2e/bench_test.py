"""`stepdb bench` measures: its JSON has the keys of docs/benchmarks.md, its figures are possible, and
what it says it has stored is there. How fast it was is no matter here."""

import json
import os
import re
import signal
import subprocess
import unittest

from support import ROOT, STEPDB, Case

COMMON = {"benchmark", "version", "cores", "kernel", "server", "server_version", "io_backend",
          "file_system", "durability", "seed", "memory_limit_mb", "connections", "seconds",
          "warm_up_seconds", "server_peak_mb", "points"}
INGEST = {"workload", "metrics", "rows_per_frame", "values", "data", "runs", "coalesce", "loop",
          "frames_in_flight", "rate_asked", "points_per_second", "rows_per_second",
          "frames_per_second", "mb_per_second", "ack_p50_us", "ack_p90_us", "ack_p99_us",
          "ack_p999_us", "ack_max_us", "late_rows", "rows_acknowledged", "rows_counted",
          "server_cpu_ms_per_mpoint", "client_cpu_ms_per_mpoint", "bytes_per_point", "log_bytes",
          "log_bytes_bound", "rows_in_memory_bytes", "rows_in_memory_bytes_bound",
          "within_bounds", "pieces_per_series_loaded", "pieces_per_series",
          "pieces_per_series_most", "write_amplification", "settle_seconds", "settle_share",
          "settle_wait_seconds"}
QUERY = {"series", "pieces"}
SUITE = {"name", "median_ms", "p99_ms", "values", "verified", "what", "query", "rows", "runs", "series",
         "points", "buckets", "scale", "p90_ms", "max_ms", "answers", "answers_per_second"}
NAMES = ["chart_1m", "chart_10m", "zoom_1pct", "page_20x1m", "page_20x1m_one", "runs_100x100",
         "leaderboard_1k", "leaderboard_100k", "across_10k", "grid_1000x1000", "raw_1000",
         "fork_chain_10", "regex_10k", "regex_1m_shared", "regex_1m_distinct", "cold_first"]


def answer_keys(name):
    return {f"{name}_{what}" for what in (
        "query", "answers", "answers_per_second", "rows_per_answer", "p50_us", "p90_us", "p99_us",
        "p999_us", "max_us")}


class Bench(Case):
    def bench(self, kind, *arguments):
        """Runs it for half a second; returns its one object."""
        [figures] = self.bench_all(kind, *arguments)
        return figures

    def bench_all(self, kind, *arguments, settle=False, seconds=0.5):
        end = [] if settle or kind == "query" else ["--no-settle"]
        out = self.stepdb("bench", kind, *arguments, "--seconds", str(seconds), "--warm-up", "0.1",
                          "--format", "json", *end, *self.own())
        return [json.loads(line) for line in out.splitlines()]

    def own(self):
        """Its own server, small and below our directory, unless we have one."""
        if self.server:
            return ["--server", self.server.address]
        return ["--directory", self.directory, "--memory", "256M"]

    def check_latencies(self, figures, name):
        p50, p90, p99, p999, greatest = (figures[f"{name}_{what}_us"]
                                         for what in ("p50", "p90", "p99", "p999", "max"))
        self.assertGreater(p50, 0)
        self.assertTrue(p50 <= p90 <= p99 <= p999 <= greatest, figures)

    def check_ingest(self, figures):
        self.assertGreater(figures["points_per_second"], 0)
        self.assertAlmostEqual(figures["points_per_second"],
                               figures["rows_per_second"] * figures["metrics"], delta=1)
        self.assertAlmostEqual(figures["points"],
                               figures["points_per_second"] * figures["seconds"], delta=1)
        self.assertAlmostEqual(figures["rows_per_second"],
                               figures["frames_per_second"] * figures["rows_per_frame"], delta=1)
        self.check_latencies(figures, "ack")
        self.assertEqual(figures["late_rows"], 0)
        self.assertGreater(figures["rows_acknowledged"], 0)
        self.assertEqual(figures["rows_acknowledged"], figures["rows_counted"])
        self.assertEqual(figures["durability"], "durable")
        self.assertGreater(figures["client_cpu_ms_per_mpoint"], 0)

    def rows_stored(self, metric, runs):
        return sum(int(row["count"]) + int(row["nan"])
                   for row in self.query(f"{metric} @ {runs} | buckets 1 count, nan"))

    def test_ingest_into_a_server_of_its_own(self):
        [figures] = self.bench_all("ingest", "--metrics", "1000", "--data", "noise", settle=True)
        self.assertEqual(set(figures), COMMON | INGEST)
        self.check_ingest(figures)
        self.assertEqual(figures["workload"], "free")
        self.assertEqual(figures["server"], "own")
        self.assertEqual(figures["memory_limit_mb"], 256)
        self.assertIn(figures["io_backend"], ("io_uring", "pread/pwrite"))
        self.assertGreater(figures["server_cpu_ms_per_mpoint"], 0)
        self.assertGreaterEqual(figures["settle_seconds"], 0)
        self.assertGreater(figures["settle_wait_seconds"], figures["settle_seconds"])
        # More than a megabyte has been flushed when it is settled. Noise as float32 is less than
        # the 4 bytes of its values, and more than the 19 bits that no lossless codec gets below.
        if figures["rows_acknowledged"] > 1000:
            self.assertGreater(figures["bytes_per_point"], 2)
            self.assertLess(figures["bytes_per_point"], 4)
            self.assertGreaterEqual(figures["pieces_per_series"], 1)
            self.assertGreaterEqual(figures["pieces_per_series_most"],
                                    figures["pieces_per_series"])
            self.assertGreaterEqual(figures["write_amplification"], 1)
        self.assertGreater(figures["server_peak_mb"], 1)
        if not os.environ.get("STEPDB_SANITIZE"):  # a sanitizer keeps what was freed
            self.assertLess(figures["server_peak_mb"], 256)
        self.assertEqual(os.listdir(self.directory), [], "its store is left")

    def test_named_workloads_in_turn(self):
        # Small ones of their kind: connections, runs and what packs stay. Writers look at answers once
        # all 1,024 connections of `ranks` have sent what may be in flight, which a sanitizer's build on
        # a busy machine does not reach in half a second.
        seconds = 4 if os.environ.get("STEPDB_SANITIZE") else 0.5
        reports = self.bench_all("ingest", "--workload", "all", "--metrics", "5", "--in-flight",
                                 "4", seconds=seconds)
        self.assertEqual([figures["workload"] for figures in reports],
                         ["wide", "long", "fleet", "narrow", "ranks", "huge"])
        for figures in reports:
            self.check_ingest(figures)
        by_name = {figures["workload"]: figures for figures in reports}
        self.assertEqual((by_name["fleet"]["runs"], by_name["fleet"]["connections"]), (1000, 4))
        self.assertEqual(by_name["ranks"]["connections"], 1024)
        self.assertEqual(by_name["narrow"]["coalesce"], "on")
        self.assertIn("no workload 'wild'", self.refused("bench", "ingest", "--workload", "wild"))

    def test_a_closed_loop_has_one_frame_unanswered(self):
        figures = self.bench("ingest", "--metrics", "100", "--closed-loop")
        self.check_ingest(figures)
        self.assertEqual((figures["loop"], figures["frames_in_flight"], figures["rows_per_frame"]),
                         ("closed", 1, 1))

    def test_acknowledged_rows_are_what_a_query_counts(self):
        self.start()
        figures = self.bench("ingest", "--metrics", "7", "--rows-per-frame", "3", "--values", "f64",
                             "--connections", "3", "--runs", "2", "--in-flight", "5", "--project",
                             "load")
        self.check_ingest(figures)
        self.assertEqual(figures["runs"], 6)
        self.assertEqual(figures["frames_in_flight"], 5)
        self.assertIsNone(figures["server_cpu_ms_per_mpoint"])
        self.assertIsNone(figures["memory_limit_mb"])
        self.assertEqual(len(self.query("runs load/*")), 6)
        for column in (0, 6):
            self.assertEqual(self.rows_stored(f"bench/{column:06}", "load/*"),
                             figures["rows_acknowledged"])
        # Runs of its own each time.
        again = self.bench("ingest", "--metrics", "7", "--project", "load")
        self.assertEqual(self.rows_stored("bench/000000", "load/*"),
                         figures["rows_acknowledged"] + again["rows_acknowledged"])

    def test_a_rate_is_not_exceeded(self):
        figures = self.bench("ingest", "--metrics", "10", "--rows-per-frame", "1", "--rate",
                             "20000")
        self.check_ingest(figures)
        self.assertEqual(figures["rate_asked"], 20000)
        # 2,000 a second for 0.6 s, and while it begins and ends; without a rate a hundred times that.
        self.assertLessEqual(figures["rows_acknowledged"], 2000)

    def test_query(self):
        for options in ([], ["--settle"]):
            figures = self.bench("query", "--points", "20000", *options)
            names = ("whole_range", "sub_range", "raw_1000")
            self.assertEqual(set(figures), COMMON | QUERY | set().union(*map(answer_keys, names)))
            self.assertEqual(figures["points"], 20000)
            for name in names:
                self.assertGreater(figures[f"{name}_answers"], 0)
                self.check_latencies(figures, name)
            self.assertEqual(figures["whole_range_rows_per_answer"], 1000)
            self.assertEqual(figures["raw_1000_rows_per_answer"], 1000)
            self.assertIn("pieces", figures["pieces"])

    def check_suite(self, reports):
        """What it measured of each query; the bench itself compares every answer's content."""
        for figures in reports:
            self.assertEqual(set(figures), COMMON | SUITE)
            self.assertIs(figures["verified"], True)
            self.assertGreater(figures["median_ms"], 0)
            self.assertTrue(figures["median_ms"] <= figures["p90_ms"] <= figures["p99_ms"]
                            <= figures["max_ms"], figures)
            self.assertGreaterEqual(figures["answers"], 5)
            self.assertGreater(figures["points"], 0)
            self.assertGreater(figures["rows"], 0)

    def test_the_suite_of_queries(self):
        reports = self.bench_all("query", "--scale", "0.001")
        self.assertEqual([figures["name"] for figures in reports], NAMES)
        self.check_suite(reports)
        by_name = {figures["name"]: figures for figures in reports}
        for name, rows, values in (("chart_1m", 1000, 16000), ("page_20x1m", 20000, 320000),
                                   ("page_20x1m_one", 20000, 320000), ("raw_1000", 1000, 2000),
                                   ("across_10k", 100, 500), ("runs_100x100", 200, 3200),
                                   ("grid_1000x1000", 10000, 60000), ("cold_first", 1000, 16000)):
            self.assertEqual((by_name[name]["rows"], by_name[name]["values"]), (rows, values), name)
        for name, series in (("page_20x1m", 20), ("across_10k", 1000), ("regex_1m_shared", 10000)):
            self.assertEqual(by_name[name]["series"], series, name)
        self.assertEqual(by_name["fork_chain_10"]["points"], 1100)
        self.assertEqual(os.listdir(self.directory), [], "its store is left")

    def test_some_queries_of_another_server_as_a_table(self):
        self.start()
        table = self.stepdb("bench", "query", "--server", self.server.address, "--queries",
                            "raw_1000,chart_1m", "--scale", "0.001", "--seconds", "0.1", "--warm-up",
                            "0", "--connections", "2")
        self.assertIn("at a scale of 0.001", table)
        self.assertRegex(table, r"(?m)^query +what +median +p99 +values +verified$")
        self.assertRegex(table, r"(?m)^chart_1m +1 series of 2,000 points, 1,000 buckets +[\d.]+ (us|ms) "
                                r"+[\d.]+ (us|ms) +16,000  yes$")
        self.assertLess(table.index("chart_1m"), table.index("raw_1000"))
        self.assertEqual(len(self.query("runs bench/*")), 1)
        # All but what needs a server of its own.
        reports = self.bench_all("query", "--scale", "0.001", "--queries", "regex_10k,leaderboard_1k")
        self.check_suite(reports)
        self.assertIsNone(reports[0]["server_peak_mb"])

    def test_queries_that_cannot_be_asked_are_refused(self):
        self.assertIn("no query 'chart_2m'", self.refused("bench", "query", "--queries", "chart_2m"))
        self.assertIn("cold_first", self.refused("bench", "query", "--queries", "cold_first",
                                                 "--server", "127.0.0.1:1"))
        for options in (["--metrics", "5"], ["--scale", "0"], ["--points", "5", "--scale", "0.1"],
                        ["--series", "a @ b/c"]):
            self.refused("bench", "query", *options)

    def test_query_of_a_series_that_is_there(self):
        self.start()
        self.stepdb("import", "csv", os.path.join(ROOT, "examples", "logs", "char-model.csv"),
                    "--project", "demo", "--run", "tiny")
        figures = self.bench("query", "--series", "train/loss @ demo/tiny")
        self.assertEqual(figures["series"], "train/loss @ demo/tiny")
        self.assertEqual(figures["points"], self.rows_stored("train/loss", "demo/tiny"))
        self.assertIn("metric", self.refused("bench", "query", "--series", "no/loss @ demo/tiny",
                                             "--server", self.server.address))

    def test_mixed(self):
        figures = self.bench("mixed", "--metrics", "20", "--rate", "200000", "--charts", "2")
        self.assertEqual(set(figures), COMMON | INGEST | answer_keys("live_chart")
                         | answer_keys("quiet_chart")
                         | {"chart_connections", "chart_rate_asked", "watched_rows"}
                         | {f"freshness_{what}_us" for what in ("p50", "p90", "p99", "p999", "max")})
        self.check_ingest(figures)
        for name in ("live_chart", "quiet_chart"):
            self.assertGreater(figures[f"{name}_answers"], 0)
            self.check_latencies(figures, name)
        self.assertGreater(figures["watched_rows"], 0)
        self.check_latencies(figures, "freshness")
        self.assertIsNone(figures["chart_rate_asked"])

    def test_mixed_with_charts_at_a_rate(self):
        figures = self.bench("mixed", "--metrics", "20", "--rate", "200000", "--charts", "2",
                             "--chart-rate", "40")
        self.assertEqual(figures["chart_rate_asked"], 40)
        for name in ("live_chart", "quiet_chart"):
            # As many as were due, and those that came late from the warm-up; thousands otherwise.
            self.assertLessEqual(figures[f"{name}_answers_per_second"], 60)
            self.assertGreater(figures[f"{name}_answers"], 0)
            self.check_latencies(figures, name)

    def test_the_table_has_a_paragraph_a_workload_and_a_line_each_at_the_end(self):
        def table(names):
            return self.stepdb("bench", "ingest", "--workload", names, "--metrics", "10",
                               "--seconds", "1", "--warm-up", "0", "--no-settle", *self.own())
        one = table("wide")
        self.assertRegex(one, r"(?m)^stepdb .*cores.*--memory 256 MiB, seed 1$")
        self.assertIn("wide: 10 metrics a row, float32 mixed data; 16 rows a frame; 1 connection",
                      one)
        self.assertRegex(one, r"(?m)^  throughput +[\d.,]+ M points/s")
        self.assertRegex(one, r"(?m)^  durable ack +p50 [\d.]+ (us|ms), p99")
        self.assertNotRegex(one, "(?m)^workload ")
        two = table("wide,long")
        self.assertRegex(two, r"(?m)^long: 10 metrics")
        self.assertRegex(two, r"(?m)^workload .*M points/s")
        self.assertRegex(two, r"(?m)^long +[\d.,]+ ")

    def test_every_key_is_documented(self):
        with open(os.path.join(ROOT, "docs", "benchmarks.md"), encoding="utf-8") as file:
            documented = set(re.findall(r"`(\w+)`", file.read()))
        keys = COMMON | INGEST | QUERY | SUITE | set(NAMES) | {"chart_connections", "chart_rate_asked"} | {
            key[2:] for key in answer_keys("x")} | {"whole_range", "sub_range", "raw_1000",
                                                    "live_chart", "quiet_chart"}
        self.assertEqual(keys - documented, set())

    def test_an_interruption_ends_it_and_its_server(self):
        process = subprocess.Popen(
            [STEPDB, "bench", "ingest", "--metrics", "10", "--seconds", "60", *self.own()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        # It is under way once its store is there; SIGINT means the same before.
        while process.poll() is None and not any(
                os.path.isdir(os.path.join(self.directory, name, "store"))
                for name in os.listdir(self.directory)):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertEqual(err, "stepdb bench: error: interrupted\n")
        self.assertEqual(os.listdir(self.directory), [], "its store is left")

    @unittest.skipIf(os.environ.get("STEPDB_SANITIZE"),
                     "bench draws 64 million values before each of up to ten runs, which takes a "
                     "sanitizer minutes; limits_test.py has rows of a million metrics under one")
    def test_a_schema_that_finds_no_room_is_named_as_the_cause(self):
        # Others have taken the room of what stays in memory.
        self.start("--memory", "256M")
        for metrics in range(1000000, 999990, -1):
            done = self.run_stepdb("bench", "ingest", "--metrics", str(metrics), "--rows-per-frame",
                                   "1", "--seconds", "0.2", "--warm-up", "0", *self.own())
            if done.returncode != 0:
                break
        self.assertIn(f"the schema of {metrics} metrics was refused", done.stderr)

    def test_what_cannot_be_measured_is_refused(self):
        self.assertIn("frames of", self.refused("bench", "ingest", "--metrics", "1000000",
                                                "--rows-per-frame", "100", *self.own()))
        self.assertIn("127.0.0.1:1", self.refused("bench", "ingest", "--server", "127.0.0.1:1"))
        self.assertIn("--memory 1M is too little",
                      self.refused("bench", "ingest", "--directory", self.directory, "--memory",
                                   "1M"))
        self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    unittest.main()
