"""The data source of clients/grafana is the one that its own tests passed with: they take 700 MB of
packages, and are run by clients/grafana/check."""

import json
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "clients", "grafana")
sys.path.insert(0, FOLDER)
import results  # noqa: E402


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


class Grafana(unittest.TestCase):
    def test_these_sources_passed(self):
        text = read("RESULTS.md")
        self.assertIn(f"- sources: {results.digest()}\n", text,
                      "clients/grafana has changed since its tests ran: run clients/grafana/check")
        passed, failed, skipped = re.search(
            r"(?m)^- tests: (\d+) passed, (\d+) failed, (\d+) skipped$", text).groups()
        self.assertGreater(int(passed), 20)
        self.assertEqual((failed, skipped), ("0", "0"))

    def test_packages_are_pinned_and_come_from_nowhere_in_particular(self):
        package, lock = json.loads(read("package.json")), json.loads(read("package-lock.json"))
        for name, version in {**package["dependencies"], **package["devDependencies"]}.items():
            self.assertRegex(version, r"^\d+\.\d+\.\d+$", name)
            self.assertEqual(lock["packages"][f"node_modules/{name}"]["version"], version)
        for name, entry in lock["packages"].items():
            self.assertNotIn("resolved", entry, name)

    def test_a_token_goes_through_the_route_and_nowhere_else(self):
        [route] = json.loads(read("src/plugin.json"))["routes"]
        self.assertNotIn("url", route)  # that of the data source stands
        self.assertEqual([header["name"] for header in route["headers"]], ["Authorization"])
        for name in results.sources():
            if name.startswith("src/") and "test" not in name and name.endswith((".ts", ".tsx")):
                self.assertNotIn("Bearer", read(name), name)


if __name__ == "__main__":
    unittest.main()
