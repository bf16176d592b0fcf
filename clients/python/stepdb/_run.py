"""A run that is logged to."""

from __future__ import annotations

import atexit
import datetime
import math
import os
import re
import sys
import threading
import time
import weakref
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _protocol as protocol
from ._delivery import Delivery
from ._spool import Spool, SpoolRun, find_spools
from ._values import flatten, is_plain, take
from ._writer import Change, End, Row, Writer, say

FINISHED, FAILED = 1, 2
Timestamp = Union[None, float, datetime.datetime]


class Report(NamedTuple):
    """What became of what was logged."""
    rows_logged: int     # metrics of a step logged one after the other are one
    rows_sent: int       # of these, acknowledged by the server
    rows_refused: int    # by the server
    rows_dropped: int    # here: no step or time, or the queue was full beyond `block_seconds`
    values_refused: int  # here: no numbers, or of names that cannot be metrics
    is_complete: bool    # everything has its outcome
    directory: str       # where the rest waits, if it is not

    def __str__(self) -> str:
        parts = [f"{self.rows_sent:,} of {self.rows_logged:,} rows sent"]
        if self.rows_refused:
            parts.append(f"{self.rows_refused:,} refused by the server")
        if self.rows_dropped:
            parts.append(f"{self.rows_dropped:,} dropped")
        if self.values_refused:
            parts.append(f"{self.values_refused:,} values were no numbers, or not of metrics")
        if not self.is_complete:
            parts.append(f"the rest waits in {self.directory}: python -m stepdb sync "
                         f"{self.directory}")
        return "; ".join(parts)


def _now_us() -> int:
    return time.time_ns() // 1000


def _time_us(timestamp: Timestamp) -> int:
    if timestamp is None:
        return _now_us()
    seconds = timestamp.timestamp() if isinstance(timestamp, datetime.datetime) else timestamp
    time_us = round(seconds * 1e6)
    if not -1 << 63 <= time_us < 1 << 63:
        raise ValueError(f"time {timestamp!r} is too far away")
    return time_us


def _step(step: Any) -> float:
    number = float(step)
    if not math.isfinite(number):
        raise ValueError(f"step {step!r} is not finite")
    return number


def _attempt_of_environment() -> Optional[int]:
    for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"):
        value = os.environ.get(name, "")
        if value.isdecimal():
            return int(value)
    return None


def run_id_of_path(path: str) -> str:
    """`runs/exp/3` is the run `runs.exp.3`: ids have no slashes."""
    name = os.path.normpath(path).strip("/").replace("/", ".").strip(".")
    return re.sub("[#*\\s\"']", "_", name)


class Run:
    """Logs to one run of one project.

    project, run_id    whose; a run that is there is gone on with. Without `run_id` one is made up
    parent, fork_step  the run is a fork of that one ("project/run" or "run") at that step;
                       `fork_run_id` is the same as `parent`
    resume_step        this process goes on from a checkpoint of that step: its points are those of
                       the next attempt, and of the ones before only steps up to it are read
    attempt            which one; else from TORCHELASTIC_RESTART_COUNT or SLURM_RESTART_COUNT, else
                       one after the newest, for which the server is asked. Without `resume_step`
                       the newest
    server, token      else from STEPDB_SERVER and STEPDB_TOKEN; ca_file: authorities to trust, PEM
    spool              the directory for what the server does not have yet, else from STEPDB_SPOOL,
                       else .stepdb
    rank               of this process: what `log_rank` is given stands under `rank_N/`
    offline            nothing is sent; `python -m stepdb sync DIR` does so later
    raise_errors       errors of use are raised; else they are said on stderr, each kind once

    `log` never waits for the network or a disk. It waits only when `queue_values` values are handed
    over and not yet written to the spool, `block_seconds` at most; then the row is dropped and
    counted. What was logged is in the spool some 50 ms later, where it survives the end of the
    process, and on stable storage within `sync_seconds`.
    """

    def __init__(self, project: str, run_id: Optional[str] = None, *,
                 parent: Optional[str] = None, fork_step: Optional[float] = None,
                 fork_run_id: Optional[str] = None, resume_step: Optional[float] = None,
                 attempt: Optional[int] = None,
                 server: Optional[str] = None, token: Optional[str] = None,
                 ca_file: Optional[str] = None, spool: Optional[str] = None,
                 rank: Optional[int] = None, offline: bool = False, raise_errors: bool = False,
                 queue_values: int = 20_000_000, block_seconds: float = 1.0,
                 sync_seconds: float = 1.0) -> None:
        parent = parent if parent is not None else fork_run_id
        if (parent is None) != (fork_step is None):
            raise protocol.Error("a fork takes both, parent= and fork_step=",
                                 protocol.INVALID_ARGUMENT)
        if parent is not None and "/" in parent:
            of, _, parent = parent.partition("/")
            if of != project:
                raise protocol.Error(f"the parent is of project {of!r}, and a fork is of its "
                                     f"parent's project, not {project!r}",
                                     protocol.INVALID_ARGUMENT)
        self.project = project
        self.run_id = run_id or f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}"
        self.server = server or os.environ.get("STEPDB_SERVER") or \
            f"127.0.0.1:{protocol.DEFAULT_PORT}"
        protocol.parse_address(self.server)
        self._token = token if token is not None else os.environ.get("STEPDB_TOKEN", "")
        self._ca_file, self._rank, self._raise_errors = ca_file, rank, raise_errors
        self._root = os.path.abspath(spool or os.environ.get("STEPDB_SPOOL") or ".stepdb")
        self._fork = (parent, fork_step)
        self._is_offline, self._sync_seconds = offline, sync_seconds
        self._queue_values, self._block_seconds = queue_values, block_seconds
        self._warned: "set[str]" = set()
        self._rows_logged = self._rows_dropped = self._values_refused = 0
        self._is_finished = False
        self._is_child = False      # of the process that made it
        self._needs_writer = False  # which it has none of before it logs
        self._writer = self._new_writer(
            attempt if attempt is not None else 0 if offline else protocol.NEWEST)
        self._leftovers = [] if offline else self._send_leftovers()
        if resume_step is not None:
            self._restart(resume_step, attempt if attempt is not None else
                          _attempt_of_environment())
        _runs.add(self)

    def __repr__(self) -> str:
        return f"<stepdb.Run {self.project}/{self.run_id} at {self.server}>"

    @property
    def attempt(self) -> Optional[int]:
        """The attempt that this process logs to; None if it is the newest and the server has not
        said yet which one that is."""
        attempt = self._writer.attempt
        return self._writer.spool.run.attempt if attempt == protocol.NEWEST else attempt

    # --- logging ---

    def log(self, data: Mapping[str, Any], step: Optional[float] = None,
            timestamp: Timestamp = None) -> None:
        """A row: numbers, 0-d tensors and arrays by path, nested mappings as `a/b`. With a step its
        metrics are stepped, without one they have times alone."""
        try:
            values = list(data.values())
            if is_plain(values):
                metrics = tuple(data)
            else:
                numbers, refused = take(data)
                metrics, values = tuple(numbers), list(numbers.values())
                if refused:
                    self._refuse_values(refused)
            if step is not None:
                step = _step(step)
            if values:
                self._put(Row(metrics, values, step, _time_us(timestamp), timestamp is None))
        except protocol.Error:  # with raise_errors alone
            raise
        except Exception as error:  # whatever it is, the training goes on
            self._rows_logged += 1
            self._rows_dropped += 1
            self._complain("row", f"a row is left out: {error}")

    def log_rank(self, data: Mapping[str, Any], step: Optional[float] = None,
                 timestamp: Timestamp = None) -> None:
        """`log` under `rank_N/`, so that the ranks of a run do not overwrite each other."""
        self.log({f"rank_{self._rank or 0}": data}, step, timestamp)

    def _put(self, row: Row) -> None:
        writer = self._own_writer()
        if self._is_finished or writer.failed is not None:
            self._rows_dropped += 1
            if self._is_finished:
                self._complain("finished", "the run is finished; what is logged to it is dropped")
            return
        self._rows_logged += 1
        if writer.queue.qsize() * len(row.values) > self._queue_values and \
                not self._wait_for_room(len(row.values)):
            self._rows_dropped += 1
            self._complain("full", f"more than {self._queue_values:,} values wait to be written to "
                           f"{writer.spool.directory}; rows are dropped")
            return
        writer.queue.put(row)

    def _wait_for_room(self, width: int) -> bool:
        until = time.monotonic() + self._block_seconds
        while self._writer.queue.qsize() * width > self._queue_values:
            if time.monotonic() >= until:
                return False
            time.sleep(0.002)
        return True

    def _refuse_values(self, refused: Dict[str, str]) -> None:
        self._values_refused += len(refused)
        name, why = next(iter(refused.items()))
        self._complain("values", f"{name!r} is no number ({why}) and is left out")

    def _complain(self, kind: str, message: str) -> None:
        if self._raise_errors:
            raise protocol.Error(message, protocol.INVALID_ARGUMENT)
        if kind not in self._warned:
            self._warned.add(kind)
            say(f"{self.project}/{self.run_id}: {message}")

    # --- attributes ---

    def log_configs(self, data: Mapping[str, Any]) -> None:
        """Facts about the run, as attributes under `config/`; nested mappings as `a/b`."""
        self.set_attributes({f"config/{name}": value for name, value in flatten(data).items()})

    def set_attributes(self, data: Mapping[str, Any]) -> None:
        self._change_attributes([(protocol.SET, name, value) for name, value in data.items()])

    def remove_attributes(self, names: Iterable[str]) -> None:
        self._change_attributes([(protocol.REMOVE, name, None) for name in names])

    def add_tags(self, tags: Iterable[str]) -> None:
        self._change_attributes([(protocol.ADD_TO_SET, "sys/tags", set(tags))])

    def remove_tags(self, tags: Iterable[str]) -> None:
        self._change_attributes([(protocol.REMOVE_FROM_SET, "sys/tags", set(tags))])

    def note(self, text: str, step: Optional[float] = None, timestamp: Timestamp = None) -> None:
        """What happened, in a few words: at a step, or else at a time, which is now if none is
        given. `notes PROJECT/RUN` is the query for them."""
        try:
            place = f"time/{_time_us(timestamp)}" if step is None else f"step/{_step(step)!r}"
        except (ArithmeticError, TypeError, ValueError) as error:
            self._complain("note", f"a note is left out: {error}")
            return
        self._change_attributes([(protocol.ADD_TO_SET, f"note/{place}", {text})])

    def _change_attributes(self, changes: List[Tuple[int, str, Any]]) -> None:
        sound = []
        for kind, name, value in changes:
            if getattr(value, "size", None) == 1 or type(value).__module__ == "torch":
                value = value.item()
            try:
                protocol.attribute_change(kind, str(name), value)
            except (protocol.Error, ValueError) as error:
                self._complain("attribute", f"{error}; it is stored as text")
                name, value = (str(text).encode(errors="replace").decode()
                               for text in (name, value))
            sound.append((kind, str(name), value))
        if sound and not self._is_finished:
            self._own_writer().queue.put(Change(protocol.SET_ATTRIBUTES,
                                                 protocol.set_attributes(1, sound)))

    # --- delivery ---

    def flush(self, seconds: float = 60.0) -> bool:
        """Waits until everything logged so far has its outcome. False if it has not by then."""
        if self._is_finished:
            return self.report().is_complete
        mark = self._own_writer().mark()
        if not mark.is_reached.wait(seconds) or self._is_offline:
            return False
        delivery = self._writer.delivery
        delivery.hurry()
        return delivery.wait(lambda: delivery.acked >= mark.number[0], seconds)

    def persist(self, seconds: float = 10.0) -> bool:
        """Waits until everything logged so far is in the spool, on stable storage; not for the
        server. Call it before a checkpoint is saved: then whatever becomes of job and machine, the
        rows up to the checkpoint will be there. False if they could not be kept by then."""
        if self._is_finished:
            return self._writer.failed is None
        writer = self._own_writer()
        return writer.mark().is_reached.wait(seconds) and writer.failed is None

    def finish(self, failed: bool = False, seconds: float = 60.0) -> Report:
        """Ends the run and waits for what is under way, `seconds` at most; what is not sent then
        stays in the spool. Says what became of it on stderr if something was not sent."""
        if not self._is_finished:
            self._is_finished = True
            _runs.discard(self)
            if self._needs_writer:
                return self.report()
            state = FAILED if failed else FINISHED
            self._writer.put_urgent(End(None if self._is_child else state))
            self._end_delivery(seconds)
            report = self.report()
            if not report.is_complete or report.rows_sent != report.rows_logged or \
                    report.values_refused:
                say(f"{self.project}/{self.run_id}: {report}")
        return self.report()

    def _end_delivery(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        writer = self._writer
        writer.join(seconds)
        if self._is_offline:
            writer.spool.close()
            return
        for delivery in [writer.delivery, *self._leftovers]:
            delivery.wait(lambda: delivery.progress.is_done, max(0.0, until - time.monotonic()))
            if not delivery.progress.is_done:
                delivery.stop()
            delivery.join(1.0)
            if delivery.progress.is_done:
                _close_spool(delivery)

    def report(self) -> Report:
        if self._needs_writer:  # a child that has logged nothing
            return Report(0, 0, 0, 0, 0, True, "")
        progress = self._writer.delivery.progress
        is_complete = progress.is_done and progress.failed is None and \
            not self._is_offline and not os.path.exists(self._writer.spool.directory)
        return Report(self._rows_logged - self._writer.rows_joined, progress.rows_acknowledged,
                      progress.rows_refused, self._rows_dropped + self._writer.rows_dropped,
                      self._values_refused + self._writer.values_refused, is_complete,
                      self._writer.spool.directory)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.finish(failed=kind is not None)

    # --- the names of Neptune's client ---

    def log_metrics(self, data: Mapping[str, Any], step: Optional[float] = None, *,
                    timestamp: Timestamp = None) -> None:
        self.log(data, step, timestamp)

    def wait_for_submission(self, timeout: Optional[float] = None, verbose: bool = True) -> bool:
        return self.wait_for_processing(timeout, verbose)

    def wait_for_processing(self, timeout: Optional[float] = None, verbose: bool = True) -> bool:
        """`flush`: here what is taken is durable and visible at once."""
        return self.flush(threading.TIMEOUT_MAX if timeout is None else timeout)

    def close(self, timeout: Optional[float] = None) -> None:
        self.finish(seconds=threading.TIMEOUT_MAX if timeout is None else timeout)

    # --- beginnings ---

    def _new_writer(self, attempt: int) -> Writer:
        parent, fork_step = self._fork
        return Writer(SpoolRun(self.server, self.project, self.run_id, parent, fork_step,
                                os.urandom(16).hex(), 0),
                       self._root, self._token, self._ca_file, attempt, self._sync_seconds,
                       self._is_offline)

    def _send_leftovers(self) -> List[Delivery]:
        """What processes of this run that have died left behind."""
        found = []
        for directory in find_spools(os.path.dirname(self._writer.spool.directory)):
            if directory != self._writer.spool.directory:
                try:
                    delivery = Delivery(Spool(directory), self._token, self._ca_file, say,
                                        is_leftover=True)
                except (BlockingIOError, FileNotFoundError):
                    continue  # it lives, or is just going
                delivery.end()
                delivery.start()
                found.append(delivery)
        return found

    def _restart(self, step: float, attempt: Optional[int]) -> None:
        if attempt is None:
            delivery = self._writer.delivery
            if self._is_offline or not delivery.wait(
                    lambda: delivery.progress.attempt is not None, 30.0):
                raise protocol.Error(
                    f"which attempt resumes {self.project}/{self.run_id} at step {step:g} has to "
                    f"be asked of the server, which does not answer "
                    f"({delivery.progress.trouble or 'offline'}); say attempt=K",
                    protocol.UNAVAILABLE)
            assert delivery.progress.attempt is not None
            attempt = delivery.progress.attempt + 1
        self._writer.attempt = attempt
        self._writer.queue.put(Change(protocol.RESTART_RUN,
                                       protocol.restart_run(1, attempt, step)))

    def _after_fork(self) -> None:
        """In a child, which has this object and none of its threads: it logs by itself, if it does,
        and leaves it to its parent to end the run."""
        self._is_child = self._needs_writer = True
        self._rows_logged = self._rows_dropped = self._values_refused = 0
        self._leftovers = []
        self._writer.spool._lock.close()  # the parent's file stays locked by the parent

    def _own_writer(self) -> Writer:
        if self._needs_writer:
            self._needs_writer = False
            attempt = self.attempt
            self._writer = self._new_writer(protocol.NEWEST if attempt is None else attempt)
        return self._writer


def _close_spool(delivery: Delivery) -> None:
    if delivery.progress.failed is None and not delivery._is_stopped:
        delivery.spool.remove()
    else:
        delivery.spool.close()


_runs: "weakref.WeakSet[Run]" = weakref.WeakSet()


def _finish_all() -> None:
    failed = getattr(sys, "last_value", None) is not None
    for run in list(_runs):
        run.finish(failed=failed)


def _after_fork_in_child() -> None:
    for run in list(_runs):
        run._after_fork()


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def sync(directory: str, server: Optional[str] = None, token: Optional[str] = None,
         ca_file: Optional[str] = None) -> List[Tuple[str, bool, str]]:
    """Sends all spools below `directory` of which no process is alive. For each: where it is,
    whether all of it has its outcome, and what became of it."""
    outcomes = []
    for found in find_spools(directory):
        try:
            spool = Spool(found)
        except BlockingIOError:
            outcomes.append((found, False, "its process is alive and sends it itself"))
            continue
        except protocol.Error as error:
            outcomes.append((found, False, str(error)))
            continue
        if server is not None:
            spool.save_run(spool.run._replace(server=server))
        delivery = Delivery(spool, token if token is not None else
                            os.environ.get("STEPDB_TOKEN", ""), ca_file, say, is_leftover=True)
        delivery.end()
        delivery.run()
        progress = delivery.progress
        _close_spool(delivery)
        what = f"{progress.rows_acknowledged:,} rows sent"
        if progress.rows_refused:
            what += f", {progress.rows_refused:,} refused: {progress.refusals[0]}"
        if progress.failed is not None:
            what += f"; {progress.failed}"
        outcomes.append((found, progress.failed is None, what))
    return outcomes
