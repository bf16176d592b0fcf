#!/usr/bin/env python3
"""The HTTP interface of docs/http.md by the real program: queries, what is logged and what is
watched, against what the program itself says; and what wrong and hostile requests come to."""

import gzip
import json
import math
import os
import socket
import struct
import time
import unittest

import web_socket
import wire
from http_case import HttpCase
from support import ROOT, SECONDS_MAX
from web_socket import Closed, Watched, WebSocket

VALUES = [0.1, float("nan"), float("inf"), float("-inf"), -0.0, 1e300, 3.0, 2.0**60, 1 / 3]
WRITTEN = [0.1, "NaN", "Infinity", "-Infinity", -0.0, 1e300, 3, 2.0**60, 1 / 3]


class ApiCase(HttpCase):
    def watch(self, *messages, **headers):
        client = WebSocket(self.http_port, **headers)
        self.addCleanup(client.close)
        for message in messages:
            client.send(message)
        return client

    def log(self, run="r", project="p", first=0, values=VALUES, name="loss"):
        rows = [{"step": first + at, "time": 1_700_000_000_000_000 + at, "metrics": {
            name: value if math.isfinite(value) else repr(value)}}
                for at, value in enumerate(values)]
        status, answer = self.post("/api/ingest", {"project": project, "run": run, "rows": rows})
        self.assertEqual(status, 200, answer)
        return answer

    def import_points(self, count, run="long"):
        path = self.write("rows.csv", "step,loss\n" + "".join(
            f"{step},{step / 3}\n" for step in range(count)))
        self.stepdb("import", "csv", path, "--project", "p", "--run", run)


class Queries(ApiCase):
    def test_answers_as_json(self):
        self.start_http()
        self.log()
        status, answer = self.post("/api/query", {"query": "loss @ p/r"})
        self.assertEqual(status, 200)
        self.assertEqual([(column["name"], column["type"]) for column in answer["columns"]],
                         [("run", "text"), ("metric", "text"), ("step", "step"),
                          ("value", "float64")])
        self.assertEqual(answer["rows"], len(VALUES))
        self.assertEqual(answer["values"], [["p/r"] * len(VALUES), ["loss"] * len(VALUES),
                                            list(range(len(VALUES))), WRITTEN])
        self.assertEqual(math.copysign(1, answer["values"][3][4]), -1)
        self.assertEqual(answer["notes"], [])
        self.assertGreater(answer["milliseconds"], 0)
        self.assertEqual(self.ask("$m @ p/r | last 1", m="loss")["step"], [len(VALUES) - 1])
        # Nothing where there is nothing, and times.
        buckets = self.ask("loss @ p/r | buckets 2")
        self.assertEqual(buckets["nan"], [1, 0])
        self.log("t", values=[])
        self.post("/api/ingest", {"project": "p", "run": "t", "rows": [
            {"time": 1_700_000_000_000_001, "metrics": {"gpu": 5}}]})
        self.assertEqual(self.ask("gpu @ p/t"), {"run": ["p/t"], "metric": ["gpu"],
                                                 "time": [1_700_000_000_000_001], "value": [5]})
        self.server.stop()

    def test_target_csv_and_columns(self):
        self.start_http()
        self.log()
        status, head, body = self.ask_http("GET", self.target(
            query="$m @ p/r", format="csv", **{"p.m": "loss"}))
        self.assertEqual((status, head["Content-Type"]),
                         (200, "text/csv; charset=utf-8; header=present"))
        self.assertEqual(body.decode(), self.stepdb("query", "loss @ p/r", "--format", "csv"))
        status, head, body = self.ask_http("POST", "/api/query", json.dumps(
            {"query": "loss @ p/r", "format": "columns"}))
        self.assertEqual((status, head["Content-Type"]), (200, "application/vnd.stepdb.frames"))
        answer = wire.Answer()
        kinds = []
        while body:
            length, kind = struct.unpack_from("<IxB", body)
            kinds.append(kind)
            part = body[24:length]
            {wire.RESULT_COLUMNS: answer.begin, wire.RESULT_BLOCK: answer.add_block,
             wire.RESULT_END: answer.end}[kind](part)
            body = body[length:]
        self.assertEqual(kinds, [wire.RESULT_COLUMNS, wire.RESULT_BLOCK, wire.RESULT_END])
        self.assertEqual([struct.pack("<d", value) for value in answer["value"]],
                         [struct.pack("<d", value) for value in VALUES])
        self.assertEqual(self.get(self.target(query="loss @ p/r"), method="HEAD")[2], "")

    def test_long_answers_come_in_pieces_and_whole(self):
        self.start_http()
        self.import_points(300_000)
        status, head, body = self.ask_http("GET", self.target(query="loss @ p/long", format="csv"))
        self.assertEqual((status, head["Transfer-Encoding"]), (200, "chunked"))
        self.assertEqual(body.decode(), self.stepdb("query", "loss @ p/long", "--format", "csv"))
        values = self.ask("loss @ p/long")["value"]
        self.assertEqual(values, [step / 3 for step in range(300_000)])
        # Through a proxy compressed, both ways of writing.
        for query in ("loss @ p/long", "loss @ p/long | buckets 1000"):
            for kind in ("csv", "json"):
                target = self.target(query=query, format=kind)
                plain = self.ask_http("GET", target, Accept_Encoding="gzip")
                self.assertIsNone(plain[1]["Content-Encoding"])
                packed = self.ask_http("GET", target, Accept_Encoding="br, gzip;q=0.5",
                                       X_Forwarded_For="192.0.2.1")
                self.assertEqual(packed[1]["Content-Encoding"], "gzip")
                self.assertLess(len(packed[2]), len(plain[2]))
                unpacked = gzip.decompress(packed[2])
                if kind == "csv":
                    self.assertEqual(unpacked, plain[2])
                else:
                    self.assertEqual(json.loads(unpacked)["values"], json.loads(plain[2])["values"])
        refused = self.ask_http("GET", target, Accept_Encoding="gzip;q=0",
                                X_Forwarded_For="192.0.2.1")
        self.assertIsNone(refused[1]["Content-Encoding"])

    def test_whoever_goes_away_costs_nothing_more(self):
        self.start_http()
        self.import_points(600_000)
        before = self.metrics()[("stepdb_queries_total", "cancelled")]
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.http_port))
        client.sendall(f"GET {self.target(query='loss @ p/long', format='csv')} HTTP/1.1\r\n"
                       "Host: localhost\r\n\r\n".encode())
        self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(self.ask("loss @ p/long | last 1")["step"], [599_999])  # meanwhile
        client.close()
        deadline = time.monotonic() + SECONDS_MAX
        while self.metrics()[("stepdb_queries_total", "cancelled")] == before:
            self.assertLess(time.monotonic(), deadline, "the query goes on")
        self.server.stop()

    def test_many_in_one_request(self):
        self.start_http()
        self.log()
        self.import_points(50_000)
        queries = [{"query": "loss @ p/long | buckets 10"}, {"query": "lss @ p/r"},
                   {"query": "$m @ p/r | last 1", "parameters": {"m": "loss"}}] * 40
        for headers in ({}, {"Accept_Encoding": "gzip", "X_Forwarded_For": "192.0.2.1"}):
            status, head, body = self.ask_http("POST", "/api/queries",
                                               json.dumps({"queries": queries}), **headers)
            self.assertEqual((status, head["Content-Type"]), (200, "application/x-ndjson"))
            body = gzip.decompress(body) if headers else body
            lines = sorted(map(json.loads, body.decode().splitlines()),
                           key=lambda line: line["index"])
            self.assertEqual([line["index"] for line in lines], list(range(120)))
            for line in lines[::3]:
                self.assertEqual(line["rows"], 10)
            for line in lines[1::3]:
                self.assertEqual(line["error"]["code"], "not_found")
            for line in lines[2::3]:
                self.assertEqual(line["values"][2:], [[len(VALUES) - 1], [1 / 3]])
        for queries, why in (([], "no queries"), ([{"query": ""}], "queries[0]: there is no query"),
                             ([{"query": "runs"}] * 257, "at most 256"),
                             ([{"query": "runs"}, 7], "queries[1]: column 1")):
            status, answer = self.post("/api/queries", {"queries": queries})
            self.assertEqual(status, 400)
            self.assertIn(why, answer["error"]["message"])
        self.server.stop()


class Errors(ApiCase):
    def refused_http(self, status, code, message, answer):
        self.assertEqual((answer[0], answer[1]["error"]["code"]), (status, code), answer)
        self.assertIn(message, answer[1]["error"]["message"])
        return answer[1]["error"]

    def test_requests_that_are_wrong(self):
        self.start_http()
        self.log()
        bad = "invalid_argument"
        error = self.refused_http(400, bad, "byte 11", self.post(
            "/api/query", {"query": "loss @ p/r bckets 5"}))
        self.assertEqual((error["begin"], error["end"]), (11, 17))
        error = self.refused_http(404, "not_found", "p/x", self.post(
            "/api/query", {"query": "loss @ p/x"}))
        for body, message in (
                (b"", "an object"), (b"{", "the line ends here"), (b"[1]", "an object"),
                (b'{"query": "runs"', "`,` or `}`"), (b'{"query": "runs"} x', "something follows"),
                (b'{"query": 5, "format": "xml"}', "none of json, csv and columns"),
                (b'{"query": null}', "a text is wanted"), (b"{}", "there is no query"),
                (b'{"query": "runs", "x": 1}', "'x' is no member"),
                (b'{"query": "runs", "parameters": {"a b": "c"}}', "a b"),
                (b'{"query": "\xff"}', "no UTF-8"), (b'{"query": "' + b"x" * 70000 + b'"}', "65536"),
                (b'{"a":' * 100, "64 levels")):
            self.refused_http(400, bad, message, self.post("/api/query", body))
        for target, message in (("query=%zz", "hex digits"), ("", "there is no query"),
                                ("query=runs&format=xml", "none of json"), ("q=runs", "'q' is no")):
            status, _, answer = self.get("/api/query?" + target)
            self.refused_http(400, bad, message, (status, json.loads(answer)))
        status, head, answer = self.get("/api/nothing")
        self.refused_http(404, "not_found", "/api/query", (status, json.loads(answer)))
        status, head, answer = self.get("/api/ingest")
        self.refused_http(405, bad, "POST", (status, json.loads(answer)))
        self.assertEqual(head["Allow"], "POST")
        self.server.stop()

    def test_long_and_slow_bodies(self):
        self.start_http()
        for path, most in (("query", 1 << 20), ("queries", 1 << 20), ("ingest", 8 << 20)):
            head = f"POST /api/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {most + 1}\r\n\r\n"
            answer = self.raw(head.encode(), end=False)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
            self.assertIn(b'"code":"invalid_argument"', answer)
        # Chunked bodies do not say how long they become.
        head = b"POST /api/ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = self.raw(head + b"11000\r\n" + b" " * 0x11000 + b"\r\n0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        answer = self.raw(head + b"2\r\n{}\r\n0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        # Who waits to be asked for the body is.
        with socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX) as client:
            client.sendall(b"POST /api/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n"
                           b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
            self.assertEqual(client.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(b'{"query": "runs"}')
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
        # A body that trickles in is not waited for, and holds nobody up.
        slow = socket.create_connection(("127.0.0.1", self.http_port), SECONDS_MAX)
        self.addCleanup(slow.close)
        slow.sendall(b"POST /api/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        self.assertEqual(self.ask("runs")["run"], [])
        self.assertEqual(slow.recv(100), b"")
        self.server.stop()

    def test_tokens_rights_and_rates(self):
        self.start_http()
        self.log()
        self.log(project="q")
        self.server.stop()
        tokens = {name: self.stepdb("token", "create", name, *rights, "--data", self.data).strip()
                  for name, rights in (("reader", ("--read", "p")), ("writer", ("--write", "p")),
                                       ("few", ("--read", "*", "--queries-per-second", "2")))}
        self.start_http()
        denied = "permission_denied"
        for path in ("query", "queries", "ingest"):
            self.refused_http(401, denied, "Authorization: Bearer", self.post(f"/api/{path}", {}))
            self.refused_http(401, denied, "", self.post(f"/api/{path}", {}, "stepdb_" + "0" * 64))
        self.assertEqual(self.ask("runs", tokens["reader"])["run"], ["p/r"])
        self.refused_http(404, "not_found", "q/r",
                          self.post("/api/query", {"query": "loss @ q/r"}, tokens["reader"]))
        rows = [{"step": 99, "metrics": {"loss": 1}}]
        self.refused_http(403, denied, "", self.post(
            "/api/ingest", {"project": "p", "run": "r", "rows": rows}, tokens["reader"]))
        self.refused_http(403, denied, "", self.post(
            "/api/ingest", {"project": "q", "run": "r", "rows": rows}, tokens["writer"]))
        self.assertEqual(self.post("/api/ingest", {"project": "p", "run": "r", "rows": rows},
                                   tokens["writer"])[0], 200)
        answers = [self.post("/api/query", {"query": "runs"}, tokens["few"]) for _ in range(6)]
        refused = [answer for answer in answers if answer[0] != 200]
        self.assertTrue(0 < len(refused) < 6, answers)
        self.refused_http(429, "resource_exhausted", "2 queries a second", refused[0])
        # A revoked token ends what is watched.
        client = self.watch({"token": tokens["reader"]}, {"id": 1, "query": "loss @ p/r"})
        self.assertEqual(client.read()["kind"], "whole")
        self.stepdb("token", "revoke", "reader", "--data", self.data)
        with self.assertRaises(Closed) as closed:
            while True:
                client.read()
        self.assertEqual(closed.exception.code, 1008)
        _, _, said = self.server.end(15)
        for token in tokens.values():
            self.assertNotIn(token[len("stepdb_"):], said)

    def test_pages_of_other_sites(self):
        self.start_http()
        self.log()
        host = f"127.0.0.1:{self.http_port}"
        for origin, status in ((f"http://{host}", 200), ("http://evil.example", 403), ("null", 403),
                               (f"http://127.0.0.1:{self.http_port + 1}", 403)):
            for path, message in (("query", {"query": "runs"}),
                                  ("ingest", {"project": "p", "run": "r"})):
                self.assertEqual(self.post("/api/" + path, message, Origin=origin)[0], status)
            client = self.watch(Origin=origin)
            self.assertEqual(client.status, 101 if status == 200 else 403)
        self.assertEqual(self.post("/api/query", {"query": "runs"}, Host="evil.example")[0], 403)
        head = self.ask_http("POST", "/api/query", b'{"query": "runs"}', Origin=f"http://{host}")[1]
        self.assertIsNone(head["Access-Control-Allow-Origin"])


class Ingest(ApiCase):
    def test_rows_attributes_tags_and_state(self):
        self.start_http()
        status, answer = self.post("/api/ingest", {
            "project": "p", "run": "r", "tags": ["a", "b"], "state": "finished",
            "attributes": {"config": {"lr": 3e-4, "layers": 12}, "note": "</script>", "on": True,
                           "of": ["x", "y"]},
            "rows": [{"step": 1, "metrics": {"train": {"loss": 0.5, "acc": None}}},
                     {"step": 2, "metrics": {"train": {"loss": "NaN", "acc": "nan:7ff8000000000001"}}},
                     {"step": 0.5, "metrics": {"eval/loss": 7}},
                     {"step": 1, "metrics": {"train": {"loss": 0.25, "acc": 1}}},
                     {"time": 5, "metrics": {"gpu": 80}}]})
        self.assertEqual((status, answer), (200, {"run": "p/r", "attempt": 0, "rows": 5,
                                                  "late_rows": 1, "next_number": 7}))
        self.assertEqual(self.ask("train/* @ p/r")["value"],
                         [1, "nan:7ff8000000000001", 0.25, "NaN"])
        self.assertEqual(self.ask("eval/loss @ p/r")["step"], [0.5])
        self.assertEqual(self.ask("gpu @ p/r")["time"], [5])
        runs = self.ask("runs p/r | show sys/state, sys/tags, config/lr, config/layers, note, on, of")
        self.assertEqual([runs[name][0] for name in ("config/lr", "config/layers", "note", "on")],
                         [3e-4, 12, "</script>", "true"])
        self.server.stop()

    def test_sent_again_it_changes_nothing(self):
        self.start_http()
        first = {"project": "p", "run": "r", "writer": "00" * 15 + "07", "number": 1,
                 "rows": [{"step": step, "metrics": {"loss": step}} for step in range(10)]}
        answers = [self.post("/api/ingest", first) for _ in range(3)]
        self.assertEqual({(status, answer["next_number"]) for status, answer in answers}, {(200, 2)})
        self.assertEqual(self.ask("loss @ p/r")["value"], list(range(10)))
        second = {**first, "number": 2, "rows": [{"step": 3, "metrics": {"loss": 33}}]}
        self.assertEqual(self.post("/api/ingest", second)[1]["next_number"], 3)
        self.assertEqual(self.post("/api/ingest", first)[0], 200)
        self.assertEqual(self.ask("loss @ p/r")["value"][3], 33)
        # A writer that is not known is not believed.
        status, answer = self.post("/api/ingest", {**second, "writer": "ff" * 16})
        self.assertEqual((status, answer["error"]["code"]), (400, "failed_precondition"))
        self.server.stop()

    def test_what_is_refused(self):
        self.start_http()
        run = {"project": "p", "run": "r"}
        good = {"step": 1, "metrics": {"loss": 1}}
        for message, why in (
                ({}, "project"), ({"project": "a/b", "run": "r"}, "a/b"),
                ({**run, "x": 1}, '"x" is no member'), ({**run, "rows": 1}, '"rows" is no member'),
                ({**run, "rows": [good, {"metrics": {"a": 1}}]}, 'rows[1]: a row takes a "step"'),
                ({**run, "rows": [{"step": 1}]}, "rows[0]: there are no"),
                ({**run, "rows": [{"step": "1", "metrics": {"a": 1}}]}, "a finite number"),
                ({**run, "rows": [{"time": 1.5, "metrics": {"a": 1}}]}, "microseconds"),
                ({**run, "rows": [{"step": 1, "metrics": {"a": "x"}}]}, 'rows[0]: "metrics/a"'),
                ({**run, "rows": [{"step": 1, "metrics": {"a": [1]}}]}, "not [1]"),
                ({**run, "rows": [{"step": 1, "y": 1}]}, '"y" is no member'),
                ({**run, "rows": [good, 3]}, "rows[1]: column 1"),
                ({**run, "rows": [{"step": 1, "metrics": {"a\n": 1}}]}, "rows[0]"),
                ({**run, "tags": [1]}, "texts"), ({**run, "state": "gone"}, "finished"),
                ({**run, "attributes": {"sys/created": 1}}, "sys/created"),
                ({**run, "writer": "12", "number": 1}, "32 hex digits"),
                ({**run, "writer": "12" * 16}, "go together"), ({**run, "number": 0}, "begin with 1"),
                ({**run, "attempt": -1}, "attempt")):
            status, answer = self.post("/api/ingest", message)
            self.assertEqual((status, answer["error"]["code"]), (400, "invalid_argument"), message)
            self.assertIn(why, answer["error"]["message"])
        self.assertEqual(self.ask("runs")["run"], [])
        # Refused by the store: what the request held before that is there, and it says so.
        timed = {"time": 5, "metrics": {"loss": 1}}
        status, answer = self.post("/api/ingest", {**run, "rows": [good, timed, good]})
        self.assertEqual((status, answer["error"]["code"]), (400, "failed_precondition"), answer)
        self.assertEqual((answer["error"]["row"], answer["rows"]), (1, 2))
        status, answer = self.post("/api/ingest", {**run, "attempt": 7, "rows": [good]})
        self.assertEqual((answer["error"]["row"], answer["rows"]), (0, 0))
        status, answer = self.post("/api/ingest", b'{"project": "p", "run": "r", "rows": [' + b",".join(
            b'{"step": 1, "metrics": {"m%d": 1}}' % at for at in range(4097)) + b"]}")
        self.assertIn("change more than 4096 times", answer["error"]["message"])
        self.server.stop()

    def test_what_was_acknowledged_survives(self):
        self.start_http()
        self.log()
        self.server.kill()
        self.start_http()
        self.assertEqual(self.ask("loss @ p/r")["value"], WRITTEN)


class Watches(ApiCase):
    def test_updates_follow_what_is_logged(self):
        self.start_http()
        self.log(values=[1.0, 2.0])
        client = self.watch({"id": 1, "query": "loss @ p/r"},
                            {"id": 2, "query": "$m @ p/r | last 1", "parameters": {"m": "loss"}})
        watched = {1: Watched(), 2: Watched()}
        wanted = {1: 2, 2: 1}
        for count in range(2, 12):
            while any(len(watched[key].rows) != wanted[key] or
                      watched[key].rows[-1][2] != count - 1 for key in watched):
                message = client.read()
                watched[message["id"]].take(message)
            self.log(first=count, values=[float(count)])
            wanted[1] = count + 1
        self.assertEqual((watched[1].wholes, watched[1].names),
                         (1, ["run", "metric", "step", "value"]))
        self.assertGreater(watched[1].updates, 1)
        client.send({"id": 1, "cancel": True})
        message = client.read()
        while "error" not in message:
            message = client.read()
        self.assertEqual((message["id"], message["error"]["code"]), (1, "cancelled"))
        client.send({"id": 1, "query": "runs"})
        message = client.read()
        while message["id"] != 1:
            message = client.read()
        self.assertEqual(message["kind"], "whole")
        client.close()
        while self.metrics()["stepdb_watchers"] != 0:
            pass
        self.server.stop()

    def test_whoever_reads_slowly_is_told_what_has_become_of_it(self):
        self.start_http()
        self.import_points(2000, "r")
        client = self.watch({"id": 1, "query": "loss @ p/r"}, receive_bytes=4096)
        for at in range(30):
            self.log(first=2000, values=[float(at)] * 3000)
        watched = Watched()
        while not watched.rows or watched.rows[-1][2:] != (4999, 29):
            watched.take(client.read())
        self.assertEqual(len(watched.rows), 5000)
        self.assertLess(watched.updates, 30)
        self.server.stop()

    def test_messages_that_are_wrong(self):
        self.start_http()
        self.log()
        client = self.watch()
        for message, why in (({}, '"query" or'), ({"id": 1}, '"query" or'), ([], "an object"),
                             ({"query": "runs"}, '"id"'), ({"id": 1.5, "query": "runs"}, "integer"),
                             ({"id": 2**60, "query": "runs"}, "integer"), ({"id": 1, "x": 2}, "'x'"),
                             ({"id": 1, "query": "runs", "cancel": True}, '"query" or'),
                             ({"token": "x"}, "comes once")):
            client.send(message)
            answer = client.read()
            self.assertNotIn("id", answer)
            self.assertIn(why, answer["error"]["message"])
        client.send({"id": 3, "query": "loss @ p/r bckets 5"})
        answer = client.read()
        self.assertEqual((answer["id"], answer["error"]["begin"], answer["error"]["end"]), (3, 11, 17))
        client.send({"id": 4, "query": "runs"})
        client.send({"id": 4, "query": "runs"})
        answers = [client.read(), client.read()]
        self.assertEqual(sorted("error" in answer for answer in answers), [False, True])
        self.assertEqual(self.get("/api/watch")[0], 426)

    def test_frames_that_are_wrong(self):
        self.start_http()
        ask = json.dumps({"id": 1, "query": "runs"}).encode()
        for kind, payload, options, code in (
                (web_socket.TEXT, ask, {"masked": False}, 1002), (3, ask, {}, 1002),
                (web_socket.TEXT, b"\xff\xfe", {}, 1007), (web_socket.BINARY, ask, {}, 1003),
                (web_socket.TEXT, b"x" * 300_000, {}, 1009),
                (web_socket.PING, b"x" * 126, {}, 1002), (web_socket.CLOSE, b"\x03", {}, 1002),
                (web_socket.TEXT, b"", {"length": 1 << 62}, 1009),
                (0, ask, {}, 1002)):
            client = self.watch()
            try:
                client.send_frame(kind, payload, **options)
                with self.assertRaises(Closed) as closed:
                    client.read()
                self.assertIn(closed.exception.code, (code, None), (kind, payload[:20], options))
            except (ConnectionResetError, BrokenPipeError):
                pass  # it was closed while it was being sent
        client = self.watch()
        client.send_frame(web_socket.TEXT, ask[:5], final=False)
        client.send_frame(web_socket.PING, b"there?")
        client.send_frame(0, ask[5:])
        self.assertEqual(client.read()["kind"], "whole")
        client.send_frame(web_socket.CLOSE, struct.pack(">H", 1000))
        with self.assertRaises(Closed) as closed:
            client.read()
        self.assertEqual(closed.exception.code, 1000)
        self.server.stop()

    def test_tokens_in_the_first_message(self):
        token = self.stepdb("token", "create", "reader", "--read", "*", "--data", self.data).strip()
        self.start_http()
        for messages, headers in (([{"token": token}, {"id": 1, "query": "runs"}], {}),
                                  ([{"token": token, "id": 1, "query": "runs"}], {}),
                                  ([{"id": 1, "query": "runs"}],
                                   {"Authorization": f"Bearer {token}"})):
            self.assertEqual(self.watch(*messages, **headers).read()["kind"], "whole")
        for message in ({"id": 1, "query": "runs"}, {"token": "stepdb_" + "0" * 64}):
            client = self.watch(message)
            self.assertEqual(client.read()["error"]["code"], "permission_denied")
            with self.assertRaises(Closed) as closed:
                client.read()
            self.assertEqual(closed.exception.code, 1008)
        self.server.stop()


class Document(ApiCase):
    def test_what_it_says_of_watching(self):
        """The transcript in docs/http.md: `>` is said, `<` is heard, `+` is logged meanwhile."""
        with open(os.path.join(ROOT, "docs", "http.md"), encoding="utf-8") as file:
            lines = file.read().split("```json\n")[1].split("```")[0].splitlines()
        self.assertGreater(len(lines), 4)
        self.start_http()
        status, _ = self.post("/api/ingest", {
            "project": "gpt", "run": "r17", "attributes": {"config": {"lr": 3e-4}},
            "rows": [{"step": 1, "metrics": {"train/loss": 4.5, "lr": 0.1}},
                     {"step": 2, "metrics": {"train/loss": "NaN", "lr": None}}]})
        self.assertEqual(status, 200)
        client = self.watch()
        for line in lines:
            message = json.loads(line[2:])
            if line[0] == ">":
                client.send(message)
            elif line[0] == "+":
                self.assertEqual(self.post("/api/ingest", message)[0], 200)
            else:
                heard = client.read()
                if "sequence" in heard:
                    self.assertGreater(heard.pop("sequence"), 0)
                    message.pop("sequence")
                self.assertEqual(heard, message)


class Page(ApiCase):
    def test_it_is_served_with_its_policy(self):
        self.start_http()
        status, head, body = self.ask_http("GET", "/")
        self.assertEqual((status, head["Content-Type"]), (200, "text/html; charset=utf-8"))
        built = os.path.join(os.path.dirname(__file__), "../../web/dist")
        with open(os.path.join(built, "index.html"), "rb") as file:
            self.assertEqual(body, file.read())
        policy = head["Content-Security-Policy"]
        self.assertIn("default-src 'self'", policy)
        for word in ("unsafe", "http", "*"):
            self.assertNotIn(word, policy)
        self.assertNotIn(b" style=", body)
        self.assertEqual(self.ask_http("GET", "/", If_None_Match=head["ETag"])[0::2], (304, b""))
        for folder, _, names in os.walk(built):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                target = "/" + os.path.relpath(path, built)
                status, head, body = self.ask_http("GET", target)
                self.assertEqual((status, body), (200, content), target)
                self.assertEqual("immutable" in head["Cache-Control"],
                                 target.startswith("/assets/"), target)
                packed = self.ask_http("GET", target, Accept_Encoding="gzip",
                                       X_Forwarded_For="192.0.2.1")
                if packed[1]["Content-Encoding"] == "gzip":
                    self.assertEqual(gzip.decompress(packed[2]), content)
                else:
                    self.assertEqual(packed[2], content)
        for path in ("/assets/", "/assets/../index.html", "/..", "/index.html/", "/%2e%2e/x"):
            self.assertEqual(self.ask_http("GET", path)[0], 404)
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
