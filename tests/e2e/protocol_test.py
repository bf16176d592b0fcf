"""The protocol through the real server: the transcript of docs/protocol.md, and every kind of bad
frame, each answered by an error that names the thing, with the server up and serving everyone else.
"""

import math
import os
import re
import struct
import unittest

import wire
from support import ROOT, Case

INVALID, NOT_FOUND, PRECONDITION = 1, 2, 4
NONE = 0xFFFFFFFF
LOSS = wire.schema_hash(wire.STEPPED, ["loss"])


def transcript():
    """(from client, [byte or None], has a varying rest) for each frame of the document."""
    frames = []
    with open(os.path.join(ROOT, "docs", "protocol.md"), encoding="utf-8") as document:
        blocks = re.findall(r"```transcript\n(.*?)```", document.read(), re.S)
    for line in "".join(blocks).splitlines():
        line = line.split("#")[0]
        begin = re.match(r"([CS]):", line)
        if begin:
            frames.append((begin[1] == "C", [], [False]))
            line = line[2:]
        for word in line.split():
            if word == "...":
                frames[-1][2][0] = True
            else:
                frames[-1][1].append(None if word == ".." else int(word, 16))
    return [(client, data, rest[0]) for client, data, rest in frames]


class ProtocolTest(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_the_transcript_of_the_document(self):
        frames = transcript()
        self.assertGreater(len(frames), 10)
        connection = wire.Connection.__new__(wire.Connection)
        connection.socket = wire.socket.create_connection(("127.0.0.1", self.server.port), 120)
        connection.buffer = bytearray()
        for index, (from_client, data, rest) in enumerate(frames):
            if from_client:
                connection.send(bytes(data))
                continue
            got = connection.read_frame()
            self.assertTrue(len(got) == len(data) or (rest and len(got) >= len(data)),
                            f"frame {index}: {got.hex(' ')}")
            for at, want in enumerate(data):
                if want is not None:
                    self.assertEqual(got[at], want, f"frame {index} byte {at}: {got.hex(' ')}")
        connection.close()

    def begin(self):
        connection = wire.Connection(self.server.port, os.urandom(16))
        connection.send(wire.schema("p", wire.STEPPED, ["loss"]), wire.open_run(1, "p", "r"))
        connection.wait_for(2)
        return connection

    def expect_refused(self, bad, code, *words, numbered=True, row=None, column=None):
        """`bad` is refused, in the middle of good frames of the same connection."""
        connection = self.begin()
        connection.send(wire.rows(1, 1, LOSS, [1.0], [0.5]), bad,
                        wire.rows(3 if numbered else 2, 1, LOSS, [2.0], [0.25]))
        scope, got_code, got_row, got_column, message = connection.read_error()
        self.assertEqual((scope, got_code), (1, code), message)
        if row is not None:
            self.assertEqual(got_row, row, message)
        if column is not None:
            self.assertEqual(got_column, column, message)
        for word in words:
            self.assertIn(word, message)
        connection.wait_for(5)
        connection.close()
        self.expect_served()

    def expect_closed(self, sent, *words):
        """Framing is lost: an error, then the end of that connection."""
        connection = self.begin()
        connection.send(sent)
        scope, _, _, _, message = connection.read_error()
        self.assertEqual(scope, 0, message)
        for word in words:
            self.assertIn(word, message)
        with self.assertRaises((EOFError, ConnectionError)):
            connection.read_bytes(1)
        connection.close()
        self.expect_served()

    def expect_served(self):
        other = self.begin()
        other.send(wire.rows(1, 1, LOSS, [7.0], [7.0]))
        other.wait_for(3)
        other.close()
        answer = self.query("loss @ p/r | steps 7..7")
        self.assertEqual([row["value"] for row in answer], ["7"])

    def test_garbage(self):
        self.expect_closed(b"GET / HTTP/1.1\r\nHost: stepdb\r\n\r\n" + b"x" * 64)

    def test_oversized(self):
        self.expect_closed(wire.frame(wire.ROWS, 1, b"", length=0xFFFFFFF0), "4294967280")

    def test_wrong_checksum(self):
        self.expect_closed(wire.frame(wire.ROWS, 1, b"abcd", checksum=1), "checksum")

    def test_newer_version(self):
        self.expect_closed(wire.frame(wire.ROWS, 1, b"", version=9), "version 9")

    def test_a_connection_cut_in_a_frame_harms_nobody(self):
        connection = self.begin()
        whole = wire.rows(1, 1, LOSS, [1.0], [0.5])
        for length in (1, 7, 23, len(whole) - 1):
            cut = self.begin()
            cut.send(whole[:length])
            cut.close()
        connection.close()
        self.expect_served()

    def test_unknown_schema(self):
        name = wire.schema_hash(wire.STEPPED, ["nobody sent this"])
        self.expect_refused(wire.rows(2, 1, name, [1.0], [0.5]), NOT_FOUND, name.hex(), "project p")

    def test_wrong_width(self):
        self.expect_refused(wire.rows(2, 1, LOSS, [1.0], [0.5, 0.6]), INVALID, "value", "8", "4")

    def test_nan_step(self):
        self.expect_refused(wire.rows(2, 1, LOSS, [1.0, math.nan], [0.5, 0.5]), INVALID, "step",
                            row=1)

    def test_row_without_step_and_time(self):
        body = wire.rows_body(1, LOSS, 1, values=struct.pack("<f", 1))
        self.expect_refused(wire.frame(wire.ROWS, 2, body), INVALID, "step")

    def test_metric_too_long(self):
        self.expect_refused(wire.schema("p", wire.STEPPED, ["m" * 1025]), INVALID, "1025", "1024",
                            numbered=False)

    def test_metric_not_utf8(self):
        self.expect_refused(wire.schema("p", wire.STEPPED, [b"loss\xff"]), INVALID, "UTF-8",
                            numbered=False)

    def test_metric_twice(self):
        self.expect_refused(wire.schema("p", wire.STEPPED, ["a", "b", "a"]), INVALID, "'a' twice",
                            numbered=False)

    def test_schema_under_a_wrong_name(self):
        self.expect_refused(wire.schema("p", wire.STEPPED, ["a"], name=LOSS), INVALID, LOSS.hex(),
                            numbered=False)

    def test_run_id_with_a_slash(self):
        self.expect_refused(wire.open_run(2, "p", "a/b"), INVALID, "'a/b'", numbered=False)

    def test_axis_mismatch(self):
        timed = wire.schema_hash(wire.TIMED, ["loss"])
        first = self.begin()
        first.send(wire.rows(1, 1, LOSS, [0.0], [0.5]),
                   wire.schema("p", wire.TIMED, ["loss"]))
        first.wait_for(4)
        first.close()
        body = wire.rows_body(1, timed, 1, times=[5], values=struct.pack("<f", 1))
        self.expect_refused(wire.frame(wire.ROWS, 2, body), PRECONDITION, "'loss'", "stepped")

    def test_numbering_gap(self):
        self.expect_refused(wire.rows(5, 1, LOSS, [1.0], [0.5]), PRECONDITION, "gap", "5",
                            numbered=False)

    def test_unknown_attempt(self):
        body = wire.rows_body(1, LOSS, 1, [1.0], values=struct.pack("<f", 1), attempt=3)
        self.expect_refused(wire.frame(wire.ROWS, 2, body), PRECONDITION, "attempt 3")

    def test_parameters_of_queries(self):
        connection = self.begin()
        connection.send(wire.rows(1, 1, LOSS, [1.0, 2.0, 3.0], [0.5, 0.25, 0.125]))
        connection.wait_for(3)
        text = "loss @ $run | steps $from.. | last $n"
        given = [("n", "1"), ("run", "p/r"), ("from", "2")]
        answer = connection.ask(text, parameters=given)
        self.assertEqual(answer.columns[answer.names.index("value")], [0.125])
        for wrong, words in (([*given, ("n", "2")], "$n is given twice: '1' and '2'"),
                             (given[1:], "parameter $n is not given"),
                             ([*given, ("m", "1")], "does not use what is given beside it: $m"),
                             ([("", "1")], "'' is no name of a parameter"),
                             ([(f"p{i}", "") for i in range(1001)], "parameter count 1001"),
                             ([("n", "x" * 65536)], "parameter $n is too much"),
                             ([*given[1:], ("n", "1 | first 1")], "found '1 | first 1'")):
            with self.assertRaises(wire.Refused) as refused:
                connection.ask(text, parameters=wrong)
            self.assertEqual((refused.exception.scope, refused.exception.code),
                             (wire.SCOPES[2], INVALID))
            self.assertIn(words, refused.exception.message)
        connection.close()

    def test_handle_that_is_not_open(self):
        self.expect_refused(wire.rows(2, 9, LOSS, [1.0], [0.5]), PRECONDITION, "handle 9",
                            numbered=False)


if __name__ == "__main__":
    unittest.main()
