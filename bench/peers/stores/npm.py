"""Where the libraries of npm packages lie: below bench/peers/node_modules, or $STEPDB_PEERS_NPM."""

import json
import os

from stores.store import NotInstalled

FOLDER = os.environ.get("STEPDB_PEERS_NPM", os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "node_modules"))


def package_file(package, name):
    path = os.path.join(FOLDER, package, name)
    if not os.path.isfile(path):
        raise NotInstalled(f"npm install {package}, which bench/peers/setup does")
    return path


def package_version(package):
    with open(package_file(package, "package.json"), encoding="utf-8") as file:
        return json.load(file)["version"]
