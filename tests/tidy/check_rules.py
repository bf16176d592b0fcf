#!/usr/bin/env python3
"""Every test that tests/model/RULES.md names exists."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def existing_tests():
    names = set()
    for folder in ("engine", "net", "query", "tools", "tests"):
        for path in (ROOT / folder).rglob("*_test.cc"):
            for suite, name in re.findall(r"^TEST(?:_[FP])?\((\w+),\s+(\w+)\)", path.read_text(),
                                          re.MULTILINE):
                names.add(f"{suite}.{name}")
        for path in (ROOT / folder).rglob("*_test.py"):
            names.update(re.findall(r"def (test_\w+)\(", path.read_text()))
    return names


def main():
    rows = [line for line in (ROOT / "tests/model/RULES.md").read_text().splitlines()
            if line.startswith("| ")][1:]
    existing = existing_tests()
    wrong = []
    for row in rows:
        rule, tests = re.match(r"\| (.*) \| (.*) \|$", row).groups()
        named = re.findall(r"`([\w.]+)`", tests)
        if not named:
            wrong.append(f"no test is named for: {rule}")
        wrong.extend(f"there is no test {name}, named for: {rule}"
                     for name in named if name not in existing)
    for line in wrong:
        print(f"tests/model/RULES.md: {line}")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
