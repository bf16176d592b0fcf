#!/usr/bin/env python3
"""`stepdb shell`: as a script's filter, and typed into at a terminal (a pseudo one), with completion,
history, Ctrl-C, charts, paging and \\watch."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import SECONDS_MAX, STEPDB, Case

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x07")


class Terminal:
    """A shell at a terminal of 100 x 40."""

    def __init__(self, *arguments, home, environment=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "HOME": home, "LC_ALL": "C.UTF-8", "PAGER": "cat",
                               "XDG_STATE_HOME": "", **(environment or {})})
            os.execv(STEPDB, [STEPDB, "shell", *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.seen = ""

    def expect(self, pattern):
        """Waits until it is on the screen; returns what came up to there, without escapes."""
        until = time.monotonic() + SECONDS_MAX
        while True:
            text = ESCAPES.sub("", self.seen)
            match = re.search(pattern, text)
            if match:
                self.seen = text[match.end():]
                if pattern.endswith("> "):  # the prompt: keys are the editor's from now on
                    while termios.tcgetattr(self.fd)[3] & termios.ICANON:
                        if time.monotonic() > until:
                            raise AssertionError("no editor behind the prompt")
                return text[:match.end()]
            ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {pattern!r} but {text!r}")
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError as error:
                raise AssertionError(f"it ended: no {pattern!r} but {text!r}") from error

    def type(self, text):
        os.write(self.fd, text.encode())

    def ended(self):
        """The exit status."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Shell(Case):
    def setUp(self):
        super().setUp()
        self.start()
        for step in range(20):
            self.stepdb("log", "--project", "demo", "--run", "tiny", "--step", str(step),
                        f"train/loss={4 - step / 10}", "train/lr=0.5", f"layers/2/norm={step}",
                        "layers/10/norm=1")

    def script(self, text, *arguments):
        return subprocess.run([STEPDB, "shell", "--server", self.server.address, *arguments],
                              input=text, capture_output=True, text=True, timeout=SECONDS_MAX)

    def terminal(self, *arguments, **options):
        if "--data" not in arguments:
            arguments = ("--server", self.server.address, *arguments)
        terminal = Terminal(*arguments, home=self.path("home"), **options)
        terminal.expect(r"stepdb> ")
        return terminal

    def test_a_script_asks_line_by_line(self):
        done = self.script("runs demo/* \n\ntrain/loss @ demo/tiny |\n  last 1\n", "--format", "csv")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "run,state,created,attempts,metrics")
        self.assertEqual(lines[2:], ["run,metric,step,value", "demo/tiny,train/loss,19,2.1"])
        done = self.script("train/los @ demo/tiny\n\\format csv\nruns | count\nstats\n\\quit\nruns\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("did you mean 'train/loss'?", done.stderr)
        self.assertIn("not all of the input went well", done.stderr)
        self.assertIn("what,value,reads_as", done.stdout)
        self.assertNotIn("demo/tiny", done.stdout)  # behind \quit
        done = self.script("\\wach\n\\format xml\n\\timing\n\\chart\n\\watch\n\\watch 0\n")
        for said in ("there is no command \\wach; did you mean '\\watch'?", "one of table, csv, json",
                     "\\timing takes on or off; it is off", "one of auto, on, off",
                     "there has been none", "0.1 to 86400"):
            self.assertIn(said, done.stderr)

    def test_a_store_without_a_server(self):
        self.server.stop()
        done = self.script_of_store("train/loss @ demo/tiny | last 1\nruns\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.script_of_store("train/loss @ demo/tiny | last 1\n\\watch\n")
        self.assertIn("nothing changes in a store that --data opens", done.stderr)
        self.assertIn("demo/tiny,train/loss,19,2.1\n", done.stdout)
        self.start()

    def script_of_store(self, text):
        return subprocess.run([STEPDB, "shell", "--data", self.server.data, "--format", "csv"],
                              input=text, capture_output=True, text=True, timeout=SECONDS_MAX)

    def test_typing(self):
        terminal = self.terminal()
        terminal.type("train/lo\t@ demo/t\t| last 1\r")  # each is finished by the tab
        shown = terminal.expect(r"\(1 row\)")
        self.assertRegex(shown, r"demo/tiny  train/loss +19 +2\.1")
        self.assertRegex(terminal.expect(r"stepdb> "), r"\d ms\r\n")
        terminal.type("layers/\t")
        terminal.expect(r"layers/2/ +layers/10/\r\n")
        terminal.type("2\tn\t@ demo/tiny | su\tme\t\r")
        self.assertRegex(terminal.expect(r"\(1 row\)"),
                         r"run +metric +mean\r\n.*\r\ndemo/tiny  layers/2/norm +9\.5\r\n")
        terminal.expect(r"stepdb> ")
        # Ctrl-C gives up a line, also one of several; the shell goes on.
        terminal.type("train/loss @ demo/tiny |\r")
        terminal.expect(r"   \.\.\.> ")
        terminal.type("nonsense\x03")
        terminal.expect(r"\^C\r\nstepdb> ")
        terminal.type("\x03")  # nor does it end the shell where there is nothing to give up
        terminal.expect(r"\^C\r\nstepdb> ")
        terminal.type("\\help\r")
        terminal.expect(r"so do exit and Ctrl-D\r\nstepdb> ")
        terminal.type("\x04")
        self.assertEqual(terminal.ended(), 0)
        # What was typed is there next time.
        terminal = self.terminal()
        terminal.type("\x1b[A\x1b[A\r")  # twice up: before \help
        self.assertRegex(terminal.expect(r"\(1 row\)"), r"demo/tiny  layers/2/norm +9\.5\r\n")
        terminal.expect(r"stepdb> ")  # only what is typed at the prompt is the shell's for sure
        terminal.type("\\quit\r")
        self.assertEqual(terminal.ended(), 0)

    def test_charts_and_watching(self):
        terminal = self.terminal()
        terminal.type("train/loss @ demo/tiny | buckets 10\r")
        self.assertRegex(terminal.expect(r"stepdb> "), r"[\u2800-\u28ff]{3}")
        terminal.type("\\chart off\r")
        terminal.expect(r"stepdb> ")
        terminal.type("train/loss @ demo/tiny | last 1\r")
        terminal.expect(r"stepdb> ")
        terminal.type("\\watch 0.1\r")
        terminal.expect(r"every 0.1 s; Ctrl-C ends it\r\n\r\n.*\r\n.*\r\n.* 2\.1\r\n")
        self.stepdb("log", "--project", "demo", "--run", "tiny", "--step", "20", "train/loss=0.25")
        terminal.expect(r" 20 +0\.25\r\n")
        os.kill(terminal.pid, signal.SIGINT)
        terminal.expect(r"stepdb> ")
        # Without a number the server says what has changed.
        terminal.type("\\watch\r")
        terminal.expect(r"\| last 1   Ctrl-C ends it\r\n\r\n.*\r\n.*\r\n.* 0\.25\r\n")
        self.stepdb("log", "--project", "demo", "--run", "tiny", "--step", "21", "train/loss=0.125")
        terminal.expect(r" 21 +0\.125\r\n")
        os.kill(terminal.pid, signal.SIGINT)
        terminal.expect(r"stepdb> ")
        # The connection goes on after it, and what cannot be watched is said.
        terminal.type("train/loss @ demo/tiny | last 1\r")
        terminal.expect(r"\(1 row\)")
        terminal.expect(r"stepdb> ")
        terminal.type("\\format json\r")
        terminal.expect(r"stepdb> ")
        terminal.type("\\watch\r")
        terminal.expect(r"error: json is one array, and a watch has no end; use the format jsonl")
        terminal.expect(r"stepdb> ")
        terminal.type("\\quit\r")
        self.assertEqual(terminal.ended(), 0)

    def test_a_long_answer_goes_through_the_pager(self):
        pager = self.path("pager")
        with open(pager, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nsed 's/^/paged: /'\n")
        os.chmod(pager, 0o755)
        terminal = self.terminal(environment={"PAGER": pager})
        terminal.type("train/loss @ demo/tiny\r")
        terminal.expect(r"paged: demo/tiny.*\r\npaged: \(20 rows\)")
        terminal.expect(r"stepdb> ")
        # Its Ctrl-C is not the shell's. It turns around, for a signal between two commands is taken
        # only when the second one ends, and a `read` would never.
        with open(pager, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\ntrap 'echo caught; exit' INT\necho waiting\n"
                       "while :; do sleep 0.05; done\n")
        terminal.type("train/loss @ demo/tiny\r")
        terminal.expect(r"waiting\r\n")
        terminal.type("\x03")
        terminal.expect(r"caught\r\n")
        terminal.expect(r"stepdb> ")
        terminal.type("\\pager off\r")
        terminal.expect(r"stepdb> ")
        terminal.type("train/loss @ demo/tiny | last 2\r")
        terminal.expect(r"\r\n\(2 rows\)")
        terminal.expect(r"stepdb> ")
        terminal.type("\\quit\r")
        self.assertEqual(terminal.ended(), 0)

    def test_without_the_pager_that_is_wanted(self):
        terminal = self.terminal(environment={"PAGER": "/nowhere/pager", "PATH": "/nowhere"})
        terminal.type("train/loss @ demo/tiny | last 1;\r")
        terminal.expect(r"\r\n\(1 row\)")
        terminal.expect(r"stepdb> ")
        terminal.type("exit\r")
        self.assertEqual(terminal.ended(), 0)

    def test_a_server_that_comes_back(self):
        terminal = self.terminal()
        self.server.stop()
        terminal.type("runs\r")
        self.assertIn("error:", terminal.expect(r"stepdb> $"))
        terminal.type("\\quit\r")
        self.assertEqual(terminal.ended(), 0)
        self.start()


if __name__ == "__main__":
    unittest.main()
