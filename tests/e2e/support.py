"""What the end-to-end tests share: the real program, a server of it, and answers as Python values.

Run by ctest, which names the program in STEPDB_BIN. Nothing here sleeps: a server is ready when it
has printed `listening on`, and gone when its process has ended.
"""

import csv
import io
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPDB = os.environ.get("STEPDB_BIN", os.path.join(ROOT, "build", "debug", "bin", "stepdb"))
SECONDS_MAX = 120  # of anything here; also on a slow machine and under sanitizers

CANONICAL_NAN = 0x7FF8000000000000


def sampled(things, every):
    """All of them; under a sanitizer, which is there for what is done and not for how often, some."""
    return things[::every] if os.environ.get("STEPDB_SANITIZE") else things


def shared_data():
    """The folder of real logs, if this machine has it."""
    for path in (os.environ.get("STEPDB_DATA"),
                 os.path.join(os.path.dirname(ROOT), "shared", "data")):
        if path and os.path.isfile(os.path.join(path, "series.csv")):
            return path
    return None


def interpreter_with(*modules):
    """A Python that has these modules: this one, or that of the system, for Debian's packages are
    seen by no other. None if there is none."""
    code = ("import importlib.util, sys\n"
            "sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))")
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and subprocess.run(
                [python, "-c", code, *modules], stdin=subprocess.DEVNULL,
                check=False).returncode == 0:
            return python
    return None


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def bits_of_text(text):
    """The bits of a value as `--format csv` writes it."""
    if text.startswith("nan:"):
        return int(text[4:], 16)
    if text == "NaN":
        return CANONICAL_NAN
    return bits_of(float(text))


def value_text(bits):
    """A text that stands for exactly this double."""
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return f"nan:{bits:016x}" if value != value else repr(value)


def rows_of_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def verify(data):
    """The store in `data`, which no server has open, is sound."""
    done = subprocess.run([STEPDB, "verify", data], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=SECONDS_MAX)
    if done.returncode != 0:
        raise AssertionError(f"verify: {done.stdout}{done.stderr}")


class Server:
    """A `stepdb serve` of its own, on a free port unless it is to have this one."""

    def __init__(self, data, *options, environment=None, listen="127.0.0.1", port=0):
        self.data = data
        self.process = subprocess.Popen(
            [STEPDB, "serve", "--data", data, "--listen", f"{listen}:{port}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline()
        match = re.fullmatch(rf"listening on ({re.escape(listen)}:(\d+))\n", line)
        if not match:
            self.process.kill()
            _, said = self.process.communicate()
            raise AssertionError(f"no `listening on` but {line!r}: {said}")
        self.address = match[1]
        self.port = int(match[2])

    def end(self, number):
        """Ends it by a signal; returns exit status and the rest of both outputs."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS_MAX)
        return self.process.returncode, out, err

    def kill(self):
        self.end(signal.SIGKILL)

    def stop(self):
        status, out, err = self.end(signal.SIGTERM)
        if status != 0 or out != "":
            raise AssertionError(f"stopped with status {status}, {out!r}: {err}")
        verify(self.data)
        return err


class Relay:
    """Between a program and a server; hands on `bytes_max` bytes of the program's, over all its
    connections, then calls `at_end` and hands on no more."""

    def __init__(self, port, bytes_max=None, at_end=None):
        self.server_port, self.bytes_max, self.at_end = port, bytes_max, at_end
        self.handed_on = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.run)]
        self.threads[0].start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # close() has shut it down
                return
            self.threads.append(threading.Thread(target=self.relay, args=(client,)))
            self.threads[-1].start()

    def relay(self, client):
        server = socket.create_connection(("127.0.0.1", self.server_port))
        with client, server:
            back = threading.Thread(target=self.hand_back, args=(server, client))
            back.start()
            while data := self.read(client):
                with self.lock:
                    was_open = self.handed_on != self.bytes_max
                    if self.bytes_max is not None:
                        data = data[:self.bytes_max - self.handed_on]
                    self.handed_on += len(data)
                    is_over = self.handed_on == self.bytes_max
                server.sendall(data)
                if is_over:
                    if was_open:
                        self.at_end()
                    break
            try:
                server.shutdown(socket.SHUT_WR)
            except OSError:  # the server is gone
                pass
            back.join(SECONDS_MAX)

    def hand_back(self, server, client):
        while data := self.read(server):
            try:
                client.sendall(data)
            except OSError:  # the client is gone
                pass

    @staticmethod
    def read(connection):
        try:
            return connection.recv(1 << 16)
        except OSError:
            return b""

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(SECONDS_MAX)
        self.listener.close()


class Start:
    """A server on a damaged store: ready, or ended, or hanging."""

    def __init__(self, data):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [STEPDB, "serve", "--data", data, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL)
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS_MAX)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        self.port = int(match[1]) if match else None
        self.hung = not ready
        if self.hung:
            self.process.kill()
        self.status = None if self.port else self.process.wait(SECONDS_MAX)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.status = self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.hung = True
            self.process.kill()
            self.status = self.process.wait()

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Case(unittest.TestCase):
    """A directory of its own, and servers that end with the test."""

    maxDiff = 2000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="stepdb-e2e-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.data = os.path.join(self.directory, "store")
        self.server = None

    def start(self, *options, **named):
        self.server = Server(self.data, *options, **named)
        self.addCleanup(self.server.kill)
        return self.server

    def restart_after_kill(self):
        self.server.kill()
        verify(self.data)
        return self.start()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def run_stepdb(self, *arguments, environment=None):
        address = self.server.address if self.server else "127.0.0.1:1"
        return subprocess.run(
            [STEPDB, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS_MAX, cwd=self.directory,
            env={**os.environ, "STEPDB_SERVER": address, **(environment or {})})

    def stepdb(self, *arguments):
        """Runs it; it must succeed. Returns what it printed."""
        done = self.run_stepdb(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def refused(self, *arguments):
        """Runs it; it must fail, with an error in its name. Returns the error."""
        done = self.run_stepdb(*arguments)
        self.assertNotEqual(done.returncode, 0, f"{arguments}: {done.stdout}")
        self.assertRegex(done.stderr, r"^stepdb[ a-z]*: error: ")
        self.assertEqual(done.stdout, "")
        return done.stderr

    def query(self, text, *options):
        return rows_of_csv(self.stepdb("query", text, "--format", "csv", *options))
