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
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from array import array

import wire
from damage_stores import (FEW, Writer, cut_in_half, directory_instead, empty, files_of, flip_body,
                           flip_end, flip_first_group, flip_footer, flip_header, flip_index,
                           flip_last_group, flip_middle, flip_middle_group, flushed, garbage, grown,
                           remove, replace_by_sibling, rotated)
from support import SECONDS_MAX, STEPDB, Start, sampled


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
        # The last flush put run c, of which there was much, into a segment of its own.
        table.append(Cell(grown, "segment", -1, damage, "a b all fill " + logs))
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


def series_of(model):
    return [(run, metric) for run in sorted(model) for metric in model[run]]


# Without sum and mean, of which the last bits tell in which pieces the points lay.
EXACT_BUCKETS = ("buckets 50 count, nan, pinf, ninf, min, min_x, max, max_x, first, first_x, last, "
                 "last_x")


def answers(connection, model):
    """What is answered for every series: the bytes of a chart and of its first points, or an error."""
    found = {}
    for run, metric in series_of(model):
        parts = []
        for stages in (EXACT_BUCKETS, "first 20"):
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
                if not isinstance(part, str) and part[0] == want[0]:
                    self.right.add(run)
                elif not isinstance(part, str) and any(file_name in note for note in part[1]):
                    self.named.setdefault(run, part[1][0])  # short, and said so
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
            self.verified = subprocess.run([STEPDB, "verify", copy], stdin=subprocess.DEVNULL,
                                           capture_output=True, text=True, timeout=SECONDS_MAX)
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
        found += self.verify_complaints()
        if self.cell.harmless:
            first = self.lives[0]
            if first.right != self.runs or first.write != "taken":
                found.append("a harmless damage did harm")
        return found

    def verify_complaints(self):
        """`stepdb verify` and the server agree on what harms."""
        found, first, done = [], self.lives[0], self.verified
        if done.returncode not in (0, 1):
            found.append(f"verify: status {done.returncode}: {done.stderr}")
        said = done.stdout + done.stderr
        if self.cell.kind != "LOCK" and self.file_name not in said and first.right != self.runs:
            found.append(f"verify does not name {self.file_name}: {said}")
        sound = first.served and first.right == self.runs and first.write == "taken"
        if sound and done.returncode != 0:
            found.append(f"verify finds problems where the server finds none: {said}")
        if not sound and done.returncode == 0 and "note: " not in said:
            found.append(f"verify finds the store sound, the server does not: {said}")
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
            # Five has no factor in common with how many kinds of files a damage is done to.
            for cell in sampled(cells(), 5):
                with self.subTest(cell.name()):
                    outcome = Outcome(cell, stores)
                    self.assertEqual(outcome.complaints(), [], outcome.table_row())


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
