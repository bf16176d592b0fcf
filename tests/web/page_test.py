#!/usr/bin/env python3
"""The page of `stepdb serve --http` in a real browser: starts a server, fills it, and lets
page_steps.mjs use the page as people do."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import page_stores  # noqa: E402
from support import ROOT, STEPDB, Case  # noqa: E402

SECONDS_MAX = 240  # of all steps, on a slow machine
FOLDER = os.path.dirname(os.path.abspath(__file__))
# Where `npm ci` has put what web/package-lock.json names (tests/web/install).
MODULES = os.environ.get("STEPDB_WEB_MODULES", os.path.join(ROOT, "web"))


class PageTest(Case):
    def test_page(self):
        self.start("--http", "127.0.0.1:0")
        line = self.server.process.stdout.readline()
        match = re.fullmatch(r"http on (127\.0\.0\.1:\d+)\n", line)
        self.assertIsNotNone(match, line)
        page_stores.fill(STEPDB, self.server.address, self.directory)
        done = subprocess.run(
            ["node", "--test", "--test-reporter", "spec", os.path.join(FOLDER, "page_steps.mjs")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=SECONDS_MAX,
            env={**os.environ, "STEPDB_PAGE": f"http://{match[1]}/", "STEPDB_BIN": STEPDB,
                 "STEPDB_SERVER": self.server.address, "STEPDB_WEB_MODULES": MODULES})
        sys.stdout.write(done.stdout)
        self.assertEqual(done.returncode, 0, "steps failed; see above")
        self.assertNotIn("# tests 0\n", done.stdout)
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
