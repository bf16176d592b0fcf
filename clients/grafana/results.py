"""What clients/grafana/check writes down: which sources passed, with which packages.

    results.py JEST.json       RESULTS.md on stdout
"""

import hashlib
import json
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
OTHER = {"RESULTS.md", "README.md"}  # say nothing that could fail


def sources():
    """The files that the build and its tests are made of."""
    found = []
    for directory, directories, files in os.walk(FOLDER):
        directories[:] = sorted(set(directories) - {"node_modules", "dist", "__pycache__"})
        found += [os.path.relpath(os.path.join(directory, name), FOLDER) for name in files]
    return sorted(set(found) - OTHER)


def digest():
    """Of all of them: a change of one is a change of this."""
    total = hashlib.sha256()
    for path in sources():
        with open(os.path.join(FOLDER, path), "rb") as file:
            total.update(f"{path}\0{hashlib.sha256(file.read()).hexdigest()}\n".encode())
    return total.hexdigest()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ran = json.load(file)
    with open(os.path.join(FOLDER, "package.json"), encoding="utf-8") as file:
        package = json.load(file)
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    print("# The last run of clients/grafana/check\n")
    print(f"- sources: {digest()}")
    print(f"- tests: {ran['numPassedTests']} passed, {ran['numFailedTests']} failed, "
          f"{ran['numPendingTests']} skipped")
    print(f"- Grafana's packages: {package['dependencies']['@grafana/data']}; "
          f"node {node.stdout.strip()}\n")
    for suite in sorted(ran["testResults"], key=lambda suite: suite["name"]):
        print(f"`{os.path.basename(suite['name'])}`:\n")
        for test in suite["assertionResults"]:
            print(f"- {test['title']}: {test['status']}")
        print()
    return 0 if ran["success"] else 1


if __name__ == "__main__":
    sys.exit(main())
