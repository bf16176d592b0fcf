#!/usr/bin/env python3
"""The log of `stepdb serve`: its two formats, its levels, what it tells of, and that no secret is
ever in it."""

import glob
import json
import os
import re
import signal
import subprocess
import unittest

import wire
from support import SECONDS_MAX, STEPDB, Case

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
LINE = re.compile(rf"({TIME}) (debug|info|warning|error) +([a-z_]+)(?: .*)?")
LEVELS = ("debug", "info", "warning", "error")


class Log(Case):
    def say(self, *options):
        """Starts a server, logs a row, asks a slow query, ends it; what it said."""
        self.start("--slow-query", "0", *options)
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.query("loss @ p/r | last 3")
        status, _, said = self.server.end(signal.SIGTERM)
        self.assertEqual(status, 0, said)
        return said

    def events(self, said):
        events = [json.loads(line) for line in said.splitlines()]
        for event in events:
            self.assertEqual(list(event)[:3], ["time", "level", "event"])
            self.assertRegex(event["time"], rf"^{TIME}$")
            self.assertIn(event["level"], LEVELS)
            self.assertRegex(event["event"], "^[a-z_]+$")
            for name in event:
                self.assertRegex(name, "^[a-z_]+$")
        return events

    def test_text_is_a_line_an_event(self):
        said = self.say()
        found = [LINE.fullmatch(line) for line in said.splitlines()]
        self.assertNotIn(None, found, said)
        names = [match[3] for match in found]
        self.assertEqual(names[:3], ["store_opened", "access", "listening"])
        self.assertEqual(names[-2:], ["server_stopping", "server_stopped"])
        self.assertIn("slow_query", names)
        self.assertNotIn("\x1b", said)  # no colours in a pipe
        self.assertIn(" signal=SIGTERM\n", said)
        self.assertRegex(said, r'slow_query +outcome=ok seconds=\d\.\d{3} .* query="loss @ p/r \| last 3"')

    def test_json_is_an_object_a_line(self):
        events = self.events(self.say("--log-format", "json"))
        by_name = {event["event"]: event for event in events}
        opened = by_name["store_opened"]
        self.assertEqual(opened["message"], "a new store")
        self.assertEqual((opened["data"], opened["runs"], opened["replayed_rows"]), (self.data, 0, 0))
        self.assertGreater(opened["memory_bytes"], 1 << 20)
        self.assertEqual(len(opened["store"]), 32)
        self.assertEqual((by_name["access"]["tokens"], by_name["access"]["tls"]), (0, False))
        self.assertEqual(by_name["listening"]["address"], self.server.address)
        self.assertEqual(by_name["server_stopping"]["signal"], "SIGTERM")
        queries = [event["query"] for event in events if event["event"] == "slow_query"]
        self.assertIn("loss @ p/r | last 3", queries)

    def test_levels_leave_out_what_is_below(self):
        self.stepdb("token", "create", "operator", "--admin", "--data", self.data)
        for level, seen in (("debug", {"info", "warning"}), ("info", {"info", "warning"}),
                            ("warning", {"warning"}), ("error", set())):
            # An address that others reach, without TLS.
            self.start("--log-format", "json", "--log-level", level, listen="0.0.0.0")
            _, _, said = self.server.end(signal.SIGTERM)
            self.assertEqual({event["level"] for event in self.events(said)}, seen, level)

    def test_refuses_what_it_does_not_know(self):
        for option, value in (("--log-format", "xml"), ("--log-level", "loud")):
            done = subprocess.run([STEPDB, "serve", "--data", self.data, option, value],
                                  capture_output=True, text=True, timeout=SECONDS_MAX)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"{option} {value}: write ", done.stderr)

    def test_damage_is_an_error(self):
        self.say()
        os.remove(os.path.join(self.data, "CURRENT"))
        self.start("--log-format", "json")
        _, _, said = self.server.end(signal.SIGTERM)
        errors = [event for event in self.events(said) if event["level"] == "error"]
        self.assertEqual([event["event"] for event in errors], ["store_damaged", "store_read_only"])
        self.assertIn("CURRENT", errors[0]["damage"])

    def test_backups_and_tokens_are_told_of(self):
        secret = self.stepdb("token", "create", "one", "--admin", "--data", self.data).strip()
        self.start("--log-format", "json")
        done = self.run_stepdb("backup", self.path("backup"), environment={"STEPDB_TOKEN": secret})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.stepdb("token", "create", "two", "--admin", "--data", self.data)
        wire.Connection(self.server.port, token=secret).close()  # sees it at once
        _, _, said = self.server.end(signal.SIGTERM)
        by_name = {event["event"]: event for event in self.events(said)}
        self.assertEqual(by_name["backup_made"]["directory"], self.path("backup"))
        self.assertEqual(by_name["tokens_changed"]["tokens"], 2)

    def test_refused_connections_are_told_of_together(self):
        self.stepdb("token", "create", "one", "--admin", "--data", self.data)
        self.start("--log-format", "json", "--log-level", "debug")
        for _ in range(20):
            with self.assertRaises(wire.Refused):
                wire.Connection(self.server.port)
        said = ""
        while '"connections_refused"' not in said:
            said += self.server.process.stderr.readline()
        _, _, rest = self.server.end(signal.SIGTERM)
        events = self.events(said + rest)
        names = [event["event"] for event in events]
        self.assertEqual(names.count("connection_opened"), 20)
        self.assertEqual(names.count("connection_closed"), 20)
        told = [event for event in events if event["event"] == "connections_refused"]
        self.assertEqual([event["level"] for event in told], ["warning"])  # once in ten seconds
        self.assertTrue(1 <= told[0]["token"] <= 20)
        self.assertEqual((told[0]["server_limit"], told[0]["address_limit"]), (0, 0))

    def test_no_secret_is_in_it(self):
        """Neither a token that is good nor one that is not, nor a hash or a key: not even where a
        query's text, its parameters or a path hold one."""
        secret = self.stepdb("token", "create", "one", "--admin", "--data", self.data).strip()
        other = "stepdb_" + "0123456789abcdef" * 4
        certificate, key = self.path("server.pem"), self.path("server.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=server",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True, timeout=SECONDS_MAX)
        with open(glob.glob(os.path.join(self.data, "tokens"))[0], encoding="utf-8") as file:
            token_hash = re.search("hash=([0-9a-f]{64})", file.read())[1]
        with open(key, encoding="utf-8") as file:
            key_lines = [line for line in file.read().splitlines() if "-----" not in line]
        for log_format in ("text", "json"):
            self.start("--slow-query", "0", "--log-format", log_format, "--log-level", "debug",
                       "--tls-cert", certificate, "--tls-key", key)
            for token, text in ((secret, f"loss @ p/r | first 1 | when value > {secret}"),
                                (secret, f'"{secret}" @ p/{secret}'), (other, "runs"),
                                (secret, f"runs {other}/*"), (secret, "loss @ $run")):
                self.run_stepdb("query", text, "--param", f"run={secret}", "--server",
                                "stepdbs://" + self.server.address, "--tls-ca", certificate,
                                environment={"STEPDB_TOKEN": token})
            self.run_stepdb("backup", self.path(secret), "--server",
                            "stepdbs://" + self.server.address, "--tls-ca", certificate,
                            environment={"STEPDB_TOKEN": secret})
            _, _, said = self.server.end(signal.SIGTERM)
            self.assertIn("slow_query", said)
            self.assertIn("(secret)", said)
            for digits in (secret[7:], other[7:], token_hash):
                for at in range(0, 64, 8):
                    self.assertNotIn(digits[at:at + 8], said)
            for line in key_lines:
                self.assertNotIn(line, said)


if __name__ == "__main__":
    unittest.main()
