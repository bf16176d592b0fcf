"""InfluxDB 1, Debian's: line protocol, a field per metric, its documented way to write values that
share a time; a step is a millisecond."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse

import measure
from stores.store import HttpServer, NotInstalled, free_port, wait_until_quiet
from workload import FIRST_TIME_MS, texts

CONFIGURATION = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  index-version = "tsi1"
  cache-max-memory-size = "4g"
  cache-snapshot-write-cold-duration = "2s"
  compact-full-write-cold-duration = "2s"
  max-values-per-tag = 0
  query-log-enabled = false
[coordinator]
  write-timeout = "300s"
  log-queries-after = "0s"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  max-body-size = 0
[continuous_queries]
  enabled = false
"""


class Influxdb(HttpServer):
    name = "influxdb"
    layout = "a field per metric, the run as a tag; a step is a millisecond, no time beside it"
    sent = "/write, line protocol, a line a row"
    durability = "synced to its write-ahead log (wal-fsync-delay = 0s)"
    is_synced = True
    connections = 2
    is_decimal = True

    @classmethod
    def find(cls):
        if not shutil.which("influxd"):
            raise NotInstalled("apt-get install influxdb")

    def version(self):
        said = subprocess.run(["influxd", "version"], capture_output=True, text=True, check=False)
        found = re.search(r"v(\d+(\.\d+)+)", said.stdout)
        return "InfluxDB " + (found[1] if found else "of unknown version")

    def start(self):
        self.port = free_port()
        path = os.path.join(self.directory, "influxdb.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(directory=self.directory, port=self.port,
                                            rpc=free_port()))
        self.launch(["influxd", "-config", path], lambda: self.ask("/ping"))
        self.request(self.connect(), "POST", "/query?q=CREATE+DATABASE+peers")

    def encode(self, batch):
        shape, width = self.shape, self.shape.metrics
        values = texts(batch.values)
        fields = ",".join(f"{self.field(column)}=%s" for column in range(width))
        runs = [shape.run(0, run) for run in batch.runs()]
        return "".join(
            f"bench,run={run} {fields} {at}\n" % tuple(values[row * width:(row + 1) * width])
            for row, (run, at) in enumerate(zip(runs, batch.times_ms()))).encode()

    @staticmethod
    def field(column):
        return f"m{column:06d}"

    def send(self, connection, body, lap):
        if lap:
            body = body.replace(b"run=run-000-", b"run=run-%03d-" % lap)
        self.request(connection, "POST", "/write?db=peers&precision=ms", body)

    def settle(self):
        return ("cold compaction of all shards; 12 s without a change",
                wait_until_quiet(self, lambda: (True, measure.disk_bytes(self.directory)), 12))

    def bytes_stored(self):
        data = measure.disk_bytes(self.directory + "/data", self.directory + "/meta")
        return data, data + measure.disk_bytes(self.directory + "/wal")

    def query(self, text):
        return self.ask("/query?" + urllib.parse.urlencode({"db": "peers", "q": text, "epoch": "ms"}))

    @staticmethod
    def series(answer):
        result = json.loads(answer)["results"][0]
        if "error" in result:
            raise RuntimeError(f"influxdb: {result['error']}")
        return result.get("series", [])

    def count_points(self):
        found = self.series(self.query("SELECT count(*) FROM bench"))
        return sum(found[0]["values"][0][1:]) if found else 0

    def totals(self, column):
        name = self.field(column)
        answer = self.query(f"SELECT count({name}), min({name}), max({name}), sum({name}) FROM bench "
                            "WHERE run = 'run-000-0000'")
        return tuple(self.series(answer)[0]["values"][0][1:])

    def chart(self, columns):
        asked = ", ".join(f"count({name}), min({name}), max({name}), mean({name})"
                          for name in map(self.field, columns))
        width = self.shape.bucket_width
        return self.query(f"SELECT {asked} FROM bench WHERE run = 'run-000-0000' AND "
                          f"time >= {FIRST_TIME_MS}ms AND time < {FIRST_TIME_MS + self.shape.rows}ms "
                          f"GROUP BY time({width}ms, {FIRST_TIME_MS % width}ms)")

    def read_chart(self, answer, columns):
        width = self.shape.bucket_width
        rows = self.series(answer)[0]["values"]
        return [[((row[0] - FIRST_TIME_MS) // width, *row[1 + 4 * place:5 + 4 * place])
                 for row in rows if row[1 + 4 * place]] for place in range(len(columns))]

    def last_values(self):
        return self.query("SELECT * FROM bench WHERE run = 'run-000-0000' ORDER BY time DESC LIMIT 1")

    def read_last_values(self, answer):
        found = self.series(answer)[0]
        by_name = dict(zip(found["columns"], found["values"][0]))
        return [by_name[self.field(column)] for column in range(self.shape.metrics)]

    def leaders(self, column):
        """It cannot sort by a value of a group: all runs are answered, and sorted here."""
        answer = self.query(f"SELECT min({self.field(column)}) FROM bench WHERE run =~ /^run-000-/ "
                            "GROUP BY run")
        pairs = [(int(one["tags"]["run"][-4:]), one["values"][0][1]) for one in self.series(answer)]
        return sorted(pairs, key=lambda pair: pair[1])[:10]

    def read_leaders(self, answer):
        return answer


STORES = (Influxdb,)
