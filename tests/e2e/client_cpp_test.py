"""The C++ library, through its example: what it logs is there, also if the server is killed meanwhile."""

import math
import os
import random
import re
import struct
import subprocess
import unittest

from support import ROOT, SECONDS_MAX, STEPDB, Case, Relay

LOG_TRAINING = os.environ.get("STEPDB_LOG_TRAINING",
                              os.path.join(os.path.dirname(STEPDB), "log_training"))


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class ClientCppTest(Case):
    def log_training(self, address, steps, token=""):
        return subprocess.Popen([LOG_TRAINING, address, "p", "r", str(steps)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "STEPDB_TOKEN": token})

    def expect_run(self, steps):
        rows = self.query("train/loss @ p/r")
        self.assertEqual([float(row["step"]) for row in rows], list(map(float, range(steps))))
        for row in rows[:100] + rows[-100:]:
            self.assertEqual(float(row["value"]),
                             as_float32(2.0 + 8.0 / math.sqrt(1.0 + float(row["step"]))))
        (summary,) = self.query("train/lr @ p/r | summary")
        self.assertEqual(int(summary["count"]), steps)
        self.assertIn("finished", self.stepdb("query", "runs p/r"))

    def test_logs_a_training(self):
        self.start()
        process = self.log_training(self.server.address, 1000)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertEqual(out, "1010 rows stored, 0 refused, over 1 connections\n")
        self.expect_run(1000)
        self.server.stop()

    def test_takes_its_token_from_the_environment(self):
        token = self.stepdb("token", "create", "t", "--write", "p", "--data", self.data).strip()
        other = self.stepdb("token", "create", "o", "--write", "q", "--data", self.data).strip()
        self.start()
        process = self.log_training(self.server.address, 100, token)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertIn("0 refused", out)
        for wrong, why in (("", "without a token"), ("stepdb_" + "0" * 64, "not know this token"),
                           (other, "token 'o' has no write right for project p")):
            process = self.log_training(self.server.address, 100, wrong)
            _, err = process.communicate(timeout=SECONDS_MAX)
            self.assertEqual(process.returncode, 1)
            self.assertRegex(err, "^log_training: error: permission denied: ")
            self.assertIn(why, err)

    def test_the_document_shows_the_example(self):
        def lines_of(name):
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                return [line.strip() for line in file.read().splitlines()]
        example = "\n".join(lines_of("examples/cpp/log_training.cc"))
        blocks = re.findall(r"^```cpp\n(.*?)^```", "\n".join(lines_of("docs/clients.md")) + "\n",
                            re.S | re.M)
        self.assertEqual(len(blocks), 3)
        for block in blocks:
            self.assertIn(block, example)

    def test_says_what_is_wrong(self):
        process = self.log_training("127.0.0.1:1", 10)
        _, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err, "^log_training: error: unavailable: cannot connect to 127.0.0.1:1: ")

    def test_a_server_that_is_killed_costs_nothing(self):
        """Killed twice after a random part of what is sent, and started again on its port."""
        seed = int(os.environ.get("STEPDB_SEED", random.randrange(1 << 16)))
        with self.subTest(seed=seed):
            choice = random.Random(seed)
            steps = 300_000
            self.start()
            relay = KillingRelay(self, [choice.randrange(300, 3_000_000) for _ in range(2)])
            process = self.log_training(relay.address, steps)
            out, err = process.communicate(timeout=SECONDS_MAX)
            relay.close()
            self.assertEqual((process.returncode, err), (0, ""))
            count = re.fullmatch(r"(\d+) rows stored, 0 refused, over 3 connections\n", out)
            self.assertEqual(int(count[1]), steps + steps // 100)
            self.expect_run(steps)
            self.server.stop()


class KillingRelay(Relay):
    """Kills the server after so many bytes of one connection, and starts another that the next
    connection goes to."""

    def __init__(self, case, kills):
        self.case, self.kills = case, kills
        super().__init__(case.server.port, kills[0], self.kill)

    def kill(self):
        self.case.restart_after_kill()
        self.server_port = self.case.server.port
        self.kills.pop(0)
        with self.lock:
            self.handed_on = 0
            self.bytes_max = self.kills[0] if self.kills else None


if __name__ == "__main__":
    unittest.main()
