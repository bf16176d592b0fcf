"""The limits of docs/protocol.md at their full size, through the real server: what is just within them
is stored, survives a kill and a clean stop and comes back bit for bit; what is just beyond is refused
by name, and nobody else notices."""

import array
import os
import random
import struct
import unittest

import wire
from support import Case, verify

# docs/protocol.md, "Limits"; tests/protocol/ holds the document to the program's own.
METRICS_MAX, METRIC_BYTES_MAX, ID_BYTES_MAX = 1 << 20, 1024, 128
FRAME_BYTES_MAX, FRAME_ROWS_MAX = 32 << 20, 1 << 16
SCHEMA_BYTES_MAX = FRAME_BYTES_MAX - 4096


def doubles_of(*bits):
    return [struct.unpack("<d", struct.pack("<Q", word))[0] for word in bits]


# Ascending.
STEPS = [-1.7976931348623157e308, -(2.0**63), -(2.0**53) - 2, -(2.0**53), -1.5, -5e-324, 0.0,
         5e-324, 2.2250738585072014e-308, 0.1, 1.0, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, 2.0**63,
         1.7976931348623157e308]
TIMES = [-(1 << 63), -(1 << 63) + 1, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, (1 << 62) + 1,
         (1 << 63) - 2, (1 << 63) - 1]
VALUES = doubles_of(
    0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FF8000000000123,
    0xFFFFFFFFFFFFFFFF, 0x7FF8000020000000, 0x7FF0000000000000, 0xFFF0000000000000,
    0x8000000000000000, 0, 1, 0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000,
    0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x36A0000000000000, 0x47EFFFFFE0000000)


def words(values):
    return array.array("Q", array.array("d", values).tobytes())


class Limits(Case):
    def connect(self, writer=b"at the limits..."):
        return wire.Connection(self.server.port, writer)

    def every_life(self, check):
        """As logged, after a kill, and after what is in memory has gone to a segment or the log is
        replayed once more."""
        check()
        self.server.kill()
        verify(self.data)
        self.start(*self.options)
        check()
        self.server.stop()
        self.start(*self.options)
        check()
        self.server.stop()

    def begin(self, *options):
        self.options = options
        self.start(*options)

    def check_values(self, query, key, keys, values):
        connection = self.connect(bytes(16))
        answer = connection.ask(query)
        connection.close()
        self.assertEqual(list(answer[key]), keys, query)
        self.assertEqual(words(answer["value"]), words(values), query)

    def test_rows_of_as_many_metrics_as_a_schema_has(self):
        self.begin("--memory", "512M")
        names = [f"m/{metric:07}" for metric in range(METRICS_MAX)]
        connection = self.connect()
        connection.send(wire.schema("p", wire.STEPPED, names), wire.open_run(1, "p", "r"))
        connection.wait_for(2)
        name = wire.schema_hash(wire.STEPPED, names)
        rows = [array.array("f", (float(metric * 3 % 1000003 + row) for metric in
                                  range(METRICS_MAX))) for row in range(3)]
        for number, values in enumerate(rows, 1):
            connection.send(wire.frame(wire.ROWS, number, wire.rows_body(
                1, name, 1, [float(number)], [number], values.tobytes())))
        connection.wait_for(2 + len(rows))

        def check():
            for metric in (0, 1, 77777, METRICS_MAX - 1):
                self.check_values(f"{names[metric]} @ p/r", "step", [1.0, 2.0, 3.0],
                                  [values[metric] for values in rows])
        check()
        # One more is refused, and the connection lives on.
        connection.send(wire.schema("p", wire.STEPPED, [*names, "one-more"]))
        with self.assertRaisesRegex(wire.Refused, "1048577 metrics"):
            connection.wait_for(3 + len(rows))
        connection.close()
        self.every_life(check)

    def test_names_as_long_as_they_may_be(self):
        """As many of them as the largest schema frame takes."""
        self.begin("--memory", "512M")
        project, run = "p" * ID_BYTES_MAX, "ü" * (ID_BYTES_MAX // 2)
        count = SCHEMA_BYTES_MAX // (4 + METRIC_BYTES_MAX) - 1
        head = "€/" * (METRIC_BYTES_MAX // 4 - 4)
        names = [head + f"{metric:016}" for metric in range(count)]
        self.assertEqual({len(name.encode()) for name in names}, {METRIC_BYTES_MAX})
        connection = self.connect()
        connection.send(wire.schema(project, wire.STEPPED, names), wire.open_run(1, project, run))
        connection.wait_for(2)
        values = array.array("f", map(float, range(count)))
        connection.send(wire.frame(wire.ROWS, 1, wire.rows_body(
            1, wire.schema_hash(wire.STEPPED, names), 1, [0.0], [0], values.tobytes())))
        connection.wait_for(3)
        for wrong in ("x" * (METRIC_BYTES_MAX + 1), ""):
            connection.send(wire.schema(project, wire.STEPPED, [wrong]))
            with self.assertRaisesRegex(wire.Refused, "bytes"):
                connection.wait_for(99)
        for wrong in (("p" * (ID_BYTES_MAX + 1), run), (project, run + "r")):
            connection.send(wire.open_run(2, *wrong))
            with self.assertRaisesRegex(wire.Refused, "longer than allowed"):
                connection.wait_for(99)
        connection.close()
        self.every_life(lambda: [
            self.check_values(f'"{names[metric]}" @ {project}/{run}', "step", [0.0],
                              [values[metric]]) for metric in (0, count // 2, count - 1)])

    def test_frames_as_large_as_they_may_be(self):
        """By bytes and by rows; the one beyond costs its connection, as the length cannot be read."""
        self.begin("--memory", "512M")
        rows, width = 18, 466029
        names = [f"m/{metric:06}" for metric in range(width)]
        chance = random.Random(7)
        narrow = [f"n/{metric}" for metric in range(123)]
        connection = self.connect()
        connection.send(wire.schema("p", wire.STEPPED, names), wire.open_run(1, "p", "wide"),
                        wire.schema("p", wire.STEPPED, narrow), wire.open_run(2, "p", "long"))
        values = array.array("f", (float(chance.getrandbits(20)) for _ in range(width))) * rows
        wide = wire.frame(wire.ROWS, 1, wire.rows_body(
            1, wire.schema_hash(wire.STEPPED, names), rows, list(map(float, range(rows))),
            list(range(rows)), values.tobytes()))
        self.assertEqual(len(wide), FRAME_BYTES_MAX)
        column = array.array("f", (float(chance.getrandbits(20)) for _ in range(FRAME_ROWS_MAX)))
        steps = list(map(float, range(FRAME_ROWS_MAX)))
        many = array.array("f", (value for value in column for _ in narrow))

        def long(number, rows):
            return wire.frame(wire.ROWS, number, wire.rows_body(
                2, wire.schema_hash(wire.STEPPED, narrow), rows, steps[:rows] + [-1.0] *
                (rows - FRAME_ROWS_MAX), list(range(rows)), many.tobytes() + bytes(
                    4 * len(narrow) * (rows - FRAME_ROWS_MAX))))
        connection.send(wide, long(1, FRAME_ROWS_MAX))
        connection.wait_for(6)
        connection.send(long(2, FRAME_ROWS_MAX + 1))
        with self.assertRaisesRegex(wire.Refused, "65537 rows"):
            connection.wait_for(7)
        connection.close()
        beyond = self.connect(b"one byte too many")
        beyond.send(wire.frame(wire.ROWS, 1, b"", length=FRAME_BYTES_MAX + 1))
        self.assertIn(str(FRAME_BYTES_MAX + 1), beyond.read_error()[4])
        with self.assertRaises(EOFError):
            beyond.read()
        beyond.close()

        def check():
            self.check_values(f"{names[-1]} @ p/wide", "step", steps[:rows], [values[-1]] * rows)
            self.check_values("n/122 @ p/long", "step", steps, list(column))
        self.every_life(check)

    def test_steps_times_and_values_at_their_extremes(self):
        """Steps and times in an order drawn, each key in each of many blocks with one value of all
        kinds beside it; the last one of a key stands."""
        seed = int(os.environ.get("STEPDB_SEED") or random.randrange(2**32))
        print(f"seed {seed}")
        chance = random.Random(seed)
        self.begin("--memory", "256M")
        connection = self.connect()
        connection.send(wire.schema("p", wire.STEPPED, ["a", "b"]), wire.open_run(1, "p", "r"),
                        wire.schema("p", wire.TIMED, ["gpu", "cpu"]))
        stepped = wire.schema_hash(wire.STEPPED, ["a", "b"])
        timed = wire.schema_hash(wire.TIMED, ["gpu", "cpu"])
        want = {}
        for number in range(1, 81):
            is_timed = number % 2 == 0
            keys = [chance.choice(TIMES if is_timed else STEPS) for _ in range(40)]
            times = keys if is_timed else [chance.choice(TIMES) for _ in keys]
            steps = None if is_timed else [-0.0 if key == 0 else key for key in keys]
            values = [chance.choice(VALUES) for _ in range(2 * len(keys))]
            for row, key in enumerate(keys):
                for column in range(2):
                    want[is_timed, column, key] = values[2 * row + column]
            connection.send(wire.frame(wire.ROWS, number, wire.rows_body(
                1, timed if is_timed else stepped, len(keys), steps, times,
                words(values).tobytes(), layout=wire.F64)))
        connection.wait_for(3 + 80)
        for wrong in doubles_of(0x7FF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000):
            connection.send(wire.frame(wire.ROWS, 81, wire.rows_body(
                1, stepped, 1, [wrong], [0], bytes(16), layout=wire.F64)))
            with self.assertRaisesRegex(wire.Refused, "finite"):
                connection.wait_for(999)
            connection.close()
            connection = self.connect()
            connection.send(wire.open_run(1, "p", "r", 81 + 1, wire.RESUME))
            connection.wait_for(1)
            break
        connection.close()

        def check():
            for is_timed, column, name in ((0, 0, "a"), (0, 1, "b"), (1, 0, "gpu"), (1, 1, "cpu")):
                keys = TIMES if is_timed else STEPS
                self.check_values(f"{name} @ p/r", "time" if is_timed else "step", keys,
                                  [want[bool(is_timed), column, key] for key in keys])
        self.every_life(check)


if __name__ == "__main__":
    unittest.main()
