"""What logging from Python costs the one who logs.

    bench/python/overhead.py [--server HOST:PORT] [--rounds N]

  call      microseconds that `Run.log` of a dict of W floats takes, for several W, and of 1,000 0-d
            tensors
  pace      rows of 10,000 metrics, 100 a second: how late steps begin, and how far the server is
            behind at the end
  rate      the same as fast as they can be logged
  step      a step of a training with a row of 100 metrics logged and without, in blocks of 25 steps
            in turn, so that what threads do behind a logged step counts with it: the ratio of the
            medians. `plain` is a matrix product in plain Python, which holds the interpreter's lock
            all the time; `torch` a small network in PyTorch, where there is one

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

try:
    import torch
except ImportError:
    torch = None

BLOCK_STEPS = 25
PACE = 100  # rows a second


def row_of(width, step):
    return {f"layers/{metric}/norm": step * 1.1 + metric for metric in range(width)}


def measure_call(run, make_row, rounds):
    taken = []
    for step in range(rounds):
        row = make_row(step)
        begin = time.perf_counter()
        run.log(row, step=step)
        taken.append((time.perf_counter() - begin) * 1e6)
        time.sleep(0.002)  # a step of the training
    run.flush()
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def measure_pace(run, rows):
    """How late a step began at worst, and how long the server still took after the last one."""
    logged = [row_of(10_000, step) for step in range(20)]
    begin = time.perf_counter()
    late = 0.0
    for step in range(rows):
        wait = begin + step / PACE - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        late = max(late, -wait)
        run.log(logged[step % 20], step=step)
    end = time.perf_counter()
    run.flush()
    return late, time.perf_counter() - end


def measure_rate(run, rows):
    logged = [row_of(10_000, step) for step in range(20)]
    begin = time.perf_counter()
    for step in range(rows):
        run.log(logged[step % 20], step=step)
    handed_over = time.perf_counter() - begin
    run.flush()
    return rows / handed_over, rows / (time.perf_counter() - begin)


def plain_step(size=64):
    left = [[float(i * j % 7) for j in range(size)] for i in range(size)]
    columns = list(zip(*left))

    def step():
        return sum(sum(a * b for a, b in zip(row, column)) for row in left for column in columns)
    return step


def torch_step():
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(),
                                torch.nn.Linear(512, 512), torch.nn.ReLU(),
                                torch.nn.Linear(512, 10))
    optimizer = torch.optim.AdamW(model.parameters())
    x, y = torch.randn(128, 256), torch.randint(10, (128,))

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return step


def measure_step(run, train, blocks):
    row = row_of(100, 1)
    taken = {False: [], True: []}
    step = 0
    for block in range(2 * blocks + 2):
        logs = block % 2 == 1
        begin = time.perf_counter()
        for _ in range(BLOCK_STEPS):
            train()
            if logs:
                run.log(row, step=step)
            step += 1
        if block >= 2:  # the first of each kind warm up
            taken[logs].append((time.perf_counter() - begin) / BLOCK_STEPS)
        run.flush()  # nothing of it is left for the next block
    return statistics.median(taken[True]), statistics.median(taken[False])


def tell_calls(run, rounds):
    kinds = [(f"{width:6,} floats ", width, lambda step, width=width: row_of(width, step))
             for width in (1, 10, 100, 1000, 10_000)]
    if torch is not None:
        kinds.append((" 1,000 tensors", 1000, lambda step: {
            f"layers/{metric}/norm": torch.tensor(step + metric / 7) for metric in range(1000)}))
    for name, width, make_row in kinds:
        with run(f"call-{name.strip().replace(' ', '-').replace(',', '')}") as one:
            median, slow = measure_call(one, make_row, rounds)
        print(f"call   {name}: {median:8.1f} us, {median / width:6.3f} a metric; "
              f"p99 {slow:8.1f} us", flush=True)


def measure(server, rounds):
    with tempfile.TemporaryDirectory(prefix="stepdb-overhead-") as spool:
        def run(name):
            return stepdb.Run("overhead", name, server=server, spool=spool)
        tell_calls(run, rounds)
        with run("pace") as one:
            late, behind = measure_pace(one, 5 * rounds)
        print(f"pace   {5 * rounds:,} rows of 10,000 metrics, {PACE} a second: steps at most "
              f"{late * 1e3:.1f} ms late, stored {behind * 1e3:.0f} ms after the last", flush=True)
        with run("rate") as one:
            handed, stored = measure_rate(one, 10 * rounds)
        print(f"rate   10,000 metrics: {stored:.0f} rows/s stored, handed over at {handed:.0f}",
              flush=True)
        steps = {"plain": plain_step()}
        if torch is not None:
            steps["torch"] = torch_step()
        for name, train in steps.items():
            with run(f"step-{name}") as one:
                logged, bare = measure_step(one, train, max(4, rounds // 5))
            print(f"step   {name}: {bare * 1e3:.3f} ms without, {logged * 1e3:.3f} ms with a row "
                  f"of 100: {(logged / bare - 1) * 100:+.2f} %", flush=True)


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
