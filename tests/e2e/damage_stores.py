"""Stores with known content, and the damages that are done to their files."""

import os
import random
import re
import shutil
from array import array

import wire
from support import Server

PAGE = 4096
METRICS = [f"w/{index}" for index in range(8)]
FILLER = [f"filler/{index}" for index in range(32)]
FEW = ["loss", "lr"]


class Writer:
    """A client that writes rows of random float64 and remembers what must be read."""

    def __init__(self, port, model):
        self.connection = wire.Connection(port, os.urandom(16))
        self.model = model
        self.sent = 0
        self.handles = {}
        self.schemas = set()

    def close(self):
        self.connection.close()

    def change(self, frame):
        self.connection.send(frame)
        self.sent += 1
        self.connection.wait_for(self.sent)

    def rows(self, run, metrics, steps, values):
        if run not in self.handles:
            self.handles[run] = [len(self.handles), 0]
            self.change(wire.open_run(self.handles[run][0], "p", run))
        name = wire.schema_hash(wire.STEPPED, metrics)
        if name not in self.schemas:
            self.schemas.add(name)
            self.change(wire.schema("p", wire.STEPPED, metrics))
        handle = self.handles[run]
        handle[1] += 1
        body = wire.rows_body(handle[0], name, len(steps), steps, values=values.tobytes(),
                              layout=wire.F64)
        self.change(wire.frame(wire.ROWS, handle[1], body))
        if metrics is FILLER:
            self.model.setdefault(run, {})[FILLER[0]] = {steps[-1]: values[0]}
            return
        series = self.model.setdefault(run, {metric: {} for metric in metrics})
        for column, metric in enumerate(metrics):
            series[metric].update(zip(steps, values[column::len(metrics)]))

    def noise(self, run, metrics, rows, seed, first=0):
        draw = random.Random(seed).random
        values = array("d", (draw() for _ in range(rows * len(metrics))))
        self.rows(run, metrics, list(range(first, first + rows)), values)

    def fill_log(self, mebibytes):
        """Much log for a point a metric: rows that replace each other."""
        values = array("d", [0.25]) * (4096 * len(FILLER))
        for _ in range(mebibytes):
            self.rows("fill", FILLER, [7.0] * 4096, values)


def grown(data, model):
    """Three flushes to segments, then three lives that leave a log file each; the log file of the life before
    is live too, though all of it is in segments."""
    for life, run in enumerate("abc"):
        server = Server(data)
        writer = Writer(server.port, model)
        writer.noise(run, METRICS, 3000, run)
        writer.noise("all", FEW, 10, run, first=10 * life)
        writer.fill_log(17)
        writer.close()
        server.stop()
    for life, run in enumerate("def", 3):
        server = Server(data)
        writer = Writer(server.port, model)
        writer.noise(run, FEW, 700, run)
        writer.noise(run + "-too", ["metric-of-" + run], 50, run)
        writer.noise("all", FEW, 10, run, first=10 * life)
        writer.close()
        server.kill()


def rotated(data, model):
    """One life that went on into a second log file: the manifest's last edits name log files."""
    server = Server(data)
    writer = Writer(server.port, model)
    writer.noise("before", FEW, 100, 1)
    writer.fill_log(70)
    writer.noise("after", FEW, 100, 2)
    writer.close()
    server.kill()


def flushed(data, model):
    """A flush was the last that happened: the manifest's last edit names segment and catalog."""
    server = Server(data)
    writer = Writer(server.port, model)
    writer.noise("before", FEW, 100, 1)
    writer.fill_log(17)
    writer.close()
    server.stop()


def files_of(data, kind):
    """The files of a kind that count, oldest first."""
    names = os.listdir(data)
    if kind in ("CURRENT", "LOCK"):
        return [kind]
    found = sorted((int(name.split("-")[1]), name) for name in names
                   if re.fullmatch(kind + r"-\d+", name))
    if kind == "log":
        found = [(number, name) for number, name in found if group_ends(data, name)]
    return [name for _, name in found]


def group_ends(data, name):
    """Offsets of the log groups that were written, and the end of the last one."""
    offsets = []
    with open(os.path.join(data, name), "rb") as file:
        header = file.read(PAGE)
        at = PAGE
        while True:
            file.seek(at)
            head = file.read(64)
            length = int.from_bytes(head[4:8], "little")
            if head[:4] != b"STBG" or head[8:16] != header[48:56]:
                return offsets + [at] if offsets else []
            offsets.append(at)
            at += length


# --- damages -----------------------------------------------------------------------------------


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def written_end(path):
    """One behind the last byte that is not zero."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def flip_header(path):
    flip(path, 40)


def flip_body(path):
    flip(path, min(PAGE + 20, os.path.getsize(path) // 2))


def flip_middle(path):
    flip(path, (written_end(path) + PAGE) // 2 if written_end(path) > PAGE else
         written_end(path) // 2)


def flip_end(path):
    flip(path, max(0, written_end(path) - 10))


def flip_footer(path):
    flip(path, os.path.getsize(path) - PAGE + 40)


def flip_index(path):
    with open(path, "rb") as file:
        file.seek(-PAGE + 32, os.SEEK_END)
        offset = int.from_bytes(file.read(8), "little")
    flip(path, offset + 10)


def flip_first_group(path):
    flip(path, PAGE + 200)


def flip_middle_group(path):
    offsets = group_ends(os.path.dirname(path), os.path.basename(path))
    flip(path, offsets[len(offsets) // 2 - 1] + 100)


def flip_last_group(path):
    flip(path, group_ends(os.path.dirname(path), os.path.basename(path))[-2] + 100)


def cut_in_half(path):
    os.truncate(path, written_end(path) // 2)


def empty(path):
    os.truncate(path, 0)


def remove(path):
    os.remove(path)


def garbage(path):
    with open(path, "r+b") as file:
        file.write(b"no file of ours\n" * (max(PAGE, os.path.getsize(path)) // 16))


def replace_by_sibling(path):
    """Another file of the same kind under this name: everything in it is whole, but misplaced."""
    kind = os.path.basename(path).split("-")[0]
    names = files_of(os.path.dirname(path), kind)
    other = names[names.index(os.path.basename(path)) - 1]
    os.remove(path)
    shutil.copyfile(os.path.join(os.path.dirname(path), other), path)


def directory_instead(path):
    os.remove(path)
    os.mkdir(path)
