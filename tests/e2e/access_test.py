"""Tokens: who may use a server, and for what."""

import glob
import json
import os
import re
import signal
import stat
import subprocess
import unittest

import wire
from support import SECONDS_MAX, STEPDB, Case

PERMISSION_DENIED = 11
SECRET = re.compile(r"stepdb_[0-9a-f]{64}")


class Access(Case):
    def setUp(self):
        super().setUp()
        self.secrets = []
        self.outputs = []

    # --- What is typed ---

    def create(self, name, *rights):
        """Makes a token; returns its secret."""
        done = self.run_stepdb("token", "create", name, *rights, "--data", self.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"^{SECRET.pattern}\n$")
        self.assertNotRegex(done.stderr, SECRET)
        self.secrets.append(done.stdout.strip())
        return self.secrets[-1]

    def revoke(self, name):
        self.stepdb("token", "revoke", name, "--data", self.data)

    def run_as(self, secret, *arguments):
        done = self.run_stepdb(*arguments, environment={"STEPDB_TOKEN": secret})
        self.assertNotRegex(done.stdout + done.stderr, SECRET)
        return done

    def succeed(self, secret, *arguments):
        done = self.run_as(secret, *arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def denied(self, secret, *arguments):
        done = self.run_as(secret, *arguments)
        self.assertEqual(done.returncode, 1, f"{arguments}: {done.stdout}")
        self.assertRegex(done.stderr, r"^stepdb[ a-z]*: error: ")
        return done.stderr

    def log(self, secret, run, *values):
        project, name = run.split("/")
        return self.run_as(secret, "log", "--project", project, "--run", name, "--step", "1",
                           *(values or ("loss=2",)))

    def runs(self, secret, text="runs"):
        rows = self.succeed(secret, "query", text, "--format", "jsonl").splitlines()
        return [json.loads(row)["run"] for row in rows]

    def serve_refused(self, *arguments):
        done = subprocess.run([STEPDB, "serve", "--data", self.data, *arguments],
                              capture_output=True, text=True, timeout=SECONDS_MAX)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def connect(self, **named):
        connection = wire.Connection(self.server.port, **named)
        self.addCleanup(connection.close)
        return connection

    def start_with_projects(self):
        """Three projects, and an operator's token."""
        operator = self.create("operator", "--admin")
        self.start()
        for project in ("alpha", "beta", "gamma"):
            for run in ("run-1", "run-2"):
                done = self.log(operator, f"{project}/{run}", f"{project}_loss=2", "loss=1")
                self.assertEqual(done.returncode, 0, done.stderr)
        return operator

    # --- At start ---

    def test_without_tokens_the_loopback_is_open(self):
        self.start()
        self.assertEqual(self.log("", "p/r").returncode, 0)
        self.assertEqual(self.log("stepdb_" + "0" * 64, "p/s").returncode, 0)
        self.assertEqual(len(self.query("runs")), 2)
        self.assertIn("no tokens: every user of this machine", self.server.stop())

    def test_another_address_takes_a_token(self):
        error = self.serve_refused("--listen", "0.0.0.0:0")
        self.assertIn("--listen 0.0.0.0:0", error)
        command = re.search(r"`stepdb (token create operator --admin --data \S+)`", error)
        self.assertIsNotNone(command, error)
        self.assertFalse(os.path.exists(self.data))
        done = subprocess.run([STEPDB, *command[1].split()], capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.start(listen="0.0.0.0")
        self.server.address = f"127.0.0.1:{self.server.port}"
        self.assertIn("lets nobody in without a token", self.refused("query", "runs"))
        self.assertEqual(self.log(done.stdout.strip(), "p/r").returncode, 0)
        said = self.server.stop()
        self.assertIn("1 token, no TLS", said)
        self.assertIn("can be read on the way", said)
        self.revoke("operator")
        self.serve_refused("--listen", "0.0.0.0:0")

    def test_an_expired_token_is_none(self):
        self.create("old", "--admin", "--expires", "1us")
        self.serve_refused("--listen", "0.0.0.0:0")

    def test_a_damaged_token_file_lets_nobody_in(self):
        self.create("one", "--admin")
        path = os.path.join(self.data, "tokens")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("name=one", "name=two"))
        for address in ("127.0.0.1:0", "0.0.0.0:0"):
            self.assertIn("checksum is wrong", self.serve_refused("--listen", address))
        self.assertIn(path, self.refused("token", "list", "--data", self.data))

    # --- The file ---

    def test_a_token_is_shown_once_and_kept_as_a_hash(self):
        secret = self.create("ci", "--read", "alpha/*", "--write", "beta", "--expires", "90d",
                             "--connections", "7")
        path = os.path.join(self.data, "tokens")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as file:
            self.assertNotIn(secret[len("stepdb_"):], file.read())
        listed = json.loads(self.stepdb("token", "list", "--data", self.data, "--format", "jsonl"))
        self.assertEqual({name: listed[name] for name in
                          ("name", "read", "write", "admin", "connections", "state")},
                         {"name": "ci", "read": "alpha", "write": "beta", "admin": "",
                          "connections": 7, "state": "good"})
        self.assertIn("there is a token 'ci'",
                      self.refused("token", "create", "ci", "--admin", "--data", self.data))
        self.revoke("ci")
        self.assertEqual(self.stepdb("token", "list", "--data", self.data, "--format", "csv")
                         .count("\n"), 1)
        self.assertIn("no token 'ci'", self.refused("token", "revoke", "ci", "--data", self.data))

    def test_refuses_what_is_no_token(self):
        for arguments, word in (((), "--read PROJECT"), (("--read", "alpha/run-1"), "alpha/run-1"),
                                (("--admin", "--expires", "soon"), "--expires 'soon'"),
                                (("--admin", "--expires", "2001-01-01"), "over already")):
            done = self.run_stepdb("token", "create", "x", *arguments, "--data", self.data)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.data))

    def test_examples_of_the_help_work(self):
        self.create("nobody", "--read", "x")
        for action in ("create", "list", "revoke"):
            text = self.stepdb("token", action, "--help")
            for line in text.split("Examples:\n")[1].splitlines():
                command = line.strip().replace("stepdb", STEPDB, 1).replace("./store", self.data)
                done = subprocess.run(command, shell=True, cwd=self.directory,
                                      capture_output=True, text=True, timeout=SECONDS_MAX)
                self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")
        with open(self.path("trainer.token"), encoding="utf-8") as file:
            self.assertRegex(file.read(), rf"^{SECRET.pattern}\n$")

    def test_tokens_are_made_before_and_beside_the_store(self):
        operator = self.create("operator", "--admin")
        self.start()
        self.assertEqual(self.log(operator, "p/r").returncode, 0)
        self.server.stop()  # which verifies the store, tokens and all
        self.assertTrue(os.path.exists(os.path.join(self.data, "tokens")))
        backup = self.path("backup")
        self.stepdb("backup", backup, "--data", self.data)
        self.assertFalse(os.path.exists(os.path.join(backup, "tokens")))

    # --- At hello ---

    def test_a_token_from_a_file(self):
        path = self.write("token", self.create("operator", "--admin") + "\n")
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2",
                    "--token-file", path)
        for text in ("", "two words\n", "x" * 5000):
            error = self.refused("query", "runs", "--token-file", self.write("bad", text))
            self.assertIn(self.path("bad"), error)
            self.assertNotIn("two words", error)
        self.assertIn("missing", self.refused("query", "runs", "--token-file", "missing"))

    def test_strangers_are_told_nothing(self):
        self.start_with_projects()
        for secret in ("", "stepdb_" + "0" * 64, "alpha"):
            with self.assertRaises(wire.Refused) as refused:
                self.connect(token=secret)
            self.assertEqual((refused.exception.scope, refused.exception.code),
                             ("connection", PERMISSION_DENIED))
            for word in ("alpha", "operator", self.data):
                self.assertNotIn(word, str(refused.exception))
        self.denied("", "query", "runs")

    def test_a_token_made_or_revoked_counts_at_once(self):
        self.start()
        early = self.connect()
        self.assertEqual(early.ask("runs").columns[0], [])
        late = self.create("late", "--admin")
        self.assertEqual(early.read_error()[:2], (0, PERMISSION_DENIED))
        self.denied("", "query", "runs")
        connection = self.connect(features=wire.FEATURE_WATCH, token=late)
        connection.send(wire.schema("p", wire.STEPPED, ["loss"]), wire.open_run(1, "p", "r"))
        connection.wait_for(2)
        watched = connection.watch("runs", 9)
        self.assertEqual(len(watched.rows), 1)
        self.revoke("late")
        seen = []
        while True:
            kind, number, body = connection.read()
            if kind == wire.ERROR:
                seen.append(wire.Refused(number, body))
                if seen[-1].scope == "connection":
                    break
        self.assertEqual(seen[0].scope, "query")
        self.assertIn("'late' was revoked", seen[-1].message)
        with self.assertRaises(EOFError):
            connection.read()
        self.denied(late, "query", "runs")
        self.server.stop()

    # --- Rights ---

    def test_a_reader_sees_its_projects_alone(self):
        self.start_with_projects()
        reader = self.create("reader", "--read", "alpha", "--read", "g*")
        visible = ["alpha/run-1", "alpha/run-2", "gamma/run-1", "gamma/run-2"]
        self.assertEqual(self.runs(reader), visible)
        self.assertEqual(self.runs(reader, "runs */* where count(loss) > 0"), visible)
        self.assertEqual(self.runs(reader, "loss @ */run-1"), ["alpha/run-1", "gamma/run-1"])
        self.assertEqual(self.runs(reader, 'loss @ ~"run-2"'), ["alpha/run-2", "gamma/run-2"])
        for text in ("metrics ** @ */*", "attributes */*", "projects", "explain runs",
                     "** @ */* | buckets 2", "runs b*/*", "metrics beta* @ */*",
                     "loss @ */* | group by sys/name mean"):
            out = self.succeed(reader, "query", text, "--format", "json")
            self.assertNotIn("beta", out.replace("b*/*", ""), text)
        hidden = self.denied(reader, "query", "loss @ beta/run-1")
        missing = self.denied(reader, "query", "loss @ beta/run-9")
        self.assertIn("there is no run 'beta/run-1'", hidden)
        self.assertEqual(hidden.replace("run-1", "run-9"), missing.replace("run-1", "run-9"))
        self.assertNotIn("beta/run-1", missing)
        self.denied(reader, "query", "stats")
        self.denied(reader, "stats")
        self.denied(reader, "backup", self.path("backup"))

    def test_a_reader_changes_nothing(self):
        operator = self.start_with_projects()
        reader = self.create("reader", "--read", "*")
        for arguments in (("log", "--project", "alpha", "--run", "run-1", "--step", "9", "loss=3"),
                          ("set", "alpha/run-1", "note=x"), ("run", "create", "alpha/new"),
                          ("run", "fork", "alpha/new", "--from", "alpha/run-1", "--at", "1"),
                          ("run", "restart", "alpha/run-1", "--at", "1"),
                          ("run", "finish", "alpha/run-1"),
                          ("run", "delete", "alpha/run-1", "--yes"),
                          ("retention", "alpha", "90d")):
            self.assertIn("token 'reader' has no", self.denied(reader, *arguments))
        self.assertEqual(len(self.runs(operator)), 6)
        self.assertEqual(len(self.runs(operator, "loss @ alpha/run-1")), 1)

    def test_a_writer_writes_its_project_and_reads_nothing(self):
        operator = self.start_with_projects()
        writer = self.create("writer", "--write", "alpha")
        self.assertEqual(self.log(writer, "alpha/new").returncode, 0)
        refused = self.log(writer, "beta/new")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("token 'writer' has no write right for project beta", refused.stderr)
        self.assertIn("stepdb token create NAME --write=beta", refused.stderr)
        self.assertEqual(self.runs(writer), [])
        self.denied(writer, "query", "loss @ alpha/new")
        self.assertIn("admin right", self.denied(writer, "retention", "alpha", "90d", "--yes"))
        # The command looks whether the run is there before it says anything of it.
        self.assertIn("may read", self.denied(writer, "run", "finish", "alpha/new"))
        both = self.create("both", "--write", "alpha", "--read", "alpha")
        self.succeed(both, "run", "finish", "alpha/new")
        self.assertEqual(len(self.runs(operator)), 7)

    def test_a_refused_run_leaves_others_of_the_connection_alone(self):
        self.start_with_projects()
        writer = self.create("writer", "--write", "alpha")
        connection = self.connect(token=writer)
        name = wire.schema_hash(wire.STEPPED, ["loss"])
        connection.send(wire.schema("alpha", wire.STEPPED, ["loss"]),
                        wire.schema("beta", wire.STEPPED, ["loss"]),
                        wire.open_run(1, "alpha", "w"), wire.open_run(2, "beta", "run-1"),
                        wire.rows(1, 2, name, [5], [1.0]), wire.rows(1, 1, name, [5], [1.0]))
        self.assertEqual(connection.read_error()[:2], (1, PERMISSION_DENIED))
        self.assertEqual(connection.read_error()[:2], (1, PERMISSION_DENIED))
        scope, code, *_ = connection.read_error()
        self.assertEqual(scope, 1)
        self.assertNotEqual(code, 0)
        connection.wait_for(6)

    def test_watches_of_the_same_text_are_told_apart(self):
        operator = self.start_with_projects()
        reader = self.create("reader", "--read", "alpha")
        connections = {}
        for secret, runs in ((operator, 6), (reader, 2)):
            connection = self.connect(features=wire.FEATURE_WATCH, token=secret)
            watched = connection.watch("runs */*")
            self.assertEqual(len(watched.rows), runs)
            connections[secret] = connection, watched
        self.assertEqual(self.log(operator, "beta/new").returncode, 0)
        self.assertEqual(self.log(operator, "alpha/new").returncode, 0)
        for secret, runs in ((operator, 8), (reader, 3)):
            connection, watched = connections[secret]
            while len(watched.rows) < runs:
                connection.read_update(watched)
            self.assertEqual(len(watched.rows), runs)
        reader_rows = connections[reader][1].rows
        self.assertNotIn("beta", json.dumps(reader_rows))

    def test_an_admin_of_a_project_is_none_of_the_store(self):
        self.start_with_projects()
        admin = self.create("admin", "--admin=alpha")
        self.assertEqual(self.runs(admin), ["alpha/run-1", "alpha/run-2"])
        self.succeed(admin, "retention", "alpha", "90d")
        self.assertIn("project beta", self.denied(admin, "retention", "beta", "90d"))
        self.assertIn("all projects", self.denied(admin, "backup", self.path("backup")))
        self.denied(admin, "stats")

    def test_an_operator_may_do_everything(self):
        operator = self.start_with_projects()
        self.succeed(operator, "stats")
        self.succeed(operator, "retention", "beta", "90d")
        self.succeed(operator, "backup", self.path("backup"))
        self.succeed(operator, "run", "delete", "beta/run-1", "--yes")
        self.assertEqual(len(self.runs(operator)), 5)

    # --- Secrets ---

    def test_no_secret_is_ever_written(self):
        """Not by the server, whatever it tells of, nor into any file of the store."""
        operator = self.create("operator", "--admin")
        self.start("--slow-query", "0")
        self.assertEqual(self.log(operator, "p/r").returncode, 0)
        self.succeed(operator, "query", "loss @ p/r")
        self.denied(operator, "query", "loss @ p/none")
        stranger = "stepdb_" + "ab" * 32
        self.denied(stranger, "query", "runs")
        self.denied(stranger, "log", "--project", "p", "--run", "r", "--step", "1", "x=1")
        self.revoke("operator")
        self.denied(operator, "query", "runs")
        _, _, said = self.server.end(signal.SIGTERM)
        self.assertIn("slow_query", said)
        texts = [said.encode()]
        for path in glob.glob(os.path.join(self.data, "*")):
            with open(path, "rb") as file:
                texts.append(file.read())
        for secret in (operator, stranger):
            for text in texts:
                self.assertNotIn(secret[len("stepdb_"):].encode(), text)


if __name__ == "__main__":
    unittest.main()
