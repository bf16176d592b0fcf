"""Tables and questions that the SQL stores share; each has its own words for a few things.

Two layouts: *columns*, a column of float32 for each metric and a row for each log call, which fits
runs whose metrics are known and logged together; and *points*, a row for each point, (run, metric,
step, time, value), which fits any.
"""

from stores.store import Store


class ColumnsLayout(Store):
    """Questions to a table of a column per metric. `self.sql(text)` asks and returns rows."""

    layout = "a column per metric (float32)"
    divide = "intdiv(step, {width})"

    def metric_names(self):
        return [f"m{column}" for column in range(self.shape.metrics)]

    def bucket(self):
        return self.divide.format(width=self.shape.bucket_width)

    def count_points(self):
        return self.sql("SELECT count(*) FROM metrics")[0][0] * self.shape.metrics

    def totals(self, column):
        name = f"m{column}"
        return self.sql(f"SELECT count({name}), {self.statistics(name, 'sum')} "
                        "FROM metrics WHERE run = 0")[0]

    def exact(self, function, name):
        """A function of a column of float32, computed and answered as float64."""
        return f"{function}({name})"

    def statistics(self, name, *more):
        return ", ".join(self.exact(function, name) for function in ("min", "max", *more))

    def chart_text(self, columns):
        asked = ", ".join(self.statistics(f"m{column}", "avg") for column in columns)
        return (f"SELECT {self.bucket()} AS b, count(*), {asked} FROM metrics WHERE run = 0 "
                f"GROUP BY b ORDER BY b")

    def chart(self, columns):
        return self.sql(self.chart_text(columns))

    def read_chart(self, answer, columns):
        return [[(row[0], row[1], *row[2 + 3 * place:5 + 3 * place]) for row in answer]
                for place in range(len(columns))]

    def last_values_text(self):
        names = ", ".join(self.exact("", name) for name in self.metric_names())
        return f"SELECT {names} FROM metrics WHERE run = 0 ORDER BY step DESC LIMIT 1"

    def last_values(self):
        return self.sql(self.last_values_text())

    def read_last_values(self, answer):
        return list(answer[0])

    def leaders_text(self, column):
        return (f"SELECT run, {self.exact('min', f'm{column}')} AS least FROM metrics WHERE run < {self.shape.runs} "
                "GROUP BY run ORDER BY least LIMIT 10")

    def leaders(self, column):
        return self.sql(self.leaders_text(column))

    def read_leaders(self, answer):
        return list(answer)


class PointsLayout(ColumnsLayout):
    """Questions to a table of a row per point; `metric` is a number, names lie elsewhere."""

    layout = "a row per point (run, metric, step, time, value), runs and metrics as numbers"

    def count_points(self):
        return self.sql("SELECT count(*) FROM points")[0][0]

    def totals(self, column):
        return self.sql(f"SELECT count(*), {self.statistics('value', 'sum')} "
                        f"FROM points WHERE run = 0 AND metric = {column}")[0]

    def chart_text(self, columns):
        return (f"SELECT metric, {self.bucket()} AS b, count(*), {self.statistics('value', 'avg')} "
                f"FROM points WHERE run = 0 AND {self.among(columns)} "
                "GROUP BY metric, b ORDER BY metric, b")

    @staticmethod
    def among(columns):
        if len(columns) == 1:
            return f"metric = {columns[0]}"
        return f"metric BETWEEN {columns[0]} AND {columns[-1]}"

    def read_chart(self, answer, columns):
        return [[row[1:] for row in answer if row[0] == column] for column in columns]

    def last_values_text(self):
        return ("SELECT metric, value FROM points WHERE run = 0 AND step = "
                "(SELECT max(step) FROM points WHERE run = 0) ORDER BY metric")

    def read_last_values(self, answer):
        return [row[1] for row in answer]

    def leaders_text(self, column):
        return (f"SELECT run, min(value) AS least FROM points WHERE run < {self.shape.runs} AND "
                f"metric = {column} GROUP BY run ORDER BY least LIMIT 10")
