"""The real server, killed at random moments under clients that remember what was acknowledged.

Several writers, each with a connection of its own, send numbered frames to several runs, many in
flight. Every value a frame writes is the frame's own number (plus a fixed fraction where a float64 is
wanted), and frames write the same few keys again and again. So what is read tells which frames are
in: the state of a stream (the frames of one writer to one run) must be exactly that after its first
n frames, for an n between what was acknowledged (or shown to any reader) and what was sent. A lost
frame, half a frame, two frames in the wrong order, and a frame applied twice (its resend would bring
back old values) each give another state.

After a kill a writer does what a client does: it opens its runs, resuming, and sends again what had no
outcome. Sometimes it sends again much that had, and looks at the state before it goes on.

  kill_test.py [--kills N] [--seed S]      N kills, as said
  kill_test.py --self-check                the same with each of several bugs put into a client, all of
                                           which must be found
"""

import argparse
import collections
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import wire
from kill_clients import Client, Fault, Life, Reader, Wrong, observe
from support import SECONDS_MAX, STEPDB


class Process:
    """A server process that may be killed at any time, also before it is ready."""

    def __init__(self, data, memory):
        self.started = time.monotonic()
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [STEPDB, "serve", "--data", data, "--listen", "127.0.0.1:0", "--memory", memory],
            stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL)

    def wait_ready(self):
        """The port."""
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS_MAX)
        line = self.process.stdout.readline().decode() if ready else "nothing"
        if not line.startswith("listening on "):
            raise Wrong(f"the server does not start: {line!r} {self.said()}")
        self.seconds = time.monotonic() - self.started
        return int(line.rsplit(":", 1)[1])

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def kill(self):
        self.process.kill()
        status = self.process.wait()
        self.process.stdout.close()
        if status not in (-9, 0):
            raise Wrong(f"the server ended with status {status}: {self.said()}")
        self.errors.close()


class Experiment:
    def __init__(self, directory, seed, memory, fault=None):
        self.rng = random.Random(seed)
        self.data = os.path.join(directory, "store")
        self.memory, self.fault = memory, fault
        self.clients, self.retired = [], []
        self.statistics = collections.Counter()
        self.kills = collections.Counter()
        self.seconds_to_ready = []
        self.runs = self.names = 0
        self.process = None

    def random(self):
        return random.Random(self.rng.getrandbits(64))

    def new_run(self):
        self.runs += 1
        return f"run-{self.runs}"

    def change_clients(self):
        """Processes come and go, and open new runs, some of them together."""
        while len(self.clients) < 4:
            self.names += 1
            wide = len(self.clients) == 3
            client = Client(f"w{self.names}", self.random(), self.fault)
            client.add_stream("shared" if self.rng.random() < 0.5 else self.new_run(), wide)
            if not wide:
                client.add_stream(self.new_run())
            self.clients.append(client)
        for client in self.clients[:3]:
            if self.rng.random() < 0.3 and len(client.streams) < 5:
                client.add_stream(self.new_run())

    def retire(self):
        for client in list(self.clients):
            if self.rng.random() < 0.06:
                self.clients.remove(client)
                self.retired += client.streams
                for stream in client.streams:
                    stream.settle(stream.seen_number)
                    stream.frames, stream.pending, stream.kept = [], None, None
                self.statistics.update(client.statistics)

    def life(self, kind):
        """Starts the server, checks what is there, logs, and kills it."""
        self.start()
        self.check_all(everything=False)
        if self.names:
            self.retire()
        self.change_clients()
        life = Life(self.port)
        reader = Reader(self.random())
        clients = list(self.clients)
        threads = [threading.Thread(target=client.live, args=(life,)) for client in clients]
        threads.append(threading.Thread(target=reader.live, args=(life, clients)))
        for thread in threads:
            thread.start()
        try:
            getattr(self, "wait_" + kind)(life)
        finally:
            with life.changed:
                life.killed = True
            self.process.kill()
            for thread in threads:
                thread.join()
        if life.error:
            raise life.error
        self.kills[kind] += 1
        self.statistics["acknowledged"] += life.acknowledged
        self.statistics.update(reader.statistics)

    # When to kill.
    def wait_frames(self, life):
        life.wait(acknowledged=self.rng.randint(1, 3000))

    def wait_time(self, life):
        life.wait(seconds=self.rng.uniform(0, 0.4))

    def wait_flush(self, life):
        """Into a flush: as soon as there is another segment or catalog, or a little later."""
        before = self.flush_files()
        deadline = time.monotonic() + SECONDS_MAX
        while self.flush_files() <= before:
            life.wait(seconds=0.001)
            if time.monotonic() > deadline:
                raise Wrong(f"no flush in {SECONDS_MAX} s")
        life.wait(seconds=self.rng.choice((0, 0.02, 0.1)) * self.rng.random())

    def wait_stop(self, life):
        """Into a clean stop."""
        life.wait(acknowledged=self.rng.randint(1, 1500))
        with life.changed:
            life.killed = True  # connections end from here on
        self.process.process.terminate()
        life.wait(seconds=self.rng.uniform(0, 0.1))

    def flush_files(self):
        return {name for name in os.listdir(self.data)
                if name.startswith(("segment-", "catalog-"))}

    def start(self):
        while self.rng.random() < 0.25:
            process = Process(self.data, self.memory)
            time.sleep(self.rng.uniform(0, 0.15))  # the moment of the kill
            process.kill()
            self.kills["start-up"] += 1
        self.process = Process(self.data, self.memory)
        self.port = self.process.wait_ready()
        self.seconds_to_ready.append(self.process.seconds)
        files = os.listdir(self.data)
        self.statistics["log files at once"] = max(self.statistics["log files at once"],
                                                   sum(name.startswith("log-") for name in files))
        self.statistics["segments"] = sum(name.startswith("segment-") for name in files)

    def check_all(self, everything):
        connection = wire.Connection(self.port, bytes(16))
        for client in self.clients:
            for stream in client.streams:
                needed = stream.numbers_needed()
                number = stream.check(observe(connection, stream), needed, "after a kill")
                stream.seen_number = number
                self.statistics["unacknowledged and there"] += sum(
                    stream.outcome_number < frame.number <= number for frame in stream.frames)
                self.statistics["unacknowledged and gone"] += sum(
                    frame.number > number for frame in stream.frames)
            client.check_order()
            for stream in client.streams:
                stream.settle(stream.seen_number)
        sample = self.retired if everything else self.rng.sample(self.retired,
                                                                 min(4, len(self.retired)))
        for stream in sample:
            found = observe(connection, stream)
            if found != stream.settled:
                raise Wrong(f"run {stream.run} has changed though nobody wrote to it: {found} "
                            f"was {stream.settled}")
        connection.close()

    def finish(self):
        self.start()
        self.check_all(everything=True)
        self.check_by_program()
        self.process.kill()
        for client in self.clients:
            self.statistics.update(client.statistics)

    def check_by_program(self):
        """One stream as `stepdb query` prints it."""
        stream = self.clients[0].streams[0]
        done = subprocess.run(
            [STEPDB, "query", stream.selector() + " | steps ..", "--format", "jsonl", "--server",
             f"127.0.0.1:{self.port}"], capture_output=True, text=True, timeout=SECONDS_MAX)
        if done.returncode != 0:
            if "there is no" in done.stderr:
                return
            raise Wrong(done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        found = {(row["metric"], row["step"]): row["value"] for row in rows}
        want = {key: value for key, value in stream.settled.items() if key[1] < 1000}
        if found != want:
            raise Wrong(f"run {stream.run} by `stepdb query`: {found} instead of {want}")

    def run(self, kills):
        bag = []
        while sum(self.kills.values()) < kills:
            bag = bag or self.rng.sample(["frames", "frames", "time", "time", "flush", "stop"], 6)
            self.life(bag.pop())
            if kills > 50 and sum(self.kills.values()) % 10 == 0:
                print(f"{sum(self.kills.values())} kills", file=sys.stderr, flush=True)
        self.finish()


def experiment(kills, seed, memory, fault=None):
    directory = tempfile.mkdtemp(prefix="stepdb-kill-")
    done = Experiment(directory, seed, memory, fault)
    try:
        done.run(kills)
    finally:
        if done.process and done.process.process.poll() is None:
            done.process.kill()
        shutil.rmtree(directory)
    return done


def self_check(seed, memory):
    """Every fault must be found, and be found to be wrong rather than to be refused."""
    for kind in ("old_frame_again", "lost_frame", "half_frame"):
        fault = Fault(kind, at=200)
        try:
            experiment(12, seed, memory, fault)
        except Wrong as found:
            if not fault.done:
                raise
            print(f"{kind}: found after {fault.done}: {str(found)[:300]}")
            continue
        print(f"{kind}: NOT FOUND" + ("" if fault.done else ", as it never happened"))
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--memory", default="256M")
    parser.add_argument("--self-check", action="store_true")
    options = parser.parse_args()
    seed = options.seed
    if seed is None:
        seed = int(os.environ.get("STEPDB_SEED", random.SystemRandom().getrandbits(32)))
    print(f"seed {seed}", flush=True)
    if options.self_check:
        return self_check(seed, options.memory)
    began = time.monotonic()
    done = experiment(options.kills, seed, options.memory)
    print(json.dumps({
        "seed": seed, "kills": dict(done.kills), "seconds": round(time.monotonic() - began, 1),
        "seconds to ready, most": round(max(done.seconds_to_ready), 2),
        "runs": done.runs, "writers": done.names, **done.statistics}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
