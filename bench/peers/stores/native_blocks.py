"""ClickHouse's Native format: a block of columns as its server and its library take them."""

import array


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value):
    data = value.encode()
    return varint(len(data)) + data


def block(rows, columns):
    """`columns`: (name, type, bytes of all its cells) each."""
    parts = [varint(len(columns)), varint(rows)]
    for name, kind, cells in columns:
        parts += [text(name), text(kind), cells]
    return b"".join(parts)


# How cells are read, by the letters of arrays.
KINDS = {"UInt64": "Q", "UInt32": "I", "Int64": "q", "Int32": "i", "Float32": "f", "Float64": "d",
         "UInt16": "H"}


def rows_of(answer):
    """Rows of an answer in Native format with numbers in it alone."""
    at, rows = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = answer[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def read_text():
        nonlocal at
        length = number()
        at += length
        return answer[at - length:at]

    while at < len(answer):
        width, count = number(), number()
        columns = []
        for _ in range(width):
            read_text()
            cells = array.array(KINDS[read_text().decode()])
            cells.frombytes(answer[at:at + count * cells.itemsize])
            at += count * cells.itemsize
            columns.append(cells)
        rows += zip(*columns)
    return rows


def columns_block(shape, batch, runs):
    """A row for each row, a column for each metric."""
    columns = [("run", "UInt32", array.array("I", runs).tobytes()),
               ("step", "Int64", batch.steps().tobytes()),
               ("time", "Int64", batch.times_us().tobytes())]
    columns += [(f"m{column}", "Float32", batch.column(column).tobytes())
                for column in range(shape.metrics)]
    return block(batch.count, columns)


def points_block(shape, batch, runs):
    """A row for each point."""
    columns = [("run", "UInt32", spread("I", runs, shape.metrics)),
               ("metric", "UInt32", array.array("I", range(shape.metrics)).tobytes() * batch.count),
               ("step", "Int64", spread("q", batch.steps(), shape.metrics)),
               ("time", "Int64", spread("q", batch.times_us(), shape.metrics)),
               ("value", "Float32", batch.values.tobytes())]
    return block(batch.points, columns)


def spread(kind, cells, times):
    """Bytes of each cell so many times over."""
    cells = array.array(kind, cells)
    out = array.array(kind, bytes(cells.itemsize * len(cells) * times))
    for place in range(times):
        out[place::times] = cells
    return out.tobytes()


class Laps:
    """A body that can be sent again as another lap: the cells of `run` are replaced, all else stays."""

    def __init__(self, shape, batch, make):
        runs = batch.runs()
        whole = make(shape, batch, runs)
        self.shape, self.runs = shape, runs
        self.times = 1 if make is columns_block else shape.metrics
        cells = spread("I", runs, self.times)
        at = whole.index(text("run") + text("UInt32")) + len(text("run") + text("UInt32"))
        self.head, self.cells, self.rest = whole[:at], cells, whole[at + len(cells):]

    def body(self, lap):
        """Pieces to be sent one behind the other."""
        cells = self.cells
        if lap:
            cells = spread("I", [lap * self.shape.runs + run for run in self.runs], self.times)
        return self.head, cells, self.rest
