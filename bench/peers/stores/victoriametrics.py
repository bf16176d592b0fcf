"""VictoriaMetrics, Debian's single node: JSON lines to /api/v1/import, a line a series and request,
which was its fastest documented path here; a step is a millisecond."""

import json
import shutil
import subprocess
import urllib.parse

from stores.store import HttpServer, NotInstalled, free_port, wait_until_quiet
from workload import FIRST_TIME_MS, texts


class VictoriaMetrics(HttpServer):
    name = "victoriametrics"
    layout = "a series per metric and run; a step is a millisecond, no time beside it"
    sent = "/api/v1/import, JSON lines, a series a line"
    durability = ("nothing of the last second: new points are in memory until they are written as "
                  "parts, there is no log")
    connections = 2
    is_decimal = True

    @classmethod
    def find(cls):
        if not shutil.which("victoria-metrics"):
            raise NotInstalled("apt-get install victoria-metrics")

    def version(self):
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "victoria-metrics"],
                              capture_output=True, text=True, check=False).stdout
        return "VictoriaMetrics " + (said.partition("+")[0] or "of unknown version")

    def start(self):
        self.port = free_port()
        self.launch(["victoria-metrics", "-storageDataPath", self.directory + "/data",
                     "-httpListenAddr", f"127.0.0.1:{self.port}", "-retentionPeriod", "100y",
                     "-import.maxLineLen", "100MB", "-search.latencyOffset", "0s",
                     "-search.maxUniqueTimeseries", "1000000", "-loggerLevel", "WARN",
                     "-http.idleConnTimeout", "1h", "-http.connTimeout", "1h"],
                    lambda: self.ask("/health"))

    def encode(self, batch):
        """Lines in the order of their series' first rows."""
        shape, runs = self.shape, self.shape.runs
        values = texts(batch.values)
        lines = []
        for run_at in range(min(runs, batch.count)):
            rows = range(run_at, batch.count, runs)
            times = ",".join(map(str, batch.times_ms()[run_at::runs]))
            run = shape.run(0, (batch.first + run_at) % runs)
            for column in range(shape.metrics):
                series = ",".join(values[rows[0] * shape.metrics + column::runs * shape.metrics])
                lines.append(f'{{"metric":{{"__name__":"{shape.metric(column)}","run":"{run}"}},'
                             f'"values":[{series}],"timestamps":[{times}]}}\n')
        return "".join(lines).encode()

    def send(self, connection, body, lap):
        if lap:
            body = body.replace(b'"run":"run-000-', b'"run":"run-%03d-' % lap)
        self.request(connection, "POST", "/api/v1/import", body)

    def settle(self):
        self.ask("/internal/force_flush")
        self.ask("/internal/force_merge")

        def merging():
            metrics = self.ask("/metrics").decode().splitlines()
            active = sum(float(line.split()[-1]) for line in metrics
                         if line.startswith("vm_active_merges"))
            return active == 0, active

        return "force_flush, force_merge", wait_until_quiet(self, merging, 2)

    def query(self, text, start_ms, end_ms, step):
        parameters = urllib.parse.urlencode({
            "query": text, "start": f"{start_ms / 1000:.3f}", "end": f"{end_ms / 1000:.3f}",
            "step": step, "nocache": 1})
        return self.ask("/api/v1/query_range?" + parameters)

    def at_end(self, text):
        """Of an instant query behind the last step: pairs of labels and value."""
        end = FIRST_TIME_MS + self.shape.rows
        parameters = urllib.parse.urlencode({"query": text, "time": f"{end / 1000:.3f}",
                                             "nocache": 1})
        return self.ask("/api/v1/query?" + parameters)

    @staticmethod
    def pairs(answer):
        result = json.loads(answer)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def whole(self):
        return f"{self.shape.rows + 10}ms"

    def series(self, columns, run="run-000-0000"):
        names = "|".join(self.shape.metric(column) for column in columns)
        is_one = len(columns) == 1
        return f'{{__name__{"=" if is_one else "=~"}"{names}",run="{run}"}}'

    def count_points(self):
        answer = self.pairs(self.at_end(f'sum(count_over_time({{run=~"run-.+"}}[{self.whole()}]))'))
        return int(answer[0][1]) if answer else 0

    def totals(self, column):
        functions = ("count_over_time", "min_over_time", "max_over_time", "sum_over_time")
        series = f"{self.series([column])}[{self.whole()}]"
        count, *rest = (self.pairs(self.at_end(f"{one}({series})"))[0][1] for one in functions)
        return (int(count), *rest)

    def chart(self, columns):
        """Buckets are (t - width, t], so t is their last millisecond."""
        width = self.shape.bucket_width
        text = (f'aggr_over_time(("count_over_time","min_over_time","max_over_time",'
                f'"avg_over_time"), {self.series(columns)}[{width}ms]) keep_metric_names')
        first = FIRST_TIME_MS + width - 1
        return self.query(text, first, FIRST_TIME_MS + self.shape.rows - 1, f"{width}ms")

    def read_chart(self, answer, columns):
        width = self.shape.bucket_width
        found = {}
        for one in json.loads(answer)["data"]["result"]:
            labels = one["metric"]
            cells = {(round(1000 * float(at)) - FIRST_TIME_MS) // width: float(value)
                     for at, value in one["values"]}
            found[labels["__name__"], labels["rollup"]] = cells
        charts = []
        for column in columns:
            counts, *rest = (found[self.shape.metric(column), rollup] for rollup in (
                "count_over_time", "min_over_time", "max_over_time", "avg_over_time"))
            charts.append([(bucket, int(count), *(cells[bucket] for cells in rest))
                           for bucket, count in sorted(counts.items())])
        return charts

    def last_values(self):
        return self.at_end(f'last_over_time({{run="run-000-0000"}}[{self.whole()}])')

    def read_last_values(self, answer):
        by_metric = {labels["__name__"]: value for labels, value in self.pairs(answer)}
        return [by_metric[self.shape.metric(column)] for column in range(self.shape.metrics)]

    def leaders(self, column):
        return self.at_end(f'bottomk(10, min_over_time({{__name__="{self.shape.metric(column)}",'
                           f'run=~"run-000-.+"}}[{self.whole()}]))')

    def read_leaders(self, answer):
        pairs = [(int(labels["run"][-4:]), value) for labels, value in self.pairs(answer)]
        return sorted(pairs, key=lambda pair: pair[1])


STORES = (VictoriaMetrics,)
