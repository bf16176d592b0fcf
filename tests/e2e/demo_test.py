"""`tools/demo` runs to its end with the program at hand, and says what it must."""

import json
import os
import re
import signal
import subprocess
import unittest
import urllib.request

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

    def test_opens_the_page(self):
        environment = {**os.environ, "STEPDB_BIN": STEPDB}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            environment.pop(name, None)
        demo = subprocess.Popen([os.path.join(ROOT, "tools", "demo"), "--open"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(demo.stdout.close)
        self.addCleanup(demo.stderr.close)
        self.addCleanup(demo.kill)
        page = None
        for line in demo.stdout:
            page = page or re.search(r"The page: (http://127\.0\.0\.1:\d+/)", line)
            if line.startswith("Ctrl-C"):
                break
        self.assertIsNotNone(page, "no page was named")
        with urllib.request.urlopen(page[1], timeout=SECONDS_MAX) as answer:
            self.assertIn("<title>StepDB</title>", answer.read().decode())
        asked = urllib.request.Request(f"{page[1]}api/query", method="POST", data=json.dumps(
            {"query": "runs sweep/*"}).encode(), headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=SECONDS_MAX) as answer:
            self.assertEqual(json.load(answer)["rows"], 11)
        demo.send_signal(signal.SIGTERM)
        self.assertEqual(demo.wait(SECONDS_MAX), 130)

    def test_refuses_what_it_does_not_know(self):
        done = subprocess.run([os.path.join(ROOT, "tools", "demo"), "--opne"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--opne", done.stderr)


if __name__ == "__main__":
    unittest.main()
