"""SQLite, by Python's own module: a prepared INSERT, a transaction a batch, WAL with
synchronous=FULL, so that a commit is synced."""

import itertools
import os
import sqlite3

import measure
from stores.sql import ColumnsLayout, PointsLayout
from stores.store import InProcess


class Sqlite(InProcess):
    """What the layouts share."""

    durability = "a transaction is synced (journal_mode=WAL, synchronous=FULL)"
    is_synced = True
    journal = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
    encode_in_clock = True  # as an iterator that costs nothing until it is read
    create = ()
    insert = ""

    def version(self):
        return f"SQLite {sqlite3.sqlite_version}"

    def start(self):
        self.database = sqlite3.connect(os.path.join(self.directory, "store.db"),
                                        isolation_level=None)
        for pragma in (*self.journal, "PRAGMA cache_size=-262144"):
            self.database.execute(pragma).fetchall()
        for statement in self.create:
            self.database.execute(statement)

    def stop(self):
        self.database.close()

    def encode(self, batch):
        return batch

    def rows(self, batch, lap):
        """An iterator of what `insert` takes."""
        raise NotImplementedError

    def send(self, connection, body, lap):
        self.database.execute("BEGIN")
        self.database.executemany(self.insert, self.rows(body, lap))
        self.database.execute("COMMIT")

    def settle(self):
        self.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return "wal_checkpoint(TRUNCATE)"

    def bytes_stored(self):
        path = os.path.join(self.directory, "store.db")
        return measure.disk_bytes(path), measure.disk_bytes(self.directory)

    def sql(self, text):
        return self.database.execute(text).fetchall()


class SqliteColumns(ColumnsLayout, Sqlite):
    name = "sqlite"
    layout = "a column per metric (a REAL)"
    sent = "prepared INSERT of a row, a transaction a batch"
    divide = "step / {width}"

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        columns = ", ".join(f"{name} REAL" for name in self.metric_names())
        self.create = (f"CREATE TABLE IF NOT EXISTS metrics (run INTEGER, step INTEGER, "
                       f"time INTEGER, {columns}, PRIMARY KEY (run, step)) WITHOUT ROWID",)
        self.insert = f"INSERT INTO metrics VALUES ({', '.join('?' * (3 + shape.metrics))})"

    def rows(self, batch, lap):
        runs = [self.shape.run_number(lap, run) for run in batch.runs()]
        return zip(runs, batch.steps(), batch.times_us(),
                   *(batch.column(column) for column in range(self.shape.metrics)))


class SqlitePoints(PointsLayout, Sqlite):
    name = "sqlite-points"
    sent = "prepared INSERT of a point, a transaction a batch"
    divide = "step / {width}"
    create = ("CREATE TABLE IF NOT EXISTS points (run INTEGER, metric INTEGER, step INTEGER, "
              "time INTEGER, value REAL, PRIMARY KEY (run, metric, step)) WITHOUT ROWID",)
    insert = "INSERT INTO points VALUES (?, ?, ?, ?, ?)"

    def rows(self, batch, lap):
        return zip(self.a_point((self.shape.run_number(lap, run) for run in batch.runs())),
                   itertools.cycle(range(self.shape.metrics)), self.a_point(batch.steps()),
                   self.a_point(batch.times_us()), batch.values)

    def a_point(self, cells):
        """Each cell of a row once for each of its points."""
        return itertools.chain.from_iterable(
            map(itertools.repeat, cells, itertools.repeat(self.shape.metrics)))


class SqliteMlflow(SqlitePoints):
    """MLflow's table of metrics with its key and its index, in the journal mode it is opened with,
    which is SQLite's default. MLflow itself, its server and its ORM, would add to it."""

    name = "sqlite-mlflow"
    layout = "MLflow's table `metrics`: a row per point, names as text"
    durability = "a transaction is synced (journal_mode=DELETE, synchronous=FULL)"
    journal = ()
    batch_points = 1_000  # what MLflow takes in one request
    create = ("CREATE TABLE IF NOT EXISTS metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, "
              "timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL, step BIGINT NOT NULL, "
              "is_nan BOOLEAN NOT NULL, PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan))",
              "CREATE INDEX IF NOT EXISTS index_metrics_run_uuid ON metrics (run_uuid)",
              "CREATE TABLE IF NOT EXISTS latest_metrics (key VARCHAR(250) NOT NULL, value FLOAT, "
              "timestamp BIGINT, step BIGINT NOT NULL, is_nan BOOLEAN NOT NULL, "
              "run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid))")
    insert = "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)"

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        self.keys = [shape.metric(column) for column in range(shape.metrics)]

    def rows(self, batch, lap):
        return zip(itertools.cycle(self.keys), batch.values, self.a_point(batch.times_ms()),
                   self.a_point(self.shape.run(lap, run) for run in batch.runs()),
                   self.a_point(batch.steps()))

    def send(self, connection, body, lap):
        """A transaction as MLflow's log_batch: the points, and the newest of each metric."""
        rows = list(self.rows(body, lap))
        newest = {(row[0], row[3]): row for row in rows}
        self.database.execute("BEGIN")
        self.database.executemany(self.insert, rows)
        self.database.executemany(
            "INSERT OR REPLACE INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "VALUES (?, ?, ?, ?, ?, 0)", newest.values())
        self.database.execute("COMMIT")

    def count_points(self):
        return self.sql("SELECT count(*) FROM metrics")[0][0]

    def where(self, column):
        return f"run_uuid = '{self.shape.run(0)}' AND key = '{self.keys[column]}'"

    def totals(self, column):
        return self.sql("SELECT count(*), min(value), max(value), sum(value) FROM metrics "
                        f"WHERE {self.where(column)}")[0]

    def chart_text(self, columns):
        keys = ", ".join(f"'{self.keys[column]}'" for column in columns)
        return (f"SELECT key, {self.bucket()} AS b, count(*), min(value), max(value), avg(value) "
                f"FROM metrics WHERE run_uuid = '{self.shape.run(0)}' AND key IN ({keys}) "
                "GROUP BY key, b ORDER BY key, b")

    def read_chart(self, answer, columns):
        return [[row[1:] for row in answer if row[0] == self.keys[column]] for column in columns]

    def last_values_text(self):
        return ("SELECT key, value FROM latest_metrics "
                f"WHERE run_uuid = '{self.shape.run(0)}' ORDER BY key")

    def leaders_text(self, column):
        return (f"SELECT run_uuid, min(value) AS least FROM metrics WHERE key = "
                f"'{self.keys[column]}' AND run_uuid < '{self.shape.run(1)}' "
                "GROUP BY run_uuid ORDER BY least LIMIT 10")

    def read_leaders(self, answer):
        return [(int(row[0][-4:]), row[1]) for row in answer]


STORES = (SqliteColumns, SqlitePoints, SqliteMlflow)
