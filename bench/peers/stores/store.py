"""What the harness asks of a store, and what servers of them share."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import threading
import time

import measure

READY_SECONDS = 60
STOP_SECONDS = 120


class NotInstalled(Exception):
    """The store is not on this machine; the message says what is missing."""


class Store:
    """One store with one layout. Made for a shape on a directory of its own; used by one session.

    Subclasses set the facts of the table: `layout` is how rows lie in it, `sent` by which path they
    come, `durability` what an acknowledgement says according to the store's documentation.
    """

    name = ""
    layout = ""
    sent = ""
    durability = ""
    is_synced = False   # whether an acknowledgement says: on stable storage
    in_process = False  # its CPU time is that of the process that feeds it
    is_decimal = False  # keeps what it gets as text, so an answer is a float32 when narrowed
    connections = 1
    batch_points = 100_000
    encode_in_clock = False  # bodies are too large to be kept: they are made while the clock runs

    def __init__(self, directory, shape):
        self.directory, self.shape = directory, shape
        os.makedirs(directory, exist_ok=True)

    @classmethod
    def find(cls):
        """Raises NotInstalled."""

    def version(self):
        raise NotImplementedError

    def start(self):
        """Opens the store, made if it is not there; ready for send() when it returns."""
        raise NotImplementedError

    def stop(self):
        """Closes it in order."""
        raise NotImplementedError

    def kill(self):
        """Ends its server without warning. Not for those in process."""
        raise NotImplementedError

    def cpu_seconds(self):
        raise NotImplementedError

    def peak_bytes(self):
        raise NotImplementedError

    def encode(self, batch):
        """The bodies of a batch for lap 0: what send() takes. Before the clock runs."""
        raise NotImplementedError

    def connect(self):
        """A connection for one thread; closed by its close(), if it has one."""
        return None

    def send(self, connection, body, lap):
        """Sends a body as part of `lap` and returns when it is acknowledged."""
        raise NotImplementedError

    def feed(self, clock, outcomes):
        """Sends what the clock gives out, with a thread for each connection, each a request at a
        time; returns when everything is acknowledged."""
        failures = []

        def work(connection):
            try:
                while taken := clock.take():
                    lap, points, body = taken
                    since = time.perf_counter()
                    self.send(connection, self.encode(body) if self.encode_in_clock else body, lap)
                    at = time.perf_counter()
                    outcomes.add(lap, points, at - since, at)
            except Exception as error:  # pylint: disable=broad-except; raised again below
                failures.append(error)

        connections = [self.connect() for _ in range(self.connections)]
        threads = [threading.Thread(target=work, args=(one,)) for one in connections[1:]]
        for thread in threads:
            thread.start()
        work(connections[0])
        for thread in threads:
            thread.join()
        for connection in connections:
            if connection is not None:
                connection.close()
        if failures:
            raise failures[0]

    def settle(self):
        """Waits until the store has done what it does behind the acknowledgement; says what that
        was."""
        raise NotImplementedError

    def bytes_stored(self):
        """Bytes on disk of (data and indexes, everything with its logs)."""
        total = measure.disk_bytes(self.directory)
        return total, total

    # Queries. Each returns raw bytes or rows quickly; its `read_` counterpart makes them comparable.

    def count_points(self):
        """All points of all laps."""
        raise NotImplementedError

    def totals(self, column):
        """Count, min, max, sum of a metric in lap 0, run 0."""
        raise NotImplementedError

    def chart(self, columns):
        """Answer to: lap 0, run 0, these metrics, the whole range in equal buckets, count, min, max
        and mean of each."""
        raise NotImplementedError

    def read_chart(self, answer, columns):
        """A list for each column, of (bucket, count, min, max, mean)."""
        raise NotImplementedError

    def last_values(self):
        """Answer to: the newest value of every metric of lap 0, run 0."""
        raise NotImplementedError

    def read_last_values(self, answer):
        """Values by column."""
        raise NotImplementedError

    def leaders(self, column):
        """Answer to: of the runs of lap 0 the ten with the least minimum of a metric."""
        raise NotImplementedError

    def read_leaders(self, answer):
        """Pairs of run number and minimum, least first."""
        raise NotImplementedError


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def end_with_parent():
    """For preexec_fn: the child is killed when the session that made it is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class ServerStore(Store):
    """A store that is a process of its own."""

    process = None
    stop_signal = signal.SIGTERM

    def launch(self, command, ready, **options):
        """Starts `command` and waits until ready() does not raise OSError."""
        self.log_path = os.path.join(self.directory, "server.out")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=end_with_parent, **options)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                return ready()
            except (OSError, http.client.HTTPException) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} is not ready: {error}; it said "
                                       f"{self.said()!r}") from error
            time.sleep(0.01)

    def said(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-2000:].decode(errors="replace")

    def stop(self):
        self.process.send_signal(self.stop_signal)
        self.process.wait(STOP_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def cpu_seconds(self):
        return measure.cpu_of_tree(self.process.pid)

    def peak_bytes(self):
        return measure.peak_bytes(self.process.pid)


class HttpServer(ServerStore):
    """A server that is spoken to by HTTP on a port of its own."""

    port = None

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, connection, method, path, body=None, headers=None):
        """The body of the answer; RuntimeError with what the server says if it refuses."""
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{self.name}: {method} {path[:80]}: {response.status} "
                               f"{content[:400].decode(errors='replace')}")
        return content

    def ask(self, path):
        if not hasattr(self, "asking"):
            self.asking = self.connect()
        return self.request(self.asking, "GET", path)

    def forget_connections(self):
        """After a restart."""
        self.__dict__.pop("asking", None)


class InProcess(Store):
    """A store that is a library; its session's process is the store's."""

    in_process = True

    def cpu_seconds(self):
        return measure.cpu_of_self()

    def peak_bytes(self):
        return measure.peak_bytes(os.getpid())


class Outcomes:
    """When what was acknowledged; shared by the threads that send."""

    def __init__(self):
        self.lock = threading.Lock()
        self.points = 0
        self.points_by_lap = {}
        self.seconds = []  # a request each
        self.last_at = None

    def add(self, lap, points, seconds, at):
        with self.lock:
            self.points += points
            self.points_by_lap[lap] = self.points_by_lap.get(lap, 0) + points
            self.seconds.append(seconds)
            self.last_at = at


QUIET_CPU_SHARE = 0.1


def wait_until_quiet(store, state, quiet_seconds, seconds_max=300):
    """Waits until state() -> (is done, comparable) has been done and unchanged for so long while the
    server did next to nothing. Returns for how many seconds it was at work, pauses left out: stores
    wait for some time of quiet before they begin."""
    busy, quiet, last = 0.0, 0.0, None
    begun = at = time.perf_counter()
    cpu = store.cpu_seconds()
    while quiet < quiet_seconds:
        if at - begun > seconds_max:
            raise RuntimeError(f"{store.name} is not settled after {seconds_max} s")
        time.sleep(0.25)
        is_done, now = state()
        since, at = at, time.perf_counter()
        used, cpu = -cpu, store.cpu_seconds()
        used += cpu
        if used > QUIET_CPU_SHARE * (at - since):
            busy += at - since
            quiet = 0.0
        elif not is_done or now != last:
            quiet = 0.0
        else:
            quiet += at - since
        last = now
    return busy
