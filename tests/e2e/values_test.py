"""Values come back bit for bit: from CSV over the socket to disk, through SIGKILL, a clean stop and
a read-only open, and out as CSV."""

import os
import random
import struct
import subprocess
import sys
import unittest

from support import STEPDB, Case, bits_of, bits_of_text, value_text

EDGES = [
    bits_of(value)
    for value in (0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 2.0**53, 2.0**53 + 2, -(2.0**63), 1e300,
                  5e-324, -5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308,
                  1.7976931348623157e308, float("inf"), float("-inf"), 3.4028234663852886e38,
                  1.401298464324817e-45, 0.10000000149011612, 16777217.0, 123456.789, 1e15 + 0.5)
] + [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FF8000000000123,
     0xFFFFFFFFFFFFFFFF, 0x7FF4000000000000, 0x7FF8000020000000]


def float32_bits(random_bits):
    """The bits of a finite double that is exactly a float32."""
    value = struct.unpack("<f", struct.pack("<I", random_bits & 0xBFFFFFFF))[0]
    return bits_of(value)


class Values(Case):
    ROWS = 2500  # several sealed blocks and a tail

    def setUp(self):
        super().setUp()
        seed = int(os.environ.get("STEPDB_SEED") or random.randrange(2**32))
        print(f"seed {seed}")
        chance = random.Random(seed)
        kinds = {
            "edges": lambda row: EDGES[row % len(EDGES)],
            "any/bits": lambda row: chance.getrandbits(64),
            "float32": lambda row: float32_bits(chance.getrandbits(32)),
            "integers": lambda row: bits_of(float(chance.randrange(-(2**40), 2**40))),
            "decimals": lambda row: bits_of(chance.randrange(10**6) / 1000),
            "constant": lambda row: bits_of(0.25),
            "sparse": lambda row: bits_of(chance.gauss(0, 1)) if row % 7 == 0 else None,
        }
        self.want = {}
        lines = ["step," + ",".join(kinds)]
        for row in range(self.ROWS):
            cells = []
            for name, make in kinds.items():
                bits = make(row)
                cells.append("" if bits is None else value_text(bits))
                if bits is not None:
                    self.want[name, row] = bits
            lines.append(f"{row}," + ",".join(cells))
        self.csv = self.write("values.csv", "\n".join(lines) + "\n")

    def check(self, *options):
        got = {(row["metric"], int(row["step"])): bits_of_text(row["value"])
               for row in self.query("** @ p/values", *options)}
        self.assertEqual(len(got), len(self.want))
        wrong = {key: (hex(got.get(key, 0)), hex(bits))
                 for key, bits in self.want.items() if got.get(key) != bits}
        self.assertEqual(wrong, {})

    def test_come_back_bit_for_bit(self):
        self.start()
        self.stepdb("import", "csv", self.csv, "--project", "p", "--run", "values")
        self.check()
        self.restart_after_kill()
        self.check()
        self.server.stop()
        self.check("--data", self.data)
        self.start()
        self.check()
        self.restart_after_kill()
        self.check()


if __name__ == "__main__":
    # STEPDB_CPU asks for the loops of a lesser processor; this one may be less still.
    asked = subprocess.run([STEPDB, "--version"], capture_output=True, text=True)
    if "has no" in asked.stderr:
        print(asked.stderr)
        sys.exit(77)  # skipped
    unittest.main()
