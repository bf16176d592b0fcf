"""Questions: queries, tables, and queries that are watched."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Tuple, Union

from . import _fetch
from . import _protocol as protocol
from ._answer import Answer
from ._fetch import Names, Table
from ._version import CLIENT
from ._watch import Watch

Parameter = Union[str, int, float]


def _texts(parameters: Dict[str, Parameter]) -> Dict[str, str]:
    return {name: str(value) for name, value in parameters.items()}


class Connection:
    """Reads. One question at a time; not for several threads."""

    def __init__(self, server: Optional[str] = None, token: Optional[str] = None,
                 ca_file: Optional[str] = None, seconds: float = 60.0) -> None:
        """`seconds`: for the server to answer at the beginning."""
        self._server = server or os.environ.get("STEPDB_SERVER") or \
            f"127.0.0.1:{protocol.DEFAULT_PORT}"
        self._token = token if token is not None else os.environ.get("STEPDB_TOKEN", "")
        self._ca_file, self._seconds = ca_file, seconds
        self._socket = self._connect()
        self._requests = 0

    def _connect(self) -> protocol.Socket:
        return protocol.Socket(self._server, bytes(16), self._token, CLIENT, self._ca_file,
                               self._seconds)

    def query(self, text: str, **parameters: Parameter) -> Answer:
        """The answer to a query of docs/query-language.md; `$name` in it stands for `name=`."""
        self._requests += 1
        self._socket.send(protocol.query(self._requests, text, _texts(parameters)))
        answer = Answer()
        while True:
            one = self._socket.receive()
            if one.kind == protocol.ERROR:
                raise protocol.decode_error(one)
            if one.number != self._requests:
                continue  # of a query that was given up
            if one.kind == protocol.RESULT_COLUMNS:
                answer._begin(one.body)
            elif one.kind == protocol.RESULT_BLOCK:
                answer._add_block(one.body)
            elif one.kind == protocol.RESULT_END:
                answer._end(one.body)
                return answer

    def watch(self, text: str, **parameters: Parameter) -> Watch:
        """The query's answer, kept up to date: iterate over its updates. It has a connection of its
        own; this one goes on with other questions."""
        return Watch(self._connect(), text, _texts(parameters))

    def fetch_metrics(self, *, project: str, runs: Names, attributes: Names,
                      include_time: Optional[str] = None,
                      step_range: Tuple[Optional[float], Optional[float]] = (None, None),
                      lineage_to_the_root: bool = True,
                      tail_limit: Optional[int] = None) -> Table:
        """All points: a row for each run and step, a column for each metric. `include_time` may be
        "absolute"; the ends of `step_range` are in it; `tail_limit`: of each series the last ones;
        without `lineage_to_the_root` only what a fork has logged itself."""
        return _fetch.fetch_metrics(self, project, runs, attributes, include_time, step_range,
                                    lineage_to_the_root, tail_limit)

    def fetch_runs_table(self, *, project: str, runs: Optional[Names] = None,
                         attributes: Names = (), sort_by: str = "sys/created",
                         sort_direction: str = "desc", limit: Optional[int] = None) -> Table:
        """A row for each run, a column for each attribute; of a metric, the last value."""
        return _fetch.fetch_runs_table(self, project, runs, attributes, sort_by, sort_direction,
                                       limit)

    def fetch_metric_buckets(self, *, project: str, runs: Names, y: Names, x: str = "step",
                             limit: int = 1000, lineage_to_the_root: bool = True) -> Table:
        """Points to draw: of each of `limit` buckets the first for the first one, the last for the
        others. `query` with `buckets` has all that is known of a bucket."""
        return _fetch.fetch_metric_buckets(self, project, runs, x, y, limit, lineage_to_the_root)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def connect(server: Optional[str] = None, token: Optional[str] = None,
            ca_file: Optional[str] = None, seconds: float = 60.0) -> Connection:
    """To $STEPDB_SERVER, or 127.0.0.1:7420, with $STEPDB_TOKEN, where nothing else is said."""
    return Connection(server, token, ca_file, seconds)


def fetch_metrics(**arguments: Any) -> Table:
    """`Connection.fetch_metrics` of $STEPDB_SERVER."""
    with connect() as connection:
        return connection.fetch_metrics(**arguments)


def fetch_runs_table(**arguments: Any) -> Table:
    """`Connection.fetch_runs_table` of $STEPDB_SERVER."""
    with connect() as connection:
        return connection.fetch_runs_table(**arguments)


def fetch_metric_buckets(**arguments: Any) -> Table:
    """`Connection.fetch_metric_buckets` of $STEPDB_SERVER."""
    with connect() as connection:
        return connection.fetch_metric_buckets(**arguments)
