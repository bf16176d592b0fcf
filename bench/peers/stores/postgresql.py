"""PostgreSQL, Debian's: COPY in binary format, or multi-row INSERT, through its own libpq, on a
cluster of its own. A commit is synced, which is its default."""

import array
import ctypes
import glob
import os
import pwd
import re
import signal
import struct
import subprocess

import measure
from stores.sql import ColumnsLayout, PointsLayout
from stores.store import NotInstalled, ServerStore, end_with_parent, free_port

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
OK, COMMAND_OK, TUPLES_OK, COPY_IN = 0, 1, 2, 4
SETTINGS = ("-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB", "-c", "checkpoint_timeout=15min",
            "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1",
            "-c", "wal_compression=off", "-c", "jit=off")


def programs():
    """The folder of the newest version's programs."""
    def version(path):
        return int(path.split("/")[-2])

    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version)
    if not found:
        raise NotInstalled("apt-get install postgresql-15")
    return found[-1]


def _library():
    try:
        library = ctypes.CDLL("libpq.so.5")
    except OSError as error:
        raise NotInstalled("apt-get install libpq5") from error
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
            ("PQconnectdb", pointer, (text,)), ("PQstatus", ctypes.c_int, (pointer,)),
            ("PQfinish", None, (pointer,)), ("PQerrorMessage", text, (pointer,)),
            ("PQexec", pointer, (pointer, text)), ("PQresultStatus", ctypes.c_int, (pointer,)),
            ("PQclear", None, (pointer,)), ("PQntuples", ctypes.c_int, (pointer,)),
            ("PQnfields", ctypes.c_int, (pointer,)), ("PQftype", ctypes.c_uint, (pointer, ctypes.c_int)),
            ("PQgetvalue", text, (pointer, ctypes.c_int, ctypes.c_int)),
            ("PQputCopyData", ctypes.c_int, (pointer, text, ctypes.c_int)),
            ("PQputCopyEnd", ctypes.c_int, (pointer, text)),
            ("PQgetResult", pointer, (pointer,))):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


INTEGERS = (20, 21, 23)  # the types whose text is an integer
TEXTS = (25, 1043)


class Connection:
    """One connection by libpq."""

    def __init__(self, library, conninfo):
        self.library = library
        self.handle = library.PQconnectdb(conninfo.encode())
        if library.PQstatus(self.handle) != OK:
            said = self.error()
            self.close()
            raise ConnectionError(said)

    def error(self):
        return self.library.PQerrorMessage(self.handle).decode(errors="replace").strip()

    def close(self):
        self.library.PQfinish(self.handle)

    def run(self, text, *, status):
        result = self.library.PQexec(self.handle, text.encode())
        if self.library.PQresultStatus(result) != status:
            raise RuntimeError(f"PostgreSQL: {self.error()[:400]}")
        return result

    def command(self, text):
        self.library.PQclear(self.run(text, status=COMMAND_OK))

    def rows(self, text):
        library, result = self.library, self.run(text, status=TUPLES_OK)
        try:
            kinds = []
            for place in range(library.PQnfields(result)):
                kind = library.PQftype(result, place)
                kinds.append(int if kind in INTEGERS else bytes.decode if kind in TEXTS else float)
            return [tuple(kind(library.PQgetvalue(result, row, place))
                          for place, kind in enumerate(kinds))
                    for row in range(library.PQntuples(result))]
        finally:
            library.PQclear(result)

    def copy(self, statement, body):
        library = self.library
        library.PQclear(self.run(statement, status=COPY_IN))
        if library.PQputCopyData(self.handle, body, len(body)) != 1 or \
                library.PQputCopyEnd(self.handle, None) != 1:
            raise RuntimeError(f"PostgreSQL: {self.error()[:400]}")
        while result := library.PQgetResult(self.handle):
            status = library.PQresultStatus(result)
            library.PQclear(result)
            if status != COMMAND_OK:
                raise RuntimeError(f"PostgreSQL: {self.error()[:400]}")


class Tuples:
    """Rows of COPY's binary format that are all equally long, filled column by column."""

    def __init__(self, fields):
        """`fields`: bytes of each."""
        self.offsets, at = [], 2
        template = struct.pack(">h", len(fields))
        for length in fields:
            template += struct.pack(">i", length) + bytes(length)
            self.offsets.append(at + 4)
            at += 4 + length
        self.template, self.length = template, at

    def make(self, rows, columns):
        """`columns`: bytes of all cells of each field, big-endian, one behind the other; of one
        cell that stands for all."""
        body = bytearray(self.template) * rows
        for offset, (width, cells) in zip(self.offsets, columns):
            for place in range(width):
                plane = cells[place::width]
                body[offset + place::self.length] = plane if len(plane) == rows else plane * rows
        return HEADER + bytes(body) + TRAILER


    def with_added(self, body, field, number):
        """The same with a number added to a field of four bytes in each row."""
        at, end = len(HEADER) + self.offsets[field], len(body) - len(TRAILER)
        planes = [body[at + place:end:self.length] for place in range(4)]
        cells = bytearray(4 * len(planes[0]))
        for place, plane in enumerate(planes):
            cells[place::4] = plane
        numbers = array.array("i", bytes(cells))
        numbers.byteswap()
        _, cells = big_endian("i", (one + number for one in numbers))
        changed = bytearray(body)
        for place in range(4):
            changed[at + place:end:self.length] = cells[place::4]
        return bytes(changed)


def big_endian(kind, cells):
    cells = array.array(kind, cells)
    cells.byteswap()
    return cells.itemsize, cells.tobytes()


def each(column, times):
    """Every cell of a (width, bytes) column so many times over."""
    width, data = column
    out = bytearray(len(data) * times)
    for place in range(width):
        plane = data[place::width]
        for copy in range(times):
            out[copy * width + place::times * width] = plane
    return width, bytes(out)


class PostgreSql(ServerStore):
    """What the layouts share."""

    durability = "a commit is synced to its write-ahead log (synchronous_commit=on)"
    is_synced = True
    connections = 2
    sent = "COPY in binary format, a transaction a batch"
    stop_signal = signal.SIGINT  # fast shutdown
    divide = "step / {width}"
    table = ""

    @classmethod
    def find(cls):
        programs()
        _library()

    def version(self):
        said = subprocess.run([os.path.join(programs(), "postgres"), "--version"],
                              capture_output=True, text=True, check=True).stdout
        return "PostgreSQL " + re.search(r"\d+\.\d+", said)[0]

    def owner(self):
        """It refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def start(self):
        self.library = _library()
        cluster = os.path.join(self.directory, "cluster")
        if not os.path.isdir(cluster):
            os.makedirs(cluster)
            if owner := self.owner():
                os.chmod(self.directory, 0o711)
                os.chown(cluster, owner["user"], owner["group"])
            subprocess.run([os.path.join(programs(), "initdb"), "-D", cluster, "-A", "trust", "-U",
                            "postgres", "-E", "UTF8", "--locale=C"], check=True, cwd="/",
                           stdout=subprocess.DEVNULL, preexec_fn=end_with_parent, **self.owner())
        self.port = free_port()
        self.asking = self.launch(
            [os.path.join(programs(), "postgres"), "-D", cluster, "-p", str(self.port), *SETTINGS],
            self.connect, cwd="/", **self.owner())
        self.create()

    def create(self):
        raise NotImplementedError

    def connect(self):
        return Connection(self.library, f"host=127.0.0.1 port={self.port} user=postgres "
                          "dbname=postgres")

    def kill(self):
        """All its processes: the server's own would go on writing without their parent."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                                  text=True, check=False).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def copy(self, connection, body):
        connection.copy(f"COPY {self.table} FROM STDIN (FORMAT binary)", body)

    def settle(self):
        self.asking.command(f"VACUUM ANALYZE {self.table}")
        self.asking.command("CHECKPOINT")
        return "VACUUM ANALYZE, CHECKPOINT"

    def bytes_stored(self):
        """Of the table alone; an empty cluster takes 40 MB."""
        data = self.sql(f"SELECT pg_total_relation_size('{self.table}')")[0][0]
        return data, data + measure.disk_bytes(os.path.join(self.directory, "cluster", "pg_wal"))

    def sql(self, text):
        return self.asking.rows(text)


class PostgreSqlColumns(PostgreSql, ColumnsLayout):
    name = "postgresql"
    table = "metrics"

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        self.tuples = Tuples([4, 8, 8] + [4] * shape.metrics)

    def create(self):
        columns = ", ".join(f"{name} real" for name in self.metric_names())
        self.asking.command(f"CREATE TABLE IF NOT EXISTS metrics (run integer, step bigint, "
                            f"time bigint, {columns}, PRIMARY KEY (run, step))")

    def exact(self, function, name):
        return f"{function}({name}::float8)"

    def encode(self, batch):
        return self.tuples.make(batch.count, [
            big_endian("i", batch.runs()), big_endian("q", batch.steps()),
            big_endian("q", batch.times_us()),
            *(big_endian("f", batch.column(column)) for column in range(self.shape.metrics))])

    def send(self, connection, body, lap):
        if lap:
            body = self.tuples.with_added(body, 0, lap * self.shape.runs)
        self.copy(connection, body)


class PostgreSqlMlflow(PostgreSql, PointsLayout):
    """MLflow's table of metrics with its key and its index. MLflow itself would add to the cost."""

    name = "postgresql-mlflow"
    layout = "MLflow's table `metrics`: a row per point, names as text"
    table = "metrics"
    encode_in_clock = True  # a hundred bytes a point are too many to keep

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        self.keys = [shape.metric(column) for column in range(shape.metrics)]
        self.tuples = Tuples([len(self.keys[0]), 8, 8, len(shape.run(0)), 8, 1])

    def create(self):
        self.asking.command(
            "CREATE TABLE IF NOT EXISTS metrics (key varchar(250) NOT NULL, "
            "value double precision NOT NULL, timestamp bigint NOT NULL, run_uuid varchar(32) NOT NULL, "
            "step bigint NOT NULL, is_nan boolean NOT NULL, "
            "PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan)); "
            "CREATE INDEX IF NOT EXISTS index_metrics_run_uuid ON metrics (run_uuid)")

    def encode(self, batch):
        return batch

    def send(self, connection, body, lap):
        self.copy(connection, self.tuples_of(body, lap))

    def tuples_of(self, batch, lap):
        width = self.shape.metrics
        runs = "".join(self.shape.run(lap, run) for run in batch.runs()).encode()
        return self.tuples.make(batch.points, [
            (len(self.keys[0]), "".join(self.keys).encode() * batch.count),
            big_endian("d", batch.values), each(big_endian("q", batch.times_ms()), width),
            each((len(self.shape.run(0)), runs), width), each(big_endian("q", batch.steps()), width),
            (1, b"\0")])

    def where(self, column):
        return f"run_uuid = '{self.shape.run(0)}' AND key = '{self.keys[column]}'"

    def count_points(self):
        return self.sql("SELECT count(*) FROM metrics")[0][0]

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
        """MLflow keeps them in a table of their own, which COPY does not fill."""
        run = self.shape.run(0)
        return (f"SELECT key, value FROM metrics WHERE run_uuid = '{run}' AND timestamp = (SELECT "
                f"max(timestamp) FROM metrics WHERE run_uuid = '{run}' AND key = '{self.keys[0]}') "
                "ORDER BY key")

    def leaders_text(self, column):
        return (f"SELECT run_uuid, min(value) AS least FROM metrics WHERE key = "
                f"'{self.keys[column]}' AND run_uuid < '{self.shape.run(1)}' "
                "GROUP BY run_uuid ORDER BY least LIMIT 10")

    def read_leaders(self, answer):
        return [(int(row[0][-4:]), row[1]) for row in answer]


class PostgreSqlMlflowInsert(PostgreSqlMlflow):
    name = "postgresql-mlflow-insert"
    sent = "multi-row INSERT, a statement and transaction a batch"
    batch_points = 1_000  # what MLflow takes in one request

    def send(self, connection, body, lap):
        width = self.shape.metrics
        runs = [self.shape.run(lap, run) for run in body.runs()]
        rows = zip(runs, body.steps(), body.times_ms())
        cells = ",".join(f"('{self.keys[place]}',{body.values[row * width + place]!r},{time},'{run}',"
                         f"{step},false)" for row, (run, step, time) in enumerate(rows)
                         for place in range(width))
        connection.command("INSERT INTO metrics VALUES " + cells)


STORES = (PostgreSqlColumns, PostgreSqlMlflow, PostgreSqlMlflowInsert)
