#!/usr/bin/env python3
"""The HTTP listener of `stepdb serve --http`, by the real program: its metrics against what was
sent, who may see them, and what hostile clients come to."""

import http.client
import os
import socket
import ssl
import subprocess
import unittest

import prometheus
import wire
from http_case import HttpCase
from support import SECONDS_MAX, STEPDB


class Metrics(HttpCase):
    def test_they_count_what_happened(self):
        self.start_http()
        before = self.metrics()
        connection = wire.Connection(self.server.port, features=wire.FEATURE_WATCH)
        name = wire.schema_hash(wire.STEPPED, ["loss", "acc"])
        frames = [wire.schema("p", wire.STEPPED, ["loss", "acc"]), wire.open_run(1, "p", "r"),
                  wire.rows(1, 1, name, [1, 2, 3], [1.0] * 6), wire.rows(2, 1, name, [2], [9.0] * 2),
                  wire.open_run(2, "p", "none", mode=0)]
        connection.send(*frames)
        self.assertEqual(connection.read_error()[:2], (1, 2))  # not found
        # Two rows of two metrics of which three values are there.
        sparse = wire.rows_body(1, name, 2, [7.0, 8.0], presence=wire.bitmap([1, 0]) +
                                wire.bitmap([1, 1]), values=b"\0" * 12)
        frames.append(wire.frame(wire.ROWS, 3, sparse))
        connection.send(frames[-1])
        connection.wait_for(6)
        self.assertEqual(len(self.query("loss @ p/r")), 5)
        self.refused("query", "nothing @ p/r")
        watched = connection.watch("runs", 9)
        self.assertEqual(len(watched.rows), 1)
        after = self.metrics()
        while after["stepdb_connections"] != 1:  # those of the programs have not been closed yet
            after = self.metrics()

        def grown(key):
            return after[key] - before[key]

        self.assertEqual(grown("stepdb_ingest_frames_total"), 6)
        self.assertEqual(grown("stepdb_ingest_bytes_total"), sum(map(len, frames)))
        self.assertEqual(grown("stepdb_ingest_acknowledged_frames_total"), 5)
        self.assertEqual(grown("stepdb_ingest_rows_total"), 6)
        self.assertEqual(grown("stepdb_ingest_points_total"), 11)
        self.assertEqual(grown("stepdb_ingest_late_rows_total"), 1)
        self.assertEqual(grown(("stepdb_ingest_refused_frames_total", "not_found")), 1)
        self.assertGreaterEqual(grown("stepdb_ingest_acks_total"), 1)
        self.assertGreaterEqual(grown("stepdb_log_sync_duration_seconds_count"), 1)
        self.assertGreater(after["stepdb_log_sync_duration_seconds_sum"], 0)
        self.assertGreater(after["stepdb_log_live_bytes"], 0)
        # The watch's own counts once it is computed.
        self.assertGreaterEqual(grown(("stepdb_queries_total", "done")), 1)
        self.assertEqual(grown(("stepdb_queries_total", "failed")), 1)
        self.assertEqual(after["stepdb_query_duration_seconds_count"],
                         sum(value for key, value in after.items()
                             if key[0] == "stepdb_queries_total"))
        self.assertEqual((after["stepdb_watches"], after["stepdb_watchers"]), (1, 1))
        self.assertEqual(grown("stepdb_connections_accepted_total"), 3)
        self.assertEqual((after["stepdb_runs"], after["stepdb_schemas"]), (1, 1))
        self.assertEqual((after["stepdb_store_read_only"], after["stepdb_store_disk_full"]), (0, 0))
        self.assertGreaterEqual(grown("stepdb_received_bytes_total"), sum(map(len, frames)))
        self.assertGreater(grown("stepdb_sent_bytes_total"), 0)
        self.assertGreaterEqual(after["stepdb_http_requests_total"], 1)
        self.assertGreater(after["stepdb_disk_free_bytes"], 0)
        self.assertGreater(after["process_resident_memory_bytes"], 1 << 20)
        self.assertGreater(after["process_cpu_seconds_total"], 0)
        self.assertGreater(after["process_start_time_seconds"], 1.7e9)
        self.assertGreater(after["process_open_fds"], 5)
        connection.close()
        self.server.stop()

    def test_flushes_and_segments_are_counted(self):
        self.start_http()
        path = self.write("rows.csv", "step,loss\n" + "".join(
            f"{step},{step / 3}\n" for step in range(200_000)))
        self.stepdb("import", "csv", path, "--project", "p", "--run", "r")
        self.stepdb("backup", self.path("backup"))  # which flushes
        values = self.metrics()
        self.assertEqual(values["stepdb_flush_duration_seconds_count"], 1)
        self.assertEqual(values["stepdb_segments"], 1)
        self.assertEqual(values["stepdb_segment_bytes"], values["stepdb_flush_written_bytes_total"])
        self.assertEqual(values["stepdb_ingest_points_total"], 200_000)

    def test_a_damaged_store_is_not_ready(self):
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.server.stop()
        os.remove(os.path.join(self.data, "CURRENT"))
        self.start_http()
        values = self.metrics()
        self.assertEqual((values["stepdb_store_read_only"], values["stepdb_store_damages"]), (1, 1))
        status, _, text = self.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("nothing is written", text)
        self.assertNotIn(self.data, text)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.server.kill()


class Pages(HttpCase):
    def test_pages_and_methods(self):
        self.start_http()
        connection = self.connect_http()  # which stays open
        for path, body in (("/healthz", "ok\n"), ("/readyz", "ready\n"), ("/healthz?x=1", "ok\n")):
            status, head, text = self.get(path, connection=connection)
            self.assertEqual((status, text), (200, body))
            self.assertEqual(head["X-Content-Type-Options"], "nosniff")
            self.assertEqual(head["Cache-Control"], "no-store")
        status, head, text = self.get("/metrics", method="HEAD", connection=connection)
        self.assertEqual((status, text), (200, ""))
        self.assertGreater(int(head["Content-Length"]), 1000)
        status, _, text = self.get("/nothing", connection=connection)
        self.assertEqual(status, 404)
        for path in ("/api/watch", "/healthz", "/metrics", "/readyz"):
            self.assertIn(path, text)
        self.assertNotIn("/assets/", text)
        status, head, _ = self.get("/metrics", method="POST", connection=connection)
        self.assertEqual((status, head["Allow"]), (405, "GET, HEAD"))
        self.server.stop()

    def test_without_the_option_there_is_none(self):
        self.start()
        self.assertEqual(self.server.process.poll(), None)
        self.server.stop()  # which finds no other line on stdout

    def test_names_of_other_sites_are_refused_while_everybody_may_ask(self):
        self.start_http()
        for host, status in (("evil.example", 403), ("evil.example:80", 403), ("localhost", 200),
                             (f"localhost:{self.http_port}", 200), ("127.0.0.1", 200),
                             ("[::1]:7421", 200)):
            self.assertEqual(self.get("/metrics", Host=host)[0], status, host)
        self.server.stop()
        secret = self.stepdb("token", "create", "prometheus", "--metrics", "--data",
                             self.data).strip()
        self.start_http()
        self.assertEqual(self.get("/metrics", secret, Host="stepdb.example")[0], 200)

    def test_another_address_takes_a_token(self):
        done = subprocess.run([STEPDB, "serve", "--data", self.data, "--listen", "127.0.0.1:0",
                               "--http", "0.0.0.0:0"], capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--http 0.0.0.0:0: other machines may reach", done.stderr)
        self.assertIn("stepdb token create", done.stderr)
        self.stepdb("token", "create", "operator", "--admin", "--data", self.data)
        self.start_http(http="0.0.0.0")
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/metrics")[0], 401)

    def test_metrics_take_their_right(self):
        secrets = {name: self.stepdb("token", "create", name, *rights, "--data", self.data).strip()
                   for name, rights in (("prometheus", ("--metrics",)), ("operator", ("--admin",)),
                                        ("reader", ("--read", "*")), ("writer", ("--write", "*")),
                                        ("admin", ("--admin=p",)))}
        self.start_http()
        status, head, text = self.get("/metrics")
        self.assertEqual((status, head["WWW-Authenticate"]), (401, 'Bearer realm="stepdb"'))
        self.assertIn("Authorization: Bearer", text)
        self.assertEqual(self.get("/metrics", "stepdb_" + "0" * 64)[0], 401)
        self.assertEqual(self.get("/metrics", Authorization="Basic eDp5")[0], 401)
        for name, status in (("prometheus", 200), ("operator", 200), ("reader", 403),
                             ("writer", 403), ("admin", 403)):
            self.assertEqual(self.get("/metrics", secrets[name])[0], status, name)
        self.assertIn("stepdb token create NAME --metrics", self.get("/metrics", secrets["reader"])[2])
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.get(path)[0], 200)
        # The right opens `stats` too, and no project.
        environment = {"STEPDB_TOKEN": secrets["prometheus"]}
        self.assertEqual(self.run_stepdb("stats", environment=environment).returncode, 0)
        done = self.run_stepdb("query", "runs", "--format", "csv", environment=environment)
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout)
        self.assertNotEqual(self.run_stepdb("backup", self.path("b"),
                                            environment=environment).returncode, 0)
        self.stepdb("token", "revoke", "prometheus", "--data", self.data)
        self.assertEqual(self.get("/metrics", secrets["prometheus"])[0], 401)
        _, _, said = self.server.end(15)
        for secret in secrets.values():
            self.assertNotIn(secret[len("stepdb_"):], said)

    def test_metrics_name_nothing(self):
        secret = self.stepdb("token", "create", "secretname", "--admin", "--data",
                             self.data).strip()
        self.start_http()
        done = self.run_stepdb("log", "--project", "hiddenproject", "--run", "hiddenrun", "--step",
                               "1", "hiddenmetric=2", environment={"STEPDB_TOKEN": secret})
        self.assertEqual(done.returncode, 0, done.stderr)
        text = self.get("/metrics", secret)[2]
        for word in ("hidden", "secretname", self.data):
            self.assertNotIn(word, text)


class Hostile(HttpCase):
    def test_what_is_no_http(self):
        self.start_http()
        for data, status in ((b"\0\1\2\3\r\n\r\n", 400), (b"GET\r\n\r\n", 400),
                             (b"GET / HTTP/9.9\r\n\r\n", 400),
                             (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
                             (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                              b"Content-Length: 3\r\n\r\nabc", 400),
                             (b"GET / HTTP/1.1\r\nX: " + b"x" * 10000 + b"\r\n\r\n", 431),
                             (b"GET /" + b"x" * 10000 + b" HTTP/1.1\r\n\r\n", 431),
                             (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                              b"99999999999\r\n\r\n", 413)):
            answer = self.raw(data)
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), (data[:60], answer[:200]))
        for data in (b"", b"GET / HT", b"\x16\x03\x01\x00\x05hello", b"GET /metrics HTTP/1.1\r\nX"):
            self.raw(data)
        # Two requests in one piece, and one behind the other on one connection.
        answer = self.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 2)
        answer = self.raw(b"GET /healthz HTTP/1.0\r\n\r\n", end=False)
        self.assertTrue(answer.startswith(b"HTTP/1.0 200 OK"), answer)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.server.stop()

    def test_who_says_nothing_or_says_it_slowly_is_closed(self):
        """A connection whose request trickles in is closed after its time, and meanwhile others are
        answered."""
        self.start_http()
        slow = socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX)
        self.addCleanup(slow.close)
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        silent = socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX)
        self.addCleanup(silent.close)
        self.assertEqual(self.get("/healthz")[0], 200)
        for client in (slow, silent):
            self.assertEqual(client.recv(4096), b"")
        # Those of this test's own two requests, which stay open.
        self.assertEqual(self.metrics()["stepdb_http_connections"], 2)
        self.server.stop()

    def test_one_address_does_not_shut_out_others(self):
        self.start_http()
        crowd = []
        for _ in range(200):
            client = socket.socket()
            client.settimeout(SECONDS_MAX)
            client.bind(("127.0.0.2", 0))
            client.connect(("127.0.0.1", self.http_port))
            self.addCleanup(client.close)
            crowd.append(client)
        self.assertEqual(self.get("/healthz")[0], 200)
        values = self.metrics()
        self.assertEqual(values["stepdb_http_connections_refused_total"], 200 - 32)
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.server.stop()  # at once, whoever is connected

    def test_ends_in_the_middle_of_requests(self):
        self.start_http()
        client = socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX)
        self.addCleanup(client.close)
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        idle = self.connect_http()
        self.get("/metrics", connection=idle)
        self.server.stop()
        self.assertEqual(client.recv(100), b"")


class Tls(HttpCase):
    def test_speaks_tls_where_the_native_port_does(self):
        certificate, key = self.path("server.pem"), self.path("server.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=server",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True, timeout=SECONDS_MAX)
        self.start_http("--tls-cert", certificate, "--tls-key", key)
        context = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection("localhost", self.http_port, timeout=SECONDS_MAX,
                                                 context=context)
        self.addCleanup(connection.close)
        for _ in range(3):
            status, _, text = self.get("/metrics", connection=connection)
            self.assertEqual(status, 200)
            self.assertIn("process_start_time_seconds", prometheus.parse(text))
        self.assertEqual(self.raw(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), b"")
        self.assertEqual(self.get("/healthz", connection=connection)[0], 200)
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
