"""Fills a store with what the tests and the bench of the page look at, through `stepdb` itself."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPIKE = 123_457  # the only step of spike/long at which `signal` is not near 0
LONG = 200_000
HOSTILE_METRIC = "<img src=x onerror=window.hacked=1>"
HOSTILE_VALUE = "<script>window.hacked=2</script>"


def stepdb(program, address, *arguments):
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**os.environ, "STEPDB_SERVER": address})
    if done.returncode != 0:
        raise AssertionError(f"stepdb {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def write_long(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("step,signal\n")
        file.writelines(f"{step},{1000 if step == SPIKE else step % 7 / 1000}\n"
                        for step in range(LONG))


def fill_fleet(program, address, runs, metrics):
    """Runs of the load of `stepdb bench`: 20 steps or more of each, NaN and spikes among them."""
    stepdb(program, address, "bench", "ingest", "--server", address, "--project", "fleet",
           "--runs", str(runs), "--metrics", str(metrics), "--rows-per-frame", "20",
           "--warm-up", "0", "--seconds", "2", "--rate", str(10 * runs * metrics))


def fill(program, address, directory):
    fill_fleet(program, address, 1000, 100)
    long = os.path.join(directory, "long.csv")
    write_long(long)
    stepdb(program, address, "import", "csv", long, "--project", "spike", "--run", "long")
    stepdb(program, address, "import", "jsonl", os.path.join(ROOT, "examples", "logs", "sweep"),
           "--project", "sweep", "--finish")
    hostile = ("--project", "hostile", "--run", "<b>run<b>")
    stepdb(program, address, "log", *hostile, "--step", "1", f"{HOSTILE_METRIC}=1")
    stepdb(program, address, "set", f"hostile/{hostile[3]}", f"config/note={HOSTILE_VALUE}",
           f"config/{HOSTILE_METRIC}=1")
