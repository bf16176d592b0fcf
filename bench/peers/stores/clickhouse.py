"""ClickHouse, Debian's server of 2018: blocks in its Native format over HTTP, into MergeTree."""

import os
import re
import shutil
import subprocess

from stores import native_blocks
from stores.sql import ColumnsLayout, PointsLayout
from stores.store import HttpServer, NotInstalled, free_port

CONFIGURATION = """\
<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><log>{directory}/server.log</log>
    <errorlog>{directory}/errors.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <path>{directory}/data/</path>
  <tmp_path>{directory}/tmp/</tmp_path>
  <user_files_path>{directory}/files/</user_files_path>
  <users_config>{directory}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>1073741824</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <timezone>UTC</timezone>
  <keep_alive_timeout>3600</keep_alive_timeout>
</yandex>
"""
USERS = """\
<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>8000000000</max_memory_usage></default></profiles>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota></default></users>
  <quotas><default></default></quotas>
</yandex>
"""

# As the engine has it today; at the 300 parts of 2018 it refuses small requests.
PARTS = "SETTINGS parts_to_delay_insert = 1000, parts_to_throw_insert = 3000"


class ClickHouse(HttpServer):
    """What the layouts share."""

    sent = "HTTP, blocks in Native format"
    durability = "written to the file system, not synced (MergeTree)"
    connections = 2
    divide = "intDiv(step, {width})"
    table = ""
    make = None

    @classmethod
    def find(cls):
        if not shutil.which("clickhouse-server"):
            raise NotInstalled("apt-get install clickhouse-server")

    def version(self):
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "clickhouse-server"],
                              capture_output=True, text=True, check=False).stdout
        found = re.match(r"[\d.]+", said)
        return "ClickHouse " + (found[0] if found else "of unknown version")

    def start(self):
        self.port = free_port()
        for name, content in (("config.xml", CONFIGURATION), ("users.xml", USERS)):
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
                file.write(content.format(directory=self.directory, port=self.port))
        self.launch(["clickhouse-server", "--config-file", self.directory + "/config.xml"],
                    lambda: self.ask("/"))
        self.command(self.create())

    def create(self):
        raise NotImplementedError

    def command(self, text):
        connection = self.connect()
        self.request(connection, "POST", "/", text.encode())
        connection.close()

    def encode(self, batch):
        return native_blocks.Laps(self.shape, batch, self.make)

    def send(self, connection, body, lap):
        pieces = body.body(lap)
        self.request(connection, "POST", f"/?query=INSERT+INTO+{self.table}+FORMAT+Native",
                     iter(pieces), {"Content-Length": str(sum(map(len, pieces)))})

    def settle(self):
        self.command(f"OPTIMIZE TABLE {self.table} FINAL")
        return "OPTIMIZE TABLE FINAL"

    def bytes_stored(self):
        """Merged parts are removed minutes later; only those that count are counted."""
        active = self.sql("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND "
                          "database = 'default'")[0][0]
        return active, active

    def raw(self, text):
        if not hasattr(self, "asking"):
            self.asking = self.connect()
        return self.request(self.asking, "POST", "/",
                            (text + " FORMAT Native").encode())

    def sql(self, text):
        return native_blocks.rows_of(self.raw(text))

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


class ClickHouseColumns(ClickHouse, ColumnsLayout):
    name = "clickhouse"
    layout = ColumnsLayout.layout
    table = "metrics"
    make = staticmethod(native_blocks.columns_block)

    def create(self):
        columns = ", ".join(f"{name} Float32" for name in self.metric_names())
        return ("CREATE TABLE IF NOT EXISTS metrics (run UInt32, step Int64, time Int64, "
                f"{columns}) ENGINE = MergeTree ORDER BY (run, step) {PARTS}")


class ClickHousePoints(ClickHouse, PointsLayout):
    name = "clickhouse-points"
    layout = PointsLayout.layout
    table = "points"
    make = staticmethod(native_blocks.points_block)

    def create(self):
        return ("CREATE TABLE IF NOT EXISTS points (run UInt32, metric UInt32, step Int64, "
                f"time Int64, value Float32) ENGINE = MergeTree ORDER BY (run, metric, step) {PARTS}")


STORES = (ClickHouseColumns, ClickHousePoints)
