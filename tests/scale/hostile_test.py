"""What hostile clients cost the others: a polite client asks for charts and logs rows, each a hundred
times a second, alone and then beside each kind of attack.

  hostile_test.py                     each attack for a short while (as a test)
  hostile_test.py --seconds 4         the figures of RESULTS.md
  hostile_test.py ATTACK...           these alone

Attacks:
  drip       200 connections that send a byte of their hello every 50 ms
  silent     2,000 connections that say hello and nothing more
  bombs      LZ4 of rows that does not unpack to what it declares, or declares too much
  greedy     rows that unpack to 255 times their size, each frame as soon as the last is taken
  lengths    frames that declare 4 GiB, a connection each
  garbage    random bytes, a connection each
  flood      connections from one address as fast as they can be made, up to 10,000
  regexes    regexes of nested repetitions over 10,000 metrics, again and again
  burning    four connections that each ask for what takes seconds, again and again

What fails is an answer that is wrong, a row that is refused or lost, a polite client that is cut off
or a store that is not sound afterwards. How long the polite client waits is reported: the aim is a
p99 below twice that without an attack.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import socket
import struct
import sys
import tempfile
import time
from array import array

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from support import SECONDS_MAX, Server  # noqa: E402

ROWS, METRICS, MANY = 20_000, 20, 10_000
PERIOD = 0.01
BEFORE = 2  # changing frames before the first with rows: schema and open_run
# Of whole numbers all of these are exact, however the points lie in pieces.
CHART = "m/0 @ polite/r | buckets 200 count, min, min_x, max, max_x, mean, first, last"
STRANGER = "127.0.0.2"  # whose connections count as another's


def names(count):
    return [f"m/{metric}" for metric in range(count)]


def connect_raw(port):
    client = socket.socket()
    client.settimeout(SECONDS_MAX)
    client.bind((STRANGER, 0))
    client.connect(("127.0.0.1", port))
    return client


def hello(name):
    return wire.frame(wire.HELLO, 0, struct.pack("<IQ16s", 1, 0, name) + wire.text("") +
                      wire.text("hostile"))


def store_run(port, project, metrics, rows):
    """A run of whole numbers, exact as float32."""
    connection = wire.Connection(port, os.urandom(16))
    columns = names(metrics)
    schema = wire.schema_hash(wire.STEPPED, columns)
    connection.send(wire.schema(project, wire.STEPPED, columns),
                    wire.open_run(1, project, "r"))
    number, per_frame = 0, max(1, 200_000 // metrics)
    for begin in range(0, rows, per_frame):
        steps = list(range(begin, min(begin + per_frame, rows)))
        values = array("f", (step % 1000 for step in steps for _ in range(metrics)))
        number += 1
        connection.send(wire.frame(wire.ROWS, number, wire.rows_body(
            1, schema, len(steps), steps, None, values.tobytes())))
    connection.wait_for(number + BEFORE)
    connection.close()


# --- attacks: each runs in a process of its own until `stop`, and counts what it did -------------


def drip(port, stop, count):
    clients = [connect_raw(port) for _ in range(200)]
    words = hello(b"drip" * 4)
    at = 0
    while not stop.wait(0.05):
        for client in clients:
            client.sendall(words[at % 8:at % 8 + 1])  # of the header, again and again
            count.value += 1
        at += 1
        if at == 8:  # a whole header is checked: begin anew
            for client in clients:
                client.close()
            clients = [connect_raw(port) for _ in range(200)]
            at = 0


def silent(port, stop, count):
    clients = []
    for _ in range(2000):
        client = connect_raw(port)
        client.sendall(hello(os.urandom(16)))
        clients.append(client)
        count.value += 1
        if stop.is_set():
            return
    stop.wait()


def each_connection(make):
    """An attack that is one connection after the other, each refused by an error."""
    def attack(port, stop, count):
        chance = random.Random(1)
        while not stop.is_set():
            client = connect_raw(port)
            try:
                client.sendall(make(chance))
                while client.recv(1 << 16):
                    pass
            except OSError:
                pass  # it has closed already
            client.close()
            count.value += 1
    return attack


lengths = each_connection(lambda chance: struct.pack("<IBBBBQQ", 0xFFFFFFFF, 1, wire.ROWS,
                                                     wire.CRC32, 0, 0, 1))
# Never a length that is to be waited for.
garbage = each_connection(lambda chance: b"\xff\xff\xff\xff" + chance.randbytes(4096))


def lz4_of_zeros(count):
    """A block that unpacks to `count` zero bytes: one, a match of it with the rest, five at the end."""
    length = count - 6 - 4 - 15
    return (b"\x1f\0" + struct.pack("<H", 1) + b"\xff" * (length // 255) +
            bytes([length % 255]) + b"\x50" + bytes(5))


def open_hostile(port, run):
    connection = wire.Connection(port, os.urandom(16))
    columns = names(METRICS)
    connection.send(wire.schema("hostile", wire.STEPPED, columns),
                    wire.open_run(1, "hostile", run))
    return connection, wire.schema_hash(wire.STEPPED, columns)


def bombs(port, stop, count):
    connection, schema = open_hostile(port, "bombs")
    rows = 40_000
    raw = rows * (8 + 4 * METRICS)
    packed = lz4_of_zeros(raw)
    # More than it unpacks to, less, more than 255 times its size, more than a frame has.
    declared = (raw + 8, raw - 8, 300 * len(packed), 1 << 31)
    ordinal = BEFORE
    while not stop.is_set():
        head = struct.pack("<II16sIBBBB", 1, 0, schema, rows, 1, wire.F32, 1, 0)
        connection.send(wire.frame(wire.ROWS, ordinal - BEFORE + 1, head + struct.pack(
            "<II", declared[count.value % len(declared)], 0) + packed))
        ordinal += 1
        try:
            connection.wait_for(ordinal)
            raise AssertionError("a bomb was taken")
        except wire.Refused:
            count.value += 1
    connection.close()


def greedy(port, stop, count):
    """A million values a frame, in a few kilobytes, as fast as they are taken."""
    connection, schema = open_hostile(port, "greedy")
    rows = 50_000
    raw = rows * (8 + 4 * METRICS)
    body = struct.pack("<II16sIBBBBII", 1, 0, schema, rows, 1, wire.F32, 1, 0, raw, 0) + lz4_of_zeros(raw)
    number = 0
    while not stop.is_set():
        number += 1
        connection.send(wire.frame(wire.ROWS, number, body))
        connection.wait_for(number + BEFORE)
        count.value += 1
    connection.close()


def flood(port, stop, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + 200 if hard == resource.RLIM_INFINITY else min(MANY + 200, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    clients = []
    while not stop.is_set():
        if len(clients) >= wanted - 200:
            for client in clients:
                client.close()
            clients = []
        try:
            clients.append(connect_raw(port))
        except OSError:
            continue  # no port is free: those of the last round linger
        count.value += 1


def asker(*queries):
    def attack(port, stop, count):
        connection = wire.Connection(port, os.urandom(16))
        while not stop.is_set():
            for text in queries:
                try:
                    connection.ask(text, parse=False)
                except wire.Refused:
                    pass
                count.value += 1
        connection.close()
    return attack


regexes = asker("metrics /^(m|[0-9]|\\/)*(([0-9]+)+)+x$/ @ wide/r | limit 5",
                "metrics /(((m?){1,30}){1,30})x/ @ wide/r | limit 5",
                "metrics /(.*.*.*.*.*.*x){8}/ @ wide/r | limit 5")
burning = asker("** @ polite/r | buckets 10k | group by run mean, p95, std",
                "** @ polite/r | sort value desc | limit 10")

# How many processes at once.
ATTACKS = {"drip": (drip, 1), "silent": (silent, 1), "bombs": (bombs, 2), "greedy": (greedy, 1),
           "lengths": (lengths, 1),
           "garbage": (garbage, 1), "flood": (flood, 1), "regexes": (regexes, 2),
           "burning": (burning, 4)}


# --- who must not notice ------------------------------------------------------------------------


class Polite:
    """Charts of one connection, rows of another, each answered before the next is due or not."""

    def __init__(self, port):
        self.reader = wire.Connection(port, bytes(16))
        self.writer = wire.Connection(port, os.urandom(16))
        self.schema = wire.schema_hash(wire.STEPPED, names(METRICS))
        self.writer.send(wire.schema("polite", wire.STEPPED, names(METRICS)),
                         wire.open_run(1, "polite", "log"))
        self.expected = self.reader.ask(CHART, parse=False).blocks
        self.rows = 0

    def live(self, seconds):
        """Latencies of charts and of rows, in ms."""
        charts, rows = [], []
        begin = due = time.perf_counter()
        while due < begin + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            due += PERIOD
            since = time.perf_counter()
            blocks = self.reader.ask(CHART, parse=False).blocks
            charts.append((time.perf_counter() - since) * 1e3)
            assert blocks == self.expected, "another answer"
            since = time.perf_counter()
            self.rows += 1
            self.writer.send(wire.rows(self.rows, 1, self.schema, [self.rows], [1.0] * METRICS))
            self.writer.wait_for(self.rows + BEFORE)
            rows.append((time.perf_counter() - since) * 1e3)
        return charts, rows

    def check(self):
        [counted] = self.reader.ask("m/0 @ polite/log | summary")["count"]
        assert counted == self.rows, (counted, self.rows)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def from_afar(attack, port, stop, count):
    """An attacker has a machine of its own: here it gets what the server and the polite leave it."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    attack(port, stop, count)


def be_on_another_machine():
    """So has the polite client: what it waits for is the server, and not a processor for itself."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        print("no right to be scheduled first: some of what follows is the wait for that",
              file=sys.stderr)


def measure(polite, port, name, seconds):
    attack, processes = ATTACKS[name]
    quiet = polite.live(seconds)
    stop, count = multiprocessing.Event(), multiprocessing.Value("q", 0)
    attackers = [multiprocessing.Process(target=from_afar, args=(attack, port, stop, count), daemon=True)
                 for _ in range(processes)]
    for attacker in attackers:
        attacker.start()
    while count.value == 0:  # it is under way
        assert any(attacker.is_alive() for attacker in attackers), f"{name} does not attack"
        time.sleep(0.001)
    beside = polite.live(seconds)
    stop.set()
    for attacker in attackers:
        attacker.join()
        assert attacker.exitcode == 0, f"{name} ended with {attacker.exitcode}"
    polite.check()
    figures = {"attack": name, "done": count.value}
    for what, alone, then in zip(("chart", "ack"), quiet, beside):
        for share, key in ((0.5, "p50"), (0.99, "p99")):
            figures[f"{what}_{key}_ms"] = [round(percentile(alone, share), 2),
                                           round(percentile(then, share), 2)]
        figures[f"{what}_ratio"] = round(percentile(then, 0.99) / percentile(alone, 0.99), 2)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    data = tempfile.mkdtemp(prefix="stepdb-hostile-")
    try:
        server = Server(os.path.join(data, "store"), "--memory", "512M")
        store_run(server.port, "polite", METRICS, ROWS)
        store_run(server.port, "wide", 10_000, 10)
        be_on_another_machine()
        polite = Polite(server.port)
        polite.live(options.seconds)
        for name in options.attacks or ATTACKS:
            print(json.dumps(measure(polite, server.port, name, options.seconds)), flush=True)
        server.stop()  # verifies
    finally:
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
