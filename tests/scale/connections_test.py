"""Many connections that are open and idle: what each of them costs the server in memory.

  connections_test.py                    500 connections (as a test)
  connections_test.py --connections N    N of them, such as 10000; needs as many descriptors

First all say hello and wait. Then each opens a run of its own, sends a row, and waits again: what the
server then has beside the rows and the catalog, as it counts them, is the connections' again.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import wire  # noqa: E402
from support import Server  # noqa: E402

BYTES_MAX = 4096
MANY = 10_000  # with fewer, log buffers and the like are much beside what sends rows
METRICS = [f"m{index}" for index in range(10)]


def memory_bytes(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS of the server")


def counted_bytes(reader):
    answer = reader.ask("stats")
    facts = dict(zip(answer["what"], answer["value"]))
    return facts["rows in memory bytes"] + facts["resident bytes"]


def measure(server, count):
    reader = wire.Connection(server.port, bytes(16))
    counted_bytes(reader)  # whatever the first query needs is there
    at_first = memory_bytes(server)
    connections = [wire.Connection(server.port, os.urandom(16)) for _ in range(count)]
    said_hello = memory_bytes(server)
    counted = counted_bytes(reader)

    schema = wire.schema_hash(wire.STEPPED, METRICS)
    connections[0].send(wire.schema("p", wire.STEPPED, METRICS))
    connections[0].wait_for(1)
    for number, connection in enumerate(connections):
        connection.send(wire.open_run(1, "p", f"run-{number:05}"),
                        wire.rows(1, 1, schema, [0], [0.5] * len(METRICS)))
    for number, connection in enumerate(connections):
        connection.wait_for(3 if number == 0 else 2)
    sent = memory_bytes(server)
    rows = counted_bytes(reader) - counted
    answer = reader.ask("m3 @ p/* | buckets 1 count")
    assert sum(answer["count"]) == count, (sum(answer["count"]), count)
    for connection in connections:
        connection.close()
    reader.close()
    return {"after hello": (said_hello - at_first) / count,
            "with an open run, beside its rows": (sent - at_first - rows) / count,
            "with its rows and run": (sent - at_first) / count}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--memory", default="1G", help="--memory of the server [1G]")
    parser.add_argument("--report-only", dest="memory_judged", action="store_false",
                        help="do not fail if they take much, as under a sanitizer")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="stepdb-connections-")
    server = None
    try:
        server = Server(os.path.join(directory, "store"), "--memory", options.memory)
        began = time.monotonic()
        figures = measure(server, options.connections)
        print(f"{options.connections} connections, {time.monotonic() - began:.1f} s")
        for what, value in figures.items():
            print(f"  {what:36} {value:8.0f} bytes a connection")
        server.stop()
        server = None
    finally:
        if server:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(directory, ignore_errors=True)
    judged = list(figures)[:2 if options.connections >= MANY else 1]
    if options.memory_judged and any(figures[what] > BYTES_MAX for what in judged):
        sys.exit(f"an idle connection takes more than {BYTES_MAX} bytes")


if __name__ == "__main__":
    main()
