"""`tools/demo` runs to its end with the program at hand, and says what it must."""

import os
import subprocess
import unittest

from support import ROOT, SECONDS_MAX, STEPDB


class Demo(unittest.TestCase):
    def test_runs_to_its_end(self):
        done = subprocess.run([os.path.join(ROOT, "tools", "demo")], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS_MAX,
                              env={**os.environ, "STEPDB_BIN": STEPDB})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, r"(\d+) points before, \1 points after, every bit the same")
        self.assertIn("43272", done.stdout)
        self.assertIn("Where to go next", done.stdout)


if __name__ == "__main__":
    unittest.main()
