"""`stepdb agent`: its figures beside those of /proc and of a stand-in for NVML, and what it does when
the server is away."""

import datetime
import json
import os
import re
import signal
import subprocess
import time
import unittest

from support import SECONDS_MAX, STEPDB, Case, Server

FAKE_NVML = r"""
#include <string.h>
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;
#define GPU(device) ((int)((long)(device) - 1))
int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : "Driver Not Loaded"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned gpu, void **device) { *device = (void *)(long)(gpu + 1); return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) { strncpy(name, "Fake H100", length); return 0; }
int nvmlDeviceGetUtilizationRates(void *device, utilization *to) {
    if (GPU(device) == 2) return 15;
    to->gpu = 25 + GPU(device); to->memory = 50; return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *to) {
    if (GPU(device) == 2) return 15;
    to->total = 80ull << 30; to->used = (GPU(device) + 1ull) << 30; to->free = to->total - to->used; return 0;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    if (GPU(device) == 1) return 3; /* not supported */
    *milliwatts = 312500; return 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    if (sensor != 0) return 2;
    *celsius = 60 + GPU(device); return 0;
}
"""


class AgentTest(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.agent = None

    def run_agent(self, *options, run="r", interval="200ms"):
        """Returns once it samples."""
        self.agent = subprocess.Popen(
            [STEPDB, "agent", "--project", "p", "--interval", interval, "--server",
             self.server.address, *(["--run", run, "--prefix", "host"] if run else []), *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.kill_agent)
        said = []
        while "SIGTERM ends it" not in "".join(said[-1:]):
            said.append(self.agent.stderr.readline())
            self.assertTrue(said[-1], said)
        return "".join(said)

    def kill_agent(self):
        self.agent.kill()
        self.agent.communicate()

    def end_agent(self, status=0):
        self.agent.send_signal(signal.SIGTERM)
        _, said = self.agent.communicate(timeout=SECONDS_MAX)
        self.assertEqual(self.agent.returncode, status, said)
        return said

    def series(self, metric, run="r"):
        done = self.run_stepdb("query", f"{metric} @ p/{run}", "--format", "json")
        if done.returncode != 0:
            return []
        return [(row["time"], row["value"]) for row in json.loads(done.stdout)]

    def wait_for_rows(self, count, run="r", metric="host/cpu/busy"):
        until = time.monotonic() + SECONDS_MAX
        while len(self.series(metric, run)) < count:
            self.assertLess(time.monotonic(), until)
            self.assertIsNone(self.agent.poll())

    def ticks(self):
        """(busy, all)"""
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def written(self):
        """Bytes to each whole disk."""
        with open("/proc/diskstats", encoding="ascii") as file:
            fields = [line.split() for line in file]
        return {one[2]: 512 * int(one[9]) for one in fields
                if os.path.exists(f"/sys/block/{one[2]}")
                and not re.match("loop|ram|zram|fd|sr", one[2])}

    def test_its_figures_are_those_of_proc(self):
        outer = self.ticks(), self.written()
        self.run_agent()
        self.wait_for_rows(1)
        inner = self.ticks(), self.written()
        for _ in range(3):  # something to see
            with open(self.path("file"), "wb") as file:
                file.write(os.urandom(1 << 20) * 8)
                file.flush()
                os.fsync(file.fileno())
            sum(range(1 << 20))
        count = len(self.series("host/cpu/busy"))
        inner_end = self.ticks(), self.written()
        self.wait_for_rows(count + 1)
        self.assertRegex(self.end_agent(), r"[0-9]+ rows stored, 0 refused, 0 dropped")
        outer_end = self.ticks(), self.written()

        with open("/proc/meminfo", encoding="ascii") as file:
            total = int(file.readline().split()[1]) * 1024
        self.assertEqual({value for _, value in self.series("host/memory/total_bytes")}, {total})
        used, available = (self.series(f"host/memory/{what}_bytes")
                           for what in ("used", "available"))
        self.assertEqual({a + b for (_, a), (_, b) in zip(used, available)}, {total})

        busy = self.series("host/cpu/busy")
        self.assertTrue(all(0 <= value <= 1 for _, value in busy))
        parts = [sum(values) for values in zip(*([value for _, value in self.series(
            f"host/cpu/{part}")] for part in ("user", "system", "steal")))]
        for (_, whole), part in zip(busy, parts):
            self.assertAlmostEqual(whole, part, places=9)
        # A window within another has no more than it: busy ticks, of so many cores, in seconds.
        hertz = os.sysconf("SC_CLK_TCK")
        cores = os.cpu_count()
        times = [self.seconds(at) for at, _ in busy]
        told = sum(value * (end - begin) for begin, end, (_, value) in
                   zip(times, times[1:], busy[1:])) * cores * hertz
        self.assertLessEqual(told, (outer_end[0][0] - outer[0][0]) * 1.1 + cores * 10)
        self.assertGreaterEqual(told, (inner_end[0][0] - inner[0][0]) * 0.9 - cores * 10)

        for disk, before in outer[1].items():
            rates = self.series(f"host/disk/{disk}/written_bytes")
            times = [self.seconds(at) for at, _ in rates]
            told = sum(value * (end - begin) for begin, end, (_, value) in
                       zip(times, times[1:], rates[1:]))
            self.assertLessEqual(told, (outer_end[1][disk] - before) * 1.05 + 4096)
            self.assertGreaterEqual(told, (inner_end[1][disk] - inner[1][disk]) * 0.95 - 4096)

    @staticmethod
    def seconds(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    def fake_nvml(self, init=0):
        source = self.write("nvml.c", FAKE_NVML)
        library = self.path(f"fake{init}.so")
        subprocess.run(["cc", "-shared", "-fPIC", f"-DINIT={init}", "-o", library, source],
                       check=True)
        return library

    def test_gpus(self):
        self.run_agent("--nvml", self.fake_nvml())
        self.assertIn("GPU 2 does not tell all it did: GPU is lost", self.agent.stderr.readline())
        self.wait_for_rows(2)
        self.end_agent()
        last = {row["metric"]: float(row["value"])
                for row in self.query("host/gpu/** @ p/r | last 1")}
        self.assertEqual(last, {
            "host/gpu/0/busy": 0.25, "host/gpu/0/memory_busy": 0.5,
            "host/gpu/0/memory_used_bytes": 1 << 30, "host/gpu/0/memory_total_bytes": 80 << 30,
            "host/gpu/0/power_watts": 312.5, "host/gpu/0/temperature_celsius": 60,
            "host/gpu/1/busy": 0.26, "host/gpu/1/memory_busy": 0.5,
            "host/gpu/1/memory_used_bytes": 2 << 30, "host/gpu/1/memory_total_bytes": 80 << 30,
            "host/gpu/1/temperature_celsius": 61,
            "host/gpu/2/power_watts": 312.5, "host/gpu/2/temperature_celsius": 62})
        facts = {row["attribute"]: row["value"] for row in self.query("attributes p/r")}
        self.assertEqual(facts["host/gpu/1/name"], "Fake H100")
        self.assertEqual(facts["host/cores"], str(os.cpu_count()))

    def test_a_library_that_was_named_must_serve(self):
        for library, words in ((self.path("none.so"), "cannot load"),
                               (self.fake_nvml(init=9), "Driver Not Loaded"),
                               ("libm.so.6", "lacks nvmlInit_v2")):
            self.assertIn(words, self.refused("agent", "--project", "p", "--nvml", library))

    def test_the_server_goes_and_comes(self):
        port = self.server.port
        self.run_agent("--run", "r", run=None)
        name = os.uname().nodename
        busy = f"host/{name}/cpu/busy"
        self.wait_for_rows(2, metric=busy)
        self.server.kill()
        gone = time.time()
        while time.time() < gone + 0.7:  # rows are made meanwhile, which is what this is about
            self.assertIsNone(self.agent.poll())
            time.sleep(0.05)
        self.server = Server(self.data, port=port)
        self.addCleanup(self.server.kill)
        back = time.time()
        self.wait_for_rows(9, metric=busy)
        said = self.end_agent()
        times = [self.seconds(at) for at, _ in self.series(busy)]
        self.assertGreaterEqual(sum(gone < at < back for at in times), 2)
        self.assertEqual(int(re.search(r"(\d+) rows stored, 0 refused, 0 dropped", said)[1]),
                         len(times))
        self.server.stop()

    def test_an_end_without_a_server_is_no_success(self):
        self.run_agent(interval="100ms")
        self.wait_for_rows(1)
        self.server.kill()
        time.sleep(0.35)  # a row is made meanwhile, which then waits
        self.assertIn("what was sampled last may be lost", self.end_agent(status=1))

    def test_the_run_is_the_host_by_default(self):
        said = self.run_agent(run=None)
        name = os.uname().nodename
        self.assertIn(f"p/{name} gets host/... every 200ms", said)
        self.wait_for_rows(1, run=name)
        self.end_agent()

    def test_wrong_options(self):
        for options, words in ((["--interval", "1ms"], "100ms at least"),
                               (["--buffer", "1k"], "from 1M to 1G"),
                               (["--prefix", "a\nb"], "control"),
                               (["--run", "a/b"], "a/b")):
            done = self.run_stepdb("agent", "--project", "p", *options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
