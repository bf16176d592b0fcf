"""chDB, ClickHouse's engine as a library, from its npm package: insert streams of blocks in Native
format, through the C interface of the library the package ships."""

import ctypes

from stores import native_blocks
from stores.npm import package_file, package_version
from stores.sql import ColumnsLayout, PointsLayout
from stores.store import InProcess

PACKAGE = "@chdb/lib-linux-x64-gnu"


def _library():
    library = ctypes.CDLL(package_file(PACKAGE, "libchdb.so"))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
            ("chdb_connect", ctypes.POINTER(pointer), (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p))),
            ("chdb_close_conn", None, (ctypes.POINTER(pointer),)),
            ("chdb_query_n", pointer, (pointer, ctypes.c_char_p, size, ctypes.c_char_p, size)),
            ("chdb_result_error", ctypes.c_char_p, (pointer,)),
            ("chdb_result_buffer", pointer, (pointer,)),
            ("chdb_result_length", size, (pointer,)),
            ("chdb_destroy_query_result", None, (pointer,)),
            ("chdb_stream_insert_n", pointer, (pointer, ctypes.c_char_p, size, ctypes.c_char_p, size)),
            ("chdb_stream_append", ctypes.c_int, (pointer, ctypes.c_char_p, size)),
            ("chdb_stream_insert_error", ctypes.c_char_p, (pointer,)),
            ("chdb_stream_done", pointer, (pointer,)),
            ("chdb_destroy_insert_stream", None, (pointer,))):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Chdb(InProcess):
    """What the layouts share."""

    sent = "in process, an insert stream of one block in Native format a batch"
    durability = "written to the file system, not synced (MergeTree)"
    divide = "intDiv(step, {width})"
    table = ""
    make = None

    @classmethod
    def find(cls):
        package_file(PACKAGE, "libchdb.so")

    def version(self):
        return f"chDB {package_version(PACKAGE).partition('-')[0]}"

    def start(self):
        self.library = _library()
        words = [b"clickhouse", f"--path={self.directory}/data".encode()]
        self.connection = self.library.chdb_connect(len(words),
                                                    (ctypes.c_char_p * len(words))(*words))
        if not self.connection:
            raise RuntimeError("chdb_connect failed")
        self.command(self.create())

    def create(self):
        raise NotImplementedError

    def stop(self):
        self.library.chdb_close_conn(self.connection)

    def _taken(self, result):
        """The bytes of a result, which is freed."""
        try:
            if error := self.library.chdb_result_error(result):
                raise RuntimeError(f"chDB: {error.decode(errors='replace')[:400]}")
            length = self.library.chdb_result_length(result)
            return ctypes.string_at(self.library.chdb_result_buffer(result), length) if length else b""
        finally:
            self.library.chdb_destroy_query_result(result)

    def raw(self, text, form=b"Native"):
        text = text.encode()
        return self._taken(self.library.chdb_query_n(self.connection[0], text, len(text), form,
                                                     len(form)))

    def command(self, text):
        self.raw(text, b"Null")

    def sql(self, text):
        return native_blocks.rows_of(self.raw(text))

    def encode(self, batch):
        return native_blocks.Laps(self.shape, batch, self.make)

    def send(self, connection, body, lap):
        text = f"INSERT INTO {self.table}".encode()
        stream = self.library.chdb_stream_insert_n(self.connection[0], text, len(text), b"Native", 6)
        try:
            for piece in body.body(lap):
                if self.library.chdb_stream_append(stream, piece, len(piece)) != 0:
                    error = self.library.chdb_stream_insert_error(stream) or b""
                    raise RuntimeError(f"chDB: {error.decode(errors='replace')[:400]}")
            self._taken(self.library.chdb_stream_done(stream))
        finally:
            self.library.chdb_destroy_insert_stream(stream)

    def settle(self):
        self.command(f"OPTIMIZE TABLE {self.table} FINAL")
        return "OPTIMIZE TABLE FINAL"

    def bytes_stored(self):
        active = self.sql("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND "
                          f"table = '{self.table}'")[0][0]
        return active, active

    def chart(self, columns):
        return self.raw(self.chart_text(columns))

    def read_chart(self, answer, columns):
        return super().read_chart(native_blocks.rows_of(answer), columns)

    def last_values(self):
        return self.raw(self.last_values_text())

    def read_last_values(self, answer):
        return super().read_last_values(native_blocks.rows_of(answer))

    def leaders(self, column):
        return self.raw(self.leaders_text(column))

    def read_leaders(self, answer):
        return super().read_leaders(native_blocks.rows_of(answer))


KEY_CODECS = ("run UInt32 CODEC(Delta, LZ4), {metric}step Int64 CODEC(DoubleDelta, LZ4), "
              "time Int64 CODEC(DoubleDelta, LZ4)")


class ChdbColumns(Chdb, ColumnsLayout):
    name = "chdb"
    layout = ColumnsLayout.layout + "; step and time DoubleDelta, values ZSTD"
    table = "metrics"
    make = staticmethod(native_blocks.columns_block)

    def create(self):
        columns = ", ".join(f"{name} Float32 CODEC(ZSTD(1))" for name in self.metric_names())
        return (f"CREATE TABLE IF NOT EXISTS metrics ({KEY_CODECS.format(metric='')}, {columns}) "
                "ENGINE = MergeTree ORDER BY (run, step)")


class ChdbPoints(Chdb, PointsLayout):
    name = "chdb-points"
    layout = PointsLayout.layout + "; step and time DoubleDelta, values ZSTD"
    table = "points"
    make = staticmethod(native_blocks.points_block)

    def create(self):
        keys = KEY_CODECS.format(metric="metric UInt32 CODEC(Delta, LZ4), ")
        return (f"CREATE TABLE IF NOT EXISTS points ({keys}, value Float32 CODEC(ZSTD(1))) "
                "ENGINE = MergeTree ORDER BY (run, metric, step)")


STORES = (ChdbColumns, ChdbPoints)
