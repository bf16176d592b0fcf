"""One store under one workload: fed, settled, checked, asked. Runs in a process of its own, so that
its memory and its CPU time are nobody else's, and gives one object of figures back."""

import gc
import math
import os
import shutil
import signal
import struct
import threading
import time

import measure
from stores.store import Outcomes
from workload import Data

ASK_TIMES = (5, 40)  # a query, at least and at most
SERIES_CHECKED = 5
PAGE_SERIES = 20


class Plan:
    """How long and how much."""

    def __init__(self, seconds, seconds_max, batch_points=None, ask_seconds=3):
        self.seconds = seconds          # at least so long, in laps
        self.seconds_max = seconds_max  # even if the first lap is not over
        self.batch_points = batch_points
        self.ask_seconds = ask_seconds  # one query, again and again


class Clock:
    """Says while feeding what comes next: batches in order, lap after lap."""

    def __init__(self, bodies, plan):
        self.bodies, self.plan = bodies, plan
        self.lock = threading.Lock()
        self.next_one = 0
        self.begun = time.perf_counter()

    def take(self):
        """(lap, points, body), or None when the time is over."""
        with self.lock:
            lap, place = divmod(self.next_one, len(self.bodies))
            passed = time.perf_counter() - self.begun
            if passed >= self.plan.seconds_max or (lap > 0 and passed >= self.plan.seconds):
                return None
            self.next_one += 1
            return (lap, *self.bodies[place])


def prepare(store, data, plan):
    """Pairs of points and body for a whole lap, and the CPU seconds that making them took."""
    before = measure.cpu_of_self()
    points = plan.batch_points or store.batch_points
    bodies = [(batch.points, batch if store.encode_in_clock else store.encode(batch))
              for batch in data.batches(points)]
    gc.collect()
    gc.freeze()  # the bodies: nothing to be looked through while the clock runs
    return bodies, measure.cpu_of_self() - before


def load(store, bodies, plan):
    """Feeds the store and lets it settle; the figures of both."""
    outcomes = Outcomes()
    cpu, client_cpu = store.cpu_seconds(), measure.cpu_of_self()
    clock = Clock(bodies, plan)
    store.feed(clock, outcomes)
    seconds = outcomes.last_at - clock.begun
    client_cpu = measure.cpu_of_self() - client_cpu
    at_ack = store.cpu_seconds() - cpu
    how, settle_seconds = _settle(store, outcomes.last_at)
    settled = store.cpu_seconds() - cpu
    data_bytes, all_bytes = store.bytes_stored()
    points = outcomes.points
    millions = points / 1e6
    return outcomes, {
        "points": points,
        "requests": len(outcomes.seconds),
        "points_a_request": points // len(outcomes.seconds),
        "seconds": seconds,
        "points_per_second": points / seconds,
        "settle_seconds": settle_seconds,
        "points_per_second_settled": points / (seconds + settle_seconds),
        "settled_by": how,
        "cpu_ms_per_mpoint_ack": 1000 * at_ack / millions,
        "cpu_ms_per_mpoint": 1000 * settled / millions,
        "client_cpu_ms_per_mpoint": None if store.in_process else 1000 * client_cpu / millions,
        "peak_mb": None if store.in_process else store.peak_bytes() / 1e6,
        "request_p50_ms": 1000 * measure.percentile(outcomes.seconds, 0.5),
        "request_p99_ms": 1000 * measure.percentile(outcomes.seconds, 0.99),
        "bytes_per_point": data_bytes / points,
        "bytes_per_point_with_logs": all_bytes / points,
    }


def _settle(store, since):
    """What settling was and how long it took; a store that waits before it settles says itself."""
    said = store.settle()
    if isinstance(said, tuple):
        return said
    return said, time.perf_counter() - since


def tolerance(store):
    """Of sums and means, relative to the values: rounding of additions, and where values are kept as
    decimals that of each."""
    return 1e-7 if store.is_decimal else 1e-11


def narrowed(store, value):
    """As the float32 that was sent; None stays."""
    if not store.is_decimal or value is None:
        return value
    return struct.unpack("<f", struct.pack("<f", value))[0]


def check(store, data, outcomes):
    """Compares answers with the data; a list of differences, empty if all is well."""
    wrong = []
    held = store.count_points()
    if held != outcomes.points:
        wrong.append(f"holds {held} of {outcomes.points} points")
    arrived = arrived_rows(store.shape, outcomes)
    step = max(store.shape.metrics // SERIES_CHECKED, 1)
    for column in range(0, store.shape.metrics, step):
        count, least, most, total = data.totals(0, column, arrived)
        answer = store.totals(column)
        extremes = tuple(narrowed(store, value) for value in answer[1:3])
        if (answer[0], *extremes) != (count, least, most):
            wrong.append(f"metric {column}: count, min, max {tuple(answer[:3])} and not "
                         f"{(count, least, most)}")
        size = math.fsum(map(abs, data.series(0, column, arrived)))
        if abs(answer[3] - total) > tolerance(store) * size:
            wrong.append(f"metric {column}: sum {answer[3]} and not {total}")
    return wrong


def arrived_rows(shape, outcomes):
    """Rows of lap 0 that were acknowledged."""
    return outcomes.points_by_lap.get(0, 0) // shape.metrics


def compare_chart(store, answer, truth):
    """'' or what differs first."""
    if [row[0] for row in answer] != [row[0] for row in truth]:
        return f"{len(answer)} buckets and not {len(truth)}"
    for came, meant in zip(answer, truth):
        cells = (came[1], narrowed(store, came[2]), narrowed(store, came[3]))
        if cells != meant[1:4]:
            return f"bucket {meant[0]}: count, min, max {tuple(came[1:4])} and not {meant[1:4]}"
        if abs(came[4] - meant[4]) > tolerance(store) * max(abs(meant[2]), abs(meant[3])):
            return f"bucket {meant[0]}: mean {came[4]} and not {meant[4]}"
    return ""


def compare_charts(store, answer, columns, truths):
    charts = store.read_chart(answer, columns)
    said = (compare_chart(store, chart, truth) for chart, truth in zip(charts, truths))
    return next(filter(None, said), "") if len(charts) == len(columns) else f"{len(charts)} series"


def compare_lists(store, answer, truth):
    """Of values, or of pairs of run and value."""
    if len(answer) != len(truth):
        return f"{len(answer)} and not {len(truth)}"
    for place, (came, meant) in enumerate(zip(answer, truth)):
        cells = ((came[0], narrowed(store, came[1])) if isinstance(meant, tuple)
                 else narrowed(store, came))
        if cells != meant:
            return f"at {place}: {came} and not {meant}"
    return ""


def questions(store, data, outcomes):
    """What this shape asks: name, function that asks, function from the answer to '' or what is
    wrong with it."""
    shape, arrived = store.shape, arrived_rows(store.shape, outcomes)
    if shape.runs > 1:
        leaders = data.leaders(0, arrived)
        yield ("leaderboard", lambda: store.leaders(0),
               lambda answer: compare_lists(store, store.read_leaders(answer), leaders))
        return
    page = list(range(min(PAGE_SERIES, shape.metrics)))
    charts = [data.chart(0, column, arrived) for column in page]
    yield ("chart", lambda: store.chart([0]),
           lambda answer: compare_charts(store, answer, [0], charts[:1]))
    yield ("page", lambda: store.chart(page),
           lambda answer: compare_charts(store, answer, page, charts))
    last = data.last_values(0, arrived)
    yield ("last_values", store.last_values,
           lambda answer: compare_lists(store, store.read_last_values(answer), last))


def ask(store, data, outcomes, seconds):
    """Median and p99 of each question in ms, and what was wrong with the first answers."""
    figures, wrong = {}, []
    for name, question, read in questions(store, data, outcomes):
        if said := read(question()):
            wrong.append(f"{name}: {said}")
        taken, deadline = [], time.perf_counter() + seconds
        while len(taken) < ASK_TIMES[1]:
            since = time.perf_counter()
            if since >= deadline and len(taken) >= ASK_TIMES[0]:
                break
            question()
            taken.append(1000 * (time.perf_counter() - since))
        figures[name] = {"median_ms": measure.percentile(taken, 0.5),
                         "p99_ms": measure.percentile(taken, 0.99), "asked": len(taken),
                         "points_in_series": arrived_rows(store.shape, outcomes) // store.shape.runs,
                         "verified": not said}
    return figures, wrong


def kill_check(store_class, directory, shape, plan, data):
    """Feeds a new store for a moment, kills its process right behind the last acknowledgement,
    starts it again and counts: the share of acknowledged points that are gone."""
    acknowledged = _feed_and_kill_in_process(store_class, directory, shape, plan, data) \
        if store_class.in_process else None
    store = store_class(directory, shape)
    store.start()
    if acknowledged is None:
        bodies, _ = prepare(store, data, plan)
        outcomes = Outcomes()
        clock = Clock(bodies, plan)
        store.feed(clock, outcomes)
        store.kill()
        acknowledged = outcomes.points
        if hasattr(store, "forget_connections"):
            store.forget_connections()
        store.start()
    try:
        held = store.count_points()
    finally:
        store.stop()
    return {"acknowledged": acknowledged, "held": held,
            "lost_share": max(acknowledged - held, 0) / acknowledged}


def _feed_and_kill_in_process(store_class, directory, shape, plan, data):
    """The same where the store lives in the process that feeds it: in a fork of this one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            store = store_class(directory, shape)
            store.start()
            bodies, _ = prepare(store, data, plan)
            outcomes = Outcomes()
            store.feed(Clock(bodies, plan), outcomes)
            os.write(writing, str(outcomes.points).encode())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading) as told:
        points = told.read()
    os.waitpid(child, 0)
    if not points:
        raise RuntimeError(f"{store_class.name}: fed nothing before it was to be killed")
    return int(points)


def run(store_class, shape, plan, directory, kill_seconds):
    """All figures of one store under one workload."""
    store_class.find()
    if hasattr(store_class, "measured"):
        return store_class.measured(shape, plan, directory)
    data = Data(shape)
    figures = {}
    if kill_seconds:
        figures["sigkill"] = kill_check(store_class, os.path.join(directory, "killed"), shape,
                                        Plan(kill_seconds, kill_seconds, plan.batch_points), data)
        shutil.rmtree(os.path.join(directory, "killed"))
    store = store_class(os.path.join(directory, "store"), shape)
    store.start()
    try:
        figures["version"] = store.version()
        bodies, encode_cpu = prepare(store, data, plan)
        outcomes, loaded = load(store, bodies, plan)
        figures.update(loaded)
        figures["encode_cpu_ms_per_mpoint"] = (
            None if store.encode_in_clock else 1e9 * encode_cpu / shape.points)
        del bodies
        figures["is_first_lap_whole"] = outcomes.points_by_lap.get(0, 0) == shape.points
        figures["wrong"] = check(store, data, outcomes)
        figures["queries"], wrong = ask(store, data, outcomes, plan.ask_seconds)
        figures["wrong"] += wrong
    finally:
        store.stop()
    return figures
