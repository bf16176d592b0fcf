"""What becomes of a store when a file of it is damaged, emptied, cut or lost.

For every kind of file and every kind of damage the server starts on a damaged copy of a store whose
content is known. Allowed is to serve, with every query that needs the damaged thing failing by an
error that names the file, or to refuse to start with such an error where not even that is possible.
Never allowed: a crash, a hang, an error that names nothing, an answer that is short without anybody
saying so, and that a run that has nothing to do with the damage is not read exactly.

`--table` prints what was observed in every cell.
"""

import argparse
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from array import array

import wire
from support import SECONDS_MAX, STEPDB, Case, Server

PAGE = 4096
METRICS = [f"w/{index}" for index in range(8)]
FILLER = [f"filler/{index}" for index in range(32)]
FEW = ["loss", "lr"]
EXHAUSTED = 5


# --- stores with known content -----------------------------------------------------------------


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
    """Three segments, then three lives that leave a log file each; the log file of the life before
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


class Cell:
    """One damage: to which file of which store, and the runs it has nothing to do with."""

    def __init__(self, store, kind, index, damage, unharmed, may_refuse=False, harmless=False):
        self.store, self.kind, self.index, self.damage = store, kind, index, damage
        self.unharmed = unharmed.split()
        self.may_refuse = may_refuse  # not to start, by an error that names the file, is right
        self.harmless = harmless  # everything must be read and written as if nothing had happened

    def name(self):
        return f"{self.store.__name__} {self.kind}[{self.index}] {self.damage.__name__}"


def cells():
    logs = "d d-too e e-too f f-too"
    table = []
    for damage in (flip_header, flip_body, flip_middle, flip_index, flip_footer, flip_end,
                   cut_in_half, empty, remove, garbage, replace_by_sibling):
        table.append(Cell(grown, "segment", 1, damage, "a c " + logs))
    for damage in (flip_header, flip_body, flip_middle, flip_end, cut_in_half, empty, remove,
                   garbage):
        table.append(Cell(grown, "catalog", -1, damage, "a b c all fill " + logs))
        table.append(Cell(grown, "manifest", -1, damage, "a b c all fill " + logs))
        table.append(Cell(flushed, "manifest", -1, damage, "before fill"))
        table.append(Cell(rotated, "manifest", -1, damage, "before fill after"))
    for damage in (flip_header, flip_first_group, flip_middle_group, flip_last_group, cut_in_half,
                   empty, remove, garbage, replace_by_sibling):
        # The first live log is that of the life whose flush was the last: all of it is in segments.
        table.append(Cell(grown, "log", 0, damage, "a b c all fill " + logs))
        table.append(Cell(grown, "log", 1, damage, "a b c"))
        table.append(Cell(grown, "log", 2, damage, "a b c d d-too"))
        table.append(Cell(grown, "log", 3, damage, "a b c d d-too e e-too"))
        table.append(Cell(rotated, "log", 0, damage, ""))
        table.append(Cell(rotated, "log", 1, damage, "before"))
    for damage in (flip_middle, flip_end, empty, remove, garbage, directory_instead):
        table.append(Cell(grown, "CURRENT", 0, damage, "a b c all fill " + logs))
        table.append(Cell(rotated, "CURRENT", 0, damage, "before fill after"))
    for damage in (remove, garbage):
        table.append(Cell(grown, "LOCK", 0, damage, "a b c all fill " + logs, harmless=True))
    table.append(Cell(grown, "LOCK", 0, directory_instead, "", may_refuse=True))
    return table


# --- observing ---------------------------------------------------------------------------------


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


def series_of(model):
    return [(run, metric) for run in sorted(model) for metric in model[run]]


def answers(connection, model):
    """What is answered for every series: the bytes of a chart and of its first points, or an error."""
    found = {}
    for run, metric in series_of(model):
        parts = []
        for stages in ("buckets 50", "first 20"):
            try:
                answer = connection.ask(f"{metric} @ p/{run} | {stages}", parse=False)
                parts.append((b"".join(answer.blocks), answer.notes))
            except wire.Refused as error:
                parts.append(error.message)
        found[run, metric] = parts
    return found


class Life:
    """What one start on a store showed."""

    def __init__(self, data, reference, model, file_name, write=True):
        self.right, self.named, self.unnamed, self.silent = set(), {}, {}, {}
        self.write = "-"
        start = Start(data)
        try:
            self.served = start.port is not None
            if self.served:
                try:
                    self.look(start, reference, model, file_name)
                    if write:
                        self.write = self.try_to_write(start)
                    start.stop()
                except (EOFError, OSError) as error:
                    self.write = f"CONNECTION LOST: {error!r}"
                    start.stop()
            self.status, self.said, self.hung = start.status, start.said(), start.hung
        finally:
            start.close()

    def look(self, start, reference, model, file_name):
        connection = wire.Connection(start.port, bytes(16))
        for series, parts in answers(connection, model).items():
            run = series[0]
            for part, want in zip(parts, reference[series]):
                if part == want:
                    self.right.add(run)
                elif isinstance(part, str):
                    where = self.named if file_name in part else self.unnamed
                    where.setdefault(run, part)
                else:
                    self.silent.setdefault(run, f"{series[1]}: notes {part[1]}")
        self.right -= set(self.named) | set(self.unnamed) | set(self.silent)
        connection.close()

    def try_to_write(self, start):
        writer = Writer(start.port, {})
        try:
            writer.rows("new", FEW, [1.0], array("d", [1, 2]))
            return "taken"
        except wire.Refused as error:
            return f"refused: {error.message}"
        finally:
            writer.close()

    def crashed(self):
        return self.hung or self.status not in (0, 1) or "CONNECTION LOST" in self.write


class Stores:
    """Each store is made once, and checked against what was written before it serves as reference."""

    def __init__(self, directory):
        self.directory = directory
        self.made = {}

    def get(self, builder):
        if builder not in self.made:
            data, model = os.path.join(self.directory, builder.__name__), {}
            builder(data, model)
            pristine = data + "-pristine"
            copy_store(data, pristine)
            start = Start(data)
            connection = wire.Connection(start.port, bytes(16))
            for run, metric in series_of(model):
                answer = connection.ask(f"{metric} @ p/{run}")
                want = sorted(model[run][metric].items())
                assert list(zip(answer["step"], answer["value"])) == want, (run, metric)
            reference = answers(connection, model)
            connection.close()
            start.close()
            shutil.rmtree(data)
            self.made[builder] = (pristine, model, reference)
        return self.made[builder]


def copy_store(data, to):
    subprocess.run(["cp", "-r", "--sparse=always", data, to], check=True)


class Outcome:
    def __init__(self, cell, stores):
        pristine, model, reference = stores.get(cell.store)
        self.cell = cell
        copy = os.path.join(stores.directory, "damaged")
        copy_store(pristine, copy)
        try:
            self.file_name = files_of(copy, cell.kind)[cell.index]
            cell.damage(os.path.join(copy, self.file_name))
            first = Life(copy, reference, model, self.file_name)
            second = Life(copy, reference, model, self.file_name, write=False)
        finally:
            shutil.rmtree(copy)
        self.lives = [first, second]
        self.runs = set(model)

    def complaints(self):
        """What of this is not as it must be."""
        found = []
        named_before = False
        for number, life in enumerate(self.lives, 1):
            named = named_before = named_before or self.file_name in life.said
            if life.crashed():
                found.append(f"life {number}: crash or hang, status {life.status}, {life.write}")
            if not life.served:
                if self.file_name not in life.said:
                    found.append(f"life {number}: refused without naming {self.file_name}")
                if not self.cell.may_refuse:
                    found.append(f"life {number}: does not start")
                continue
            if life.unnamed and not named:
                found.append(f"life {number}: errors that do not name {self.file_name}: "
                             f"{life.unnamed}")
            if life.silent and not named:
                found.append(f"life {number}: SILENT LOSS in {life.silent}")
            harmed = set(self.cell.unharmed) - life.right
            if harmed:
                found.append(f"life {number}: unharmed runs not read right: {sorted(harmed)}")
        if self.cell.harmless:
            first = self.lives[0]
            if first.right != self.runs or first.write != "taken":
                found.append("a harmless damage did harm")
        return found

    def table_row(self):
        lines = [f"{self.cell.name()}  ({self.file_name})"]
        for number, life in enumerate(self.lives, 1):
            state = "serves" if life.served else "REFUSES TO START"
            lines.append(f"  life {number}: {state}, exit {life.status}; right {len(life.right)}/"
                         f"{len(self.runs)} runs, error named {sorted(life.named)}, error unnamed "
                         f"{sorted(life.unnamed)}, different {sorted(life.silent)}; write "
                         f"{life.write}")
            said = [line for line in life.said.splitlines()
                    if "error" in line or "damage" in line or "dropped" in line or
                    self.file_name in line]
            lines += ["      stderr: " + line.strip() for line in said]
            for what in (life.named, life.unnamed, life.silent):
                for run, message in list(what.items())[:1]:
                    lines.append(f"      query {run}: {message}")
        lines += ["  !! " + complaint for complaint in self.complaints()]
        return "\n".join(lines)


class DamageTest(unittest.TestCase):
    def test_every_damage_to_every_kind_of_file(self):
        with tempfile.TemporaryDirectory(prefix="stepdb-damage-") as directory:
            stores = Stores(directory)
            for cell in cells():
                with self.subTest(cell.name()):
                    outcome = Outcome(cell, stores)
                    self.assertEqual(outcome.complaints(), [], outcome.table_row())


class Mount:
    """A small file system of its own, or a directory bound read-only; needs root."""

    def __init__(self, case, where, *options, source="none"):
        self.where = where
        os.makedirs(where, exist_ok=True)
        done = subprocess.run(["mount", *options, source, where], capture_output=True, text=True)
        if done.returncode != 0:
            case.skipTest(f"mounting needs rights this user has not: {done.stderr.strip()}")
        case.addCleanup(self.unmount)

    def unmount(self):
        subprocess.run(["umount", self.where], check=True)


class SurroundingsTest(Case):
    """Nothing is damaged, but the directory is not as a server needs it."""

    def serve_refused(self, data):
        start = Start(data)
        self.addCleanup(start.close)
        self.assertEqual((start.port, start.status), (None, 1), start.said())
        self.assertIn("stepdb serve: error: ", start.said())
        self.assertIn(data, start.said())
        return start.said()

    def test_a_store_in_use(self):
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "loss=2")
        self.assertIn("another process", self.serve_refused(self.data))
        error = self.refused("query", "loss @ p/r", "--data", self.data)
        self.assertIn("another process", error)
        self.assertIn("--server", error)
        self.assertEqual(self.query("loss @ p/r")[0]["value"], "2")

    def test_a_file_where_the_directory_should_be(self):
        path = self.write("file", "x")
        self.serve_refused(path)
        self.assertIn(path, self.refused("query", "runs", "--data", path))

    def test_a_read_only_directory(self):
        model = {}
        flushed(self.data, model)
        Mount(self, self.data, "--bind", source=self.data)
        subprocess.run(["mount", "-o", "remount,ro,bind", self.data], check=True)
        self.assertIn("Read-only", self.serve_refused(self.data))
        self.assertIn("Read-only", self.serve_refused(os.path.join(self.data, "new")))
        answer = self.query("loss @ p/before", "--data", self.data)
        self.assertEqual({float(row["step"]): float(row["value"]) for row in answer},
                         model["before"]["loss"])


class FullDiskTest(Case):
    """On a disk of 240 MiB: a log file has 64."""

    BALLAST = 72

    def setUp(self):
        super().setUp()
        disk = self.path("disk")
        Mount(self, disk, "-t", "tmpfs", "-o", "size=240m")
        self.data = os.path.join(disk, "store")
        self.ballast = os.path.join(disk, "ballast")
        with open(self.ballast, "wb") as file:
            file.write(bytes(self.BALLAST << 20))
        self.model = {}

    def fill_by_ingesting(self):
        """Until a frame is refused; returns the error."""
        writer = Writer(self.server.port, self.model)
        writer.noise("r", FEW, 100, 1)
        for _ in range(240):
            try:
                writer.fill_log(1)
            except wire.Refused as error:
                writer.close()
                return error
        return self.fail("240 MiB were taken by a disk of 240 MiB")

    def fill_to_the_last_byte(self):
        descriptor = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(descriptor, bytes(4096))
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def check_reading(self, port):
        connection = wire.Connection(port, bytes(16))
        for metric in FEW:
            answer = connection.ask(f"{metric} @ p/r")
            self.assertEqual(dict(zip(answer["step"], answer["value"])), self.model["r"][metric])
        self.assertEqual(list(connection.ask(f"{FILLER[0]} @ p/fill")["value"]), [0.25])
        connection.close()

    def write_until_taken(self, port, run):
        """Refused frames make the server look again for room; it may take a few."""
        for _ in range(1000):
            writer = Writer(port, self.model)
            try:
                writer.noise(run, FEW, 5, run)
                return
            except wire.Refused as refused:
                self.assertEqual(refused.code, EXHAUSTED, refused)
            finally:
                writer.close()
        self.fail("writing does not go on though there is room")

    def test_frames_are_refused_and_go_on_when_there_is_room(self):
        self.start()
        refused = self.fill_by_ingesting()
        self.assertEqual(refused.code, EXHAUSTED)
        self.assertIn(self.data, refused.message)
        self.assertIn("No space left", refused.message)
        self.check_reading(self.server.port)
        os.remove(self.ballast)
        self.write_until_taken(self.server.port, "again")
        self.check_reading(self.server.port)
        self.server.stop()
        self.start()
        self.check_reading(self.server.port)
        self.assertEqual(len(self.query("loss @ p/again")), 5)

    def test_a_restart_on_a_full_disk_reads(self):
        self.start()
        self.fill_by_ingesting()
        self.fill_to_the_last_byte()
        self.server.kill()
        self.assertEqual(len(self.query("loss @ p/r", "--data", self.data)), 100)
        self.start()
        self.check_reading(self.server.port)
        os.remove(self.ballast)
        self.write_until_taken(self.server.port, "again")
        self.server.kill()
        self.start()
        self.check_reading(self.server.port)
        self.assertEqual(len(self.query("loss @ p/again")), 5)

    def test_no_store_begins_on_a_full_disk(self):
        self.fill_to_the_last_byte()
        start = Start(self.data)
        self.addCleanup(start.close)
        self.assertEqual(start.status, 1, start.said())
        self.assertIn(self.data, start.said())
        self.assertIn("No space left", start.said())
        os.remove(self.ballast)
        self.start()
        self.assertEqual(self.query("runs"), [])


def print_table(pattern):
    bad = total = 0
    with tempfile.TemporaryDirectory(prefix="stepdb-damage-") as directory:
        stores = Stores(directory)
        for cell in cells():
            if re.search(pattern, cell.name()):
                outcome = Outcome(cell, stores)
                total += 1
                bad += bool(outcome.complaints())
                print(outcome.table_row(), flush=True)
    print(f"{total} cells, {bad} not as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--table", nargs="?", const="", default=None)
    options, rest = parser.parse_known_args()
    if options.table is not None:
        sys.exit(print_table(options.table))
    unittest.main(argv=sys.argv[:1] + rest)
