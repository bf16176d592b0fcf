"""Limits of connections: one machine, one token, or many that say nothing shut out nobody."""

import resource
import socket
import time
import unittest

import wire
from support import SECONDS_MAX, Case

RESOURCE_EXHAUSTED = 5
MANY = 10_000


class Limits(Case):
    def connect(self, **named):
        connection = wire.Connection(self.server.port, **named)
        self.addCleanup(connection.close)
        return connection

    def stranger(self, host="127.0.0.1"):
        """A connection from another address of the loopback that says nothing."""
        client = socket.socket()
        client.settimeout(SECONDS_MAX)
        client.bind((host, 0))
        client.connect(("127.0.0.1", self.server.port))
        self.addCleanup(client.close)
        return client

    def test_one_address_does_not_shut_out_others(self):
        """Ten thousand connections that say nothing, from one address."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MANY + 200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"{wanted} descriptors are needed, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.start("--memory", "256M")  # which takes 6,144 connections in all
        before = self.connect()
        for _ in range(MANY):
            self.stranger("127.0.0.2")
        before.ask("runs")
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.assertEqual(len(self.query("loss @ p/r")), 1)

    def test_an_address_is_told_its_limit(self):
        self.start("--connections-per-address", "3")
        inside = [self.connect() for _ in range(3)]
        with self.assertRaises(wire.Refused) as refused:
            self.connect()
        self.assertEqual((refused.exception.scope, refused.exception.code),
                         ("connection", RESOURCE_EXHAUSTED))
        self.assertIn("3 connections from 127.0.0.1", refused.exception.message)
        self.assertIn("--connections-per-address", refused.exception.message)
        other = self.stranger("127.0.0.3")
        other.sendall(wire.frame(wire.HELLO, 0, b"\1\0\0\0" + bytes(24) + wire.text("") +
                                 wire.text("")))
        self.assertEqual(other.recv(6)[5], wire.HELLO_OK)
        inside.pop().close()
        while True:  # the server has heard of it
            try:
                self.connect()
                break
            except wire.Refused as again:
                self.assertEqual(again.code, RESOURCE_EXHAUSTED)

    def test_a_token_has_its_own_limit(self):
        few = self.stepdb("token", "create", "few", "--read", "*", "--connections", "2", "--data",
                          self.data).strip()
        other = self.stepdb("token", "create", "other", "--read", "*", "--data",
                            self.data).strip()
        self.start()
        inside = [self.connect(token=few) for _ in range(2)]
        with self.assertRaises(wire.Refused) as refused:
            self.connect(token=few)
        self.assertEqual(refused.exception.code, RESOURCE_EXHAUSTED)
        self.assertIn("token 'few' has 2 connections", refused.exception.message)
        self.connect(token=other).ask("runs")
        for connection in inside:
            connection.ask("runs")

    def test_a_writer_over_its_rate_is_slowed_and_loses_nothing(self):
        secret = self.stepdb("token", "create", "few", "--admin", "--rows-per-second", "2k", "--data",
                             self.data)
        self.assertIn("2000", self.stepdb("token", "list", "--data", self.data))
        self.start()
        connections = [self.connect(token=secret.strip(), writer=b"a python client%d" % number)
                       for number in range(2)]
        name = wire.schema_hash(wire.STEPPED, ["loss"])
        begun = time.monotonic()
        for number, connection in enumerate(connections):
            connection.send(wire.schema("p", wire.STEPPED, ["loss"]),
                            wire.open_run(1, "p", f"r{number}"))
            # Frames of 500 rows: 6,000 in all, of which 2,000 go at once.
            connection.send(*(wire.rows(frame, 1, name, range(frame * 500, frame * 500 + 500),
                                        [1.0] * 500) for frame in range(1, 7)))
        # What was sent is durable and visible; what comes next waits for its turn.
        for connection in connections:
            connection.wait_for(8)
            connection.send(wire.rows(7, 1, name, [9999], [1.0]))
        for connection in connections:
            connection.wait_for(9)
        self.assertGreater(time.monotonic() - begun, (6002 - 2000) / 2000 * 0.9)
        other = self.stepdb("token", "create", "other", "--admin", "--data", self.data).strip()
        answer = self.connect(token=other).ask("loss @ p/r0, p/r1 | last 1")
        self.assertEqual(answer["step"], [9999, 9999])
        count = self.connect(token=other).ask("runs | show count(loss) as n")
        self.assertEqual(count["n"], [3001, 3001])

    def test_queries_over_their_rate_are_told_when_to_ask_again(self):
        few = self.stepdb("token", "create", "few", "--read", "*", "--queries-per-second", "3",
                          "--data", self.data).strip()
        other = self.stepdb("token", "create", "other", "--read", "*", "--data",
                            self.data).strip()
        self.start()
        inside = [self.connect(token=few) for _ in range(2)]
        answered, refused = 0, None
        # Faster than three a second, by whichever of its connections.
        while refused is None:
            try:
                inside[answered % 2].ask("runs")
                answered += 1
            except wire.Refused as error:
                refused = error
        self.assertGreaterEqual(answered, 3)
        self.assertEqual((refused.scope, refused.code), ("query", RESOURCE_EXHAUSTED))
        self.assertRegex(refused.message, r"token 'few' may ask 3 queries a second, and has; ask "
                                          r"again in 0\.\d{3} s, or .*--queries-per-second")
        for _ in range(20):
            self.connect(token=other).ask("runs")
        # The connection goes on, and once it has waited it is answered.
        while True:
            try:
                inside[0].ask("runs")
                break
            except wire.Refused as error:
                self.assertEqual(error.code, RESOURCE_EXHAUSTED)

    def test_who_says_nothing_or_says_it_slowly_is_closed(self):
        self.start()
        silent = self.stranger()
        slow = self.stranger()
        hello = wire.frame(wire.HELLO, 0, b"\1\0\0\0" + bytes(24) + wire.text("x" * 100) +
                           wire.text(""))
        slow.sendall(hello[:30])
        for client in (silent, slow):
            answer = b""
            while piece := client.recv(4096):
                answer += piece
            self.assertIn(b"no hello within 10000 ms", answer)


if __name__ == "__main__":
    unittest.main()
