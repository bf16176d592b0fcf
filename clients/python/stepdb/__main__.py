"""python -m stepdb sync DIR: sends what processes that have died, or ran offline, left in a spool."""

import argparse
import sys

from . import sync


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stepdb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("sync", help="send what is in a spool")
    one.add_argument("directory", nargs="?", default=".stepdb", help="[.stepdb]")
    one.add_argument("--server", help="instead of the one that each run was logged to")
    options = parser.parse_args()
    outcomes = sync(options.directory, options.server)
    for directory, is_complete, what in outcomes:
        print(f"{directory}: {what}{'' if is_complete else ' (it stays)'}")
    if not outcomes:
        print(f"{options.directory}: nothing to send")
    return 0 if all(is_complete for _, is_complete, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
