"""`tools/demo` runs to its end with the program at hand, and says what it must."""

import os
import re
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
        printed = done.stdout
        # The story: what was imported, which diverged and where, what the attempts have.
        self.assertRegex(printed, r"sweep    lr3e-3-s2 .* 1\n")
        self.assertIn("the log jumps back as a whole once", printed)
        self.assertRegex(printed, r"sweep/lr3e-2-s1 +failed +0\.03 +378\n")
        self.assertRegex(printed, r"sweep/lr3e-2-s1 +layers/1/grad_norm +305 +13\.27\n")
        self.assertRegex(printed, r"config/lr=0\.003 +mean ± std from 1\.8822 to 3\.2685 +3 series\n")
        self.assertRegex(printed, r"sweep/rescue +finished +0\.01 ")
        shared, own = (re.findall(run + r" +train/loss +(\d+) +(\S+)\n", printed)
                       for run in ("sweep/lr3e-3-s2#0", "sweep/lr3e-3-s2"))
        self.assertEqual(len(own), 4)
        self.assertEqual(shared[:2], own[:2])
        self.assertTrue(all(a != b for a, b in zip(shared[2:], own[2:])))
        self.assertIn("Where to go next", done.stdout)


if __name__ == "__main__":
    unittest.main()
