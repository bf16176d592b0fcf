"""Limits of connections: one machine, one token, or many that say nothing shut out nobody."""

import resource
import socket
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
