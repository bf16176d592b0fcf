"""python -m stepdb COMMAND: what the package can do by itself."""

import argparse
import sys
from typing import List, Optional

from . import connect, sync
from ._diff import diff_source
from ._protocol import Error
from ._sources import FORMATS, read_log, read_run


def _sync(options: argparse.Namespace) -> int:
    outcomes = sync(options.directory, options.server)
    for directory, is_complete, what in outcomes:
        print(f"{directory}: {what}{'' if is_complete else ' (it stays)'}")
    if not outcomes:
        print(f"{options.directory}: nothing to send")
    return 0 if all(is_complete for _, is_complete, _ in outcomes) else 1


def _diff(options: argparse.Namespace) -> int:
    with connect(options.server) as connection:
        right = read_run(connection, options.run)
        left = read_run(connection, options.source) if options.format == "run" else \
            read_log(options.format, options.source, options.step_column)
    differences = diff_source(left, right)
    differing = [one for one in differences if one.first is not None]
    for one in differing:
        print(f"{one.metric}: {one.points:,} points and {one.other_points:,}; "
              f"{one.missing_there:,} only in {left.name}, {one.missing:,} only in {right.name}, "
              f"{one.different:,} different; {one.first}")
    if left.values_without_step:
        print(f"{left.name}: {left.values_without_step:,} values without a step are not compared")
    print(f"{len(differences) - len(differing):,} of {len(differences):,} series are the same, "
          f"{sum(one.points for one in differences):,} points and "
          f"{sum(one.other_points for one in differences):,}")
    return 1 if differing or not differences else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stepdb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "sync", help="send what is in a spool",
        description="Sends what processes that have died, or ran offline, left in a spool.",
        epilog="example: python -m stepdb sync .stepdb")
    one.add_argument("directory", nargs="?", default=".stepdb", help="[.stepdb]")
    one.add_argument("--server", help="instead of the one that each run was logged to")
    one.set_defaults(act=_sync)
    one = commands.add_parser(
        "diff-source", help="compare a log with a run, or two runs",
        description="Tells for each series what a log of another tool and a run of the store lack "
                    "of each other. Exit status 0: nothing.",
        epilog="example: python -m stepdb diff-source wandb wandb/run-20260329_183841-k5 gpt/r17")
    one.add_argument("format", choices=(*FORMATS, "run"))
    one.add_argument("source", help="a file, a run's directory, or PROJECT/RUN")
    one.add_argument("run", help="PROJECT/RUN")
    one.add_argument("--step-column", help="of jsonl and csv; else step, _step, global_step, ...")
    one.add_argument("--server", help="[$STEPDB_SERVER, else 127.0.0.1:7420]")
    one.set_defaults(act=_diff)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except (Error, OSError) as error:
        print(f"stepdb {options.command}: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
