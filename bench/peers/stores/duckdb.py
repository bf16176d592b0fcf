"""DuckDB, from the npm package of its bindings: appenders of data chunks, through the C interface of
the library the package ships; a batch is flushed, and so committed, as a whole."""

import ctypes
import os

import measure
from stores.native_blocks import spread
from stores.npm import package_file, package_version
from stores.sql import ColumnsLayout, PointsLayout
from stores.store import InProcess

PACKAGE = "@duckdb/node-bindings-linux-x64"
VECTOR_ROWS = 2048  # of one data chunk
BIGINT, UINTEGER, FLOAT, DOUBLE = 5, 8, 10, 11  # of duckdb_type
HUGEINT, SMALLINT, INTEGER, UBIGINT = 16, 3, 4, 9
CELLS = {BIGINT: ctypes.c_int64, UINTEGER: ctypes.c_uint32, FLOAT: ctypes.c_float,
         DOUBLE: ctypes.c_double, SMALLINT: ctypes.c_int16, INTEGER: ctypes.c_int32,
         UBIGINT: ctypes.c_uint64}
pointer, size = ctypes.c_void_p, ctypes.c_uint64


class Result(ctypes.Structure):
    """duckdb_result, whose fields are nobody's business but its library's."""

    _fields_ = [("words", ctypes.c_uint64 * 6)]


def _library():
    library = ctypes.CDLL(package_file(PACKAGE, "libduckdb.so"))
    out, result = ctypes.POINTER(pointer), ctypes.POINTER(Result)
    for name, gives, arguments in (
            ("duckdb_open", ctypes.c_int, (ctypes.c_char_p, out)),
            ("duckdb_connect", ctypes.c_int, (pointer, out)),
            ("duckdb_disconnect", None, (out,)), ("duckdb_close", None, (out,)),
            ("duckdb_query", ctypes.c_int, (pointer, ctypes.c_char_p, result)),
            ("duckdb_result_error", ctypes.c_char_p, (result,)),
            ("duckdb_destroy_result", None, (result,)),
            ("duckdb_column_count", size, (result,)),
            ("duckdb_column_type", ctypes.c_int, (result, size)),
            ("duckdb_fetch_chunk", pointer, (Result,)),
            ("duckdb_create_logical_type", pointer, (ctypes.c_int,)),
            ("duckdb_create_data_chunk", pointer, (out, size)),
            ("duckdb_destroy_data_chunk", None, (out,)),
            ("duckdb_data_chunk_reset", None, (pointer,)),
            ("duckdb_data_chunk_get_size", size, (pointer,)),
            ("duckdb_data_chunk_set_size", None, (pointer, size)),
            ("duckdb_data_chunk_get_vector", pointer, (pointer, size)),
            ("duckdb_vector_get_data", pointer, (pointer,)),
            ("duckdb_appender_create", ctypes.c_int,
             (pointer, ctypes.c_char_p, ctypes.c_char_p, out)),
            ("duckdb_appender_error", ctypes.c_char_p, (pointer,)),
            ("duckdb_append_data_chunk", ctypes.c_int, (pointer, pointer)),
            ("duckdb_appender_flush", ctypes.c_int, (pointer,)),
            ("duckdb_appender_destroy", ctypes.c_int, (out,))):
        function = getattr(library, name)
        function.restype, function.argtypes = gives, arguments
    return library


class DuckDb(InProcess):
    """What the layouts share."""

    sent = "in process, an appender, flushed and so committed a batch"
    durability = "a commit is synced to its write-ahead log"
    is_synced = True
    divide = "step // {width}"
    table = ""
    kinds = ()

    @classmethod
    def find(cls):
        package_file(PACKAGE, "libduckdb.so")

    def version(self):
        return f"DuckDB {package_version(PACKAGE).partition('-')[0]}"

    def start(self):
        self.library = library = _library()
        self.database, self.session, self.appender = pointer(), pointer(), pointer()
        path = os.path.join(self.directory, "store.duckdb").encode()
        self.must(library.duckdb_open(path, self.database), "open")
        self.must(library.duckdb_connect(self.database, self.session), "connect")
        self.sql(self.create())
        self.must(library.duckdb_appender_create(self.session, None, self.table.encode(),
                                                 self.appender), "create an appender")
        types = (pointer * len(self.kinds))(*map(library.duckdb_create_logical_type, self.kinds))
        self.chunk = pointer(library.duckdb_create_data_chunk(types, len(self.kinds)))

    def create(self):
        raise NotImplementedError

    @staticmethod
    def must(state, what):
        if state != 0:
            raise RuntimeError(f"DuckDB does not {what}")

    def stop(self):
        self.library.duckdb_appender_destroy(self.appender)
        self.library.duckdb_destroy_data_chunk(self.chunk)
        self.library.duckdb_disconnect(self.session)
        self.library.duckdb_close(self.database)

    def encode(self, batch):
        """For each data chunk its rows, and the bytes of each column but that of the run."""
        columns = self.columns_of(batch)
        widths = [ctypes.sizeof(CELLS[kind]) for kind in self.kinds[1:]]
        rows = len(columns[0]) // widths[0]
        runs = self.runs_of(batch)
        return [(min(VECTOR_ROWS, rows - first), runs[first:first + VECTOR_ROWS],
                 [cells[width * first:width * (first + VECTOR_ROWS)]
                  for cells, width in zip(columns, widths)])
                for first in range(0, rows, VECTOR_ROWS)]

    def columns_of(self, batch):
        raise NotImplementedError

    def runs_of(self, batch):
        """The run's number within the lap, for each row of the table."""
        raise NotImplementedError

    def send(self, connection, body, lap):
        library = self.library
        for rows, runs, columns in body:
            library.duckdb_data_chunk_reset(self.chunk)
            base = lap * self.shape.runs
            cells = spread("I", [base + run for run in runs] if self.shape.runs > 1 else
                           [base], 1 if self.shape.runs > 1 else rows)
            for place, data in enumerate((cells, *columns)):
                vector = library.duckdb_data_chunk_get_vector(self.chunk, place)
                ctypes.memmove(library.duckdb_vector_get_data(vector), data, len(data))
            library.duckdb_data_chunk_set_size(self.chunk, rows)
            self.append(library.duckdb_append_data_chunk(self.appender, self.chunk))
        self.append(library.duckdb_appender_flush(self.appender))

    def append(self, state):
        if state != 0:
            error = self.library.duckdb_appender_error(self.appender) or b"?"
            raise RuntimeError(f"DuckDB: {error.decode(errors='replace')[:400]}")

    def settle(self):
        self.sql("CHECKPOINT")
        return "CHECKPOINT"

    def bytes_stored(self):
        data = measure.disk_bytes(os.path.join(self.directory, "store.duckdb"))
        return data, measure.disk_bytes(self.directory)

    def sql(self, text):
        """Rows of numbers."""
        result = Result()
        try:
            if self.library.duckdb_query(self.session, text.encode(), result) != 0:
                error = self.library.duckdb_result_error(result) or b"?"
                raise RuntimeError(f"DuckDB: {error.decode(errors='replace')[:400]}")
            return self._rows(result)
        finally:
            self.library.duckdb_destroy_result(result)

    def _rows(self, result):
        library, rows = self.library, []
        count = library.duckdb_column_count(result)
        kinds = [CELLS.get(library.duckdb_column_type(result, place)) for place in range(count)]
        while chunk := library.duckdb_fetch_chunk(result):
            chunk = pointer(chunk)
            taken = library.duckdb_data_chunk_get_size(chunk)
            columns = []
            for place, kind in enumerate(kinds):
                vector = library.duckdb_data_chunk_get_vector(chunk, place)
                data = library.duckdb_vector_get_data(vector)
                columns.append((kind * taken).from_address(data)[:] if kind else [None] * taken)
            rows += zip(*columns)
            library.duckdb_destroy_data_chunk(chunk)
        return rows


class DuckDbColumns(DuckDb, ColumnsLayout):
    name = "duckdb"
    layout = ColumnsLayout.layout
    table = "metrics"

    def __init__(self, directory, shape):
        super().__init__(directory, shape)
        self.kinds = (UINTEGER, BIGINT, BIGINT) + (FLOAT,) * shape.metrics

    def create(self):
        columns = ", ".join(f"{name} FLOAT" for name in self.metric_names())
        return ("CREATE TABLE IF NOT EXISTS metrics (run UINTEGER, step BIGINT, time BIGINT, "
                f"{columns})")

    def columns_of(self, batch):
        return [batch.steps().tobytes(), batch.times_us().tobytes(),
                *(batch.column(column).tobytes() for column in range(self.shape.metrics))]

    def runs_of(self, batch):
        return batch.runs()


class DuckDbPoints(DuckDb, PointsLayout):
    name = "duckdb-points"
    layout = PointsLayout.layout
    table = "points"
    kinds = (UINTEGER, UINTEGER, BIGINT, BIGINT, FLOAT)

    def create(self):
        return ("CREATE TABLE IF NOT EXISTS points (run UINTEGER, metric UINTEGER, step BIGINT, "
                "time BIGINT, value FLOAT)")

    def columns_of(self, batch):
        width = self.shape.metrics
        return [spread("I", list(range(width)) * batch.count, 1), spread("q", batch.steps(), width),
                spread("q", batch.times_us(), width), batch.values.tobytes()]

    def runs_of(self, batch):
        width = self.shape.metrics
        return [run for run in batch.runs() for _ in range(width)]


STORES = (DuckDbColumns, DuckDbPoints)
