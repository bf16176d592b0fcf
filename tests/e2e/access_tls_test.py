"""TLS, by the real program on both ends."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import unittest

import wire
from support import SECONDS_MAX, STEPDB, Case, Relay


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.certificate = self.make_certificate("server", "DNS:localhost,IP:127.0.0.1")

    def make_certificate(self, name, names):
        """One that signs itself; its file, beside which lies its key."""
        certificate, key = self.path(name + ".pem"), self.path(name + ".key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=" + names, "-keyout", key, "-out", certificate],
                       check=True, capture_output=True, timeout=SECONDS_MAX)
        return certificate

    def start_tls(self, certificate=None, *options, **named):
        certificate = certificate or self.certificate
        self.start("--tls-cert", certificate, "--tls-key", certificate[:-4] + ".key", *options,
                   **named)
        self.server.address = "stepdbs://" + self.server.address
        return self.server

    def log(self, run, *options, server=None):
        return self.run_stepdb("log", "--project", "p", "--run", run, "--step", "1", "loss=2",
                               "--server", server or self.server.address, *options)

    def test_every_command_speaks_it(self):
        self.start_tls()
        trust = ("--tls-ca", self.certificate)
        lines = "\n".join(f"{step},{step / 3}" for step in range(100000))
        csv = self.write("log.csv", "step,loss\n" + lines + "\n")
        self.stepdb("import", "csv", csv, "--project", "p", "--run", "r", *trust)
        self.assertEqual(self.log("s", *trust).returncode, 0)
        self.stepdb("set", "p/s", "note=x", *trust)
        self.stepdb("run", "finish", "p/s", *trust)
        self.stepdb("stats", *trust)
        self.stepdb("backup", self.path("backup"), *trust)
        rows = self.query("loss @ p/r", *trust)
        self.assertEqual(len(rows), 100000)
        self.assertEqual(float(rows[77777]["value"]), 77777 / 3)
        self.server.address = f"stepdbs://localhost:{self.server.port}"
        self.assertEqual(len(self.query("runs", *trust)), 2)
        done = self.run_stepdb("query", "runs", environment={"STEPDB_TLS_CA": self.certificate})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("TLS", self.server.stop())

    def test_with_tokens(self):
        secret = self.stepdb("token", "create", "t", "--admin", "--data", self.data).strip()
        self.start_tls(listen="0.0.0.0")
        self.server.address = f"stepdbs://127.0.0.1:{self.server.port}"
        self.assertIn("without a token", self.refused("query", "runs", "--tls-ca",
                                                      self.certificate))
        done = self.run_stepdb("query", "runs", "--tls-ca", self.certificate,
                               environment={"STEPDB_TOKEN": secret})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 token, TLS", self.server.stop())

    def test_a_server_that_cannot_be_verified_gets_no_token(self):
        secret = "stepdb_" + "ab" * 32
        other = self.make_certificate("other", "DNS:localhost,IP:127.0.0.1")
        elsewhere = self.make_certificate("elsewhere", "DNS:elsewhere.example")
        self.start_tls()
        for arguments, word in (((), "self-signed certificate"),
                                (("--tls-ca", other), "self-signed certificate"),
                                (("--tls-ca", self.path("none")), self.path("none"))):
            done = self.run_stepdb("query", "runs", *arguments,
                                   environment={"STEPDB_TOKEN": secret})
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(word, done.stderr)
            self.assertNotIn(secret, done.stderr)
        self.server.stop()
        self.start_tls(elsewhere)
        self.assertIn("mismatch", self.refused("query", "runs", "--tls-ca", elsewhere))

    def test_what_crosses_the_network_cannot_be_read(self):
        secret = self.stepdb("token", "create", "t", "--admin", "--data", self.data).strip()
        self.start_tls()
        seen = []

        class Ear(Relay):
            @staticmethod
            def read(connection):
                data = Relay.read(connection)
                seen.append(data)
                return data

        ear = Ear(self.server.port)
        self.addCleanup(ear.close)
        done = self.run_stepdb("log", "--project", "p", "--run", "r", "--step", "1",
                               "very_special_loss=2", "--server", "stepdbs://" + ear.address,
                               "--tls-ca", self.certificate, environment={"STEPDB_TOKEN": secret})
        self.assertEqual(done.returncode, 0, done.stderr)
        everything = b"".join(seen)
        self.assertGreater(len(everything), 500)
        self.assertNotIn(b"very_special_loss", everything)
        self.assertNotIn(secret[-64:].encode(), everything)

    def test_one_side_without_is_told(self):
        self.start_tls()
        error = self.refused("query", "runs", "--server", f"127.0.0.1:{self.server.port}")
        self.assertIn("stepdbs://", error)
        self.server.stop()
        self.start()
        error = self.refused("query", "runs", "--server", "stepdbs://" + self.server.address,
                             "--tls-ca", self.certificate)
        self.assertIn("no TLS with 127.0.0.1", error)
        self.assertIn("without stepdbs://", error)

    def test_old_versions_of_tls_are_refused(self):
        self.start_tls()
        for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                               (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.create_default_context(cafile=self.certificate)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(("127.0.0.1", self.server.port)) as plain:
                if works:
                    with context.wrap_socket(plain, server_hostname="localhost") as client:
                        client.sendall(wire.frame(wire.HELLO, 0, bytes(12) + bytes(16) +
                                                  wire.text("") + wire.text("")))
                        self.assertEqual(client.recv(6)[5], wire.ERROR)  # version 0 is none
                else:
                    with self.assertRaises((ssl.SSLError, ConnectionError)):
                        context.wrap_socket(plain, server_hostname="localhost")

    def test_refuses_what_is_no_certificate(self):
        garbage = self.write("garbage.pem", "no PEM\n")
        key = self.certificate[:-4] + ".key"
        for arguments, word in (((("--tls-cert", self.certificate)), "--tls-key"),
                                (("--tls-cert", garbage, "--tls-key", key), garbage),
                                (("--tls-cert", self.certificate, "--tls-key", garbage), garbage),
                                (("--listen", "stepdbs://127.0.0.1:0"), "--tls-cert")):
            done = subprocess.run([STEPDB, "serve", "--data", self.data, *arguments],
                                  capture_output=True, text=True, timeout=SECONDS_MAX)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.data))

    def test_survives_what_is_no_tls(self):
        self.start_tls()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 4096,
                        b"\x16\x03\x01\x00\x05hello", b"\0" * 64, b"\x16"):
            with socket.create_connection(("127.0.0.1", self.server.port)) as client:
                client.sendall(garbage)
                try:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass
                except OSError:
                    pass  # it has been reset, maybe before it could be shut
        self.assertEqual(self.log("r", "--tls-ca", self.certificate).returncode, 0)

    def certificate_served(self):
        return ssl.get_server_certificate(("127.0.0.1", self.server.port), timeout=SECONDS_MAX)

    def wait_for_event(self, name):
        """Reads the log of the server as JSON until this event."""
        while True:
            event = json.loads(self.server.process.stderr.readline())
            if event["event"] == name:
                return event

    def replace(self, source):
        """The certificate and key that the server reads, by those of `source`."""
        for end in (".pem", ".key"):
            shutil.copy(source[:-4] + end, self.path("new"))
            os.rename(self.path("new"), self.certificate[:-4] + end)

    def test_a_renewed_certificate_is_taken_up(self):
        renewed = self.make_certificate("renewed", "DNS:localhost,IP:127.0.0.1")
        with open(renewed, encoding="utf-8") as file:
            wanted = file.read()
        self.start_tls(None, "--log-format", "json")
        context = ssl.create_default_context(cafile=self.certificate)
        early = context.wrap_socket(socket.create_connection(("127.0.0.1", self.server.port)),
                                    server_hostname="localhost")
        self.addCleanup(early.close)
        self.assertNotEqual(self.certificate_served(), wanted)
        self.replace(renewed)
        self.assertEqual(self.wait_for_event("tls_reloaded")["certificate"], self.certificate)
        self.assertEqual(self.certificate_served(), wanted)
        self.assertEqual(self.log("r", "--tls-ca", renewed).returncode, 0)
        # Who was connected stays so.
        early.sendall(wire.frame(wire.HELLO, 0, b"\1\0\0\0" + bytes(24) + wire.text("") +
                                 wire.text("")))
        self.assertEqual(early.recv(6)[5], wire.HELLO_OK)

    def test_a_bad_new_certificate_leaves_the_old_one(self):
        self.start_tls(None, "--log-format", "json")
        before = self.certificate_served()
        other = self.make_certificate("other", "DNS:localhost")
        shutil.copy(other[:-4] + ".key", self.path("new"))
        os.rename(self.path("new"), self.certificate[:-4] + ".key")  # of another certificate
        event = self.wait_for_event("tls_unread")
        self.assertEqual(event["level"], "error")
        self.assertIn("is not that of the certificate", event["error"])
        self.assertEqual(self.certificate_served(), before)
        os.remove(self.certificate)
        self.assertIn(self.certificate, self.wait_for_event("tls_unread")["error"])
        self.assertEqual(self.certificate_served(), before)
        self.replace(other)
        self.wait_for_event("tls_reloaded")
        self.assertNotEqual(self.certificate_served(), before)

    def test_ends_while_hands_are_shaken(self):
        self.start_tls()
        with socket.create_connection(("127.0.0.1", self.server.port)):
            status, _, _ = self.server.end(signal.SIGTERM)
            self.assertEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
