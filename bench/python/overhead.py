"""What logging from Python costs the one who logs.

    bench/python/overhead.py [--server HOST:PORT] [--rounds N]

  call      microseconds that `Run.log` of a dict of W floats takes, for several W
  rate      rows of 10,000 metrics a second from one process until the server has all of them
  step      a step of a training (a matrix product in plain Python, some 20 ms) with a row of 100
            metrics logged and without, in turn: the ratio of the medians

Without --server it starts one of its own (STEPDB_BIN, else build/release/bin/stepdb).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "clients", "python"))
import stepdb  # noqa: E402


def row_of(width, step):
    return {f"layers/{metric}/norm": step * 1.1 + metric for metric in range(width)}


def measure_call(run, width, rounds):
    taken = []
    for step in range(rounds):
        row = row_of(width, step)
        begin = time.perf_counter()
        run.log(row, step=step)
        taken.append((time.perf_counter() - begin) * 1e6)
        time.sleep(0.002)  # a step of the training
    run.flush()
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def measure_rate(run, rows):
    logged = [row_of(10_000, step) for step in range(20)]
    begin = time.perf_counter()
    for step in range(rows):
        run.log(logged[step % 20], step=step)
    handed_over = time.perf_counter() - begin
    run.flush()
    return rows / handed_over, rows / (time.perf_counter() - begin)


def train_one_step(size=64):
    left = [[float(i * j % 7) for j in range(size)] for i in range(size)]
    columns = list(zip(*left))
    return sum(sum(a * b for a, b in zip(row, column)) for row in left for column in columns)


def measure_step(run, rounds):
    row = row_of(100, 1)
    taken = {False: [], True: []}
    for step in range(2 * rounds):
        logs = step % 2 == 1
        begin = time.perf_counter()
        train_one_step()
        if logs:
            run.log(row, step=step)
        taken[logs].append(time.perf_counter() - begin)
    run.flush()
    return statistics.median(taken[True]), statistics.median(taken[False])


def measure(server, rounds):
    with tempfile.TemporaryDirectory(prefix="stepdb-overhead-") as spool:
        def run(name):
            return stepdb.Run("overhead", name, server=server, spool=spool)
        for width in (1, 10, 100, 1000, 10_000):
            with run(f"call-{width}") as one:
                median, slow = measure_call(one, width, rounds)
            print(f"call   {width:6,} metrics: {median:8.1f} us, {median / width:6.3f} a metric; "
                  f"p99 {slow:8.1f} us", flush=True)
        with run("rate") as one:
            handed, stored = measure_rate(one, 10 * rounds)
        print(f"rate   10,000 metrics: {stored:.0f} rows/s stored, handed over at {handed:.0f}",
              flush=True)
        with run("step") as one:
            logged, plain = measure_step(one, rounds)
        print(f"step   {plain * 1e3:.2f} ms without, {logged * 1e3:.2f} ms with a row of 100: "
              f"{(logged / plain - 1) * 100:+.2f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    if options.server:
        return measure(options.server, options.rounds)
    binary = os.environ.get("STEPDB_BIN", os.path.join(ROOT, "build", "release", "bin", "stepdb"))
    with tempfile.TemporaryDirectory(prefix="stepdb-overhead-") as data:
        server = subprocess.Popen([binary, "serve", "--data", os.path.join(data, "store"),
                                   "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            measure(server.stdout.readline().split()[-1], options.rounds)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
