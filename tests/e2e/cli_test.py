"""The command line: help whose examples work, errors in one form, exit statuses."""

import json
import os
import re
import shlex
import shutil
import socket
import threading
import unittest

from support import ROOT, STEPDB, Case, Server

COMMANDS = (["serve"], ["query"], ["shell"], ["import", "csv"], ["import"], ["log"], ["set"], ["retention"],
            ["run"], ["token"], ["token", "create"], ["token", "list"], ["token", "revoke"])
# In an order in which their examples can be tried.
RUN_ACTIONS = ("create", "fork", "restart", "finish", "fail", "heartbeat", "discard", "delete")


def examples_of(help_text):
    return [line.strip() for line in help_text.split("Examples:\n")[1].splitlines()]


class CommandLine(Case):
    def test_help_is_there_for_everything(self):
        for command in ([], *COMMANDS):
            text = self.stepdb(*command, "--help")
            self.assertIn("Usage: stepdb", text)
            self.assertGreater(len(examples_of(text)), 0)
            too_long = [line for line in text.splitlines() if len(line) > 100]
            self.assertEqual(too_long, [])

    def test_examples_of_the_help_work(self):
        """All of them, in a directory with the example log, against a server in ./store."""
        shutil.copytree(os.path.join(ROOT, "examples", "logs"), self.path("examples/logs"))
        self.data = self.path("store")
        self.start()
        lines = [line for command in (["import", "csv"], ["log"], ["query"], [], ["import"])
                 for line in examples_of(self.stepdb(*command, "--help"))]
        offline = [line for line in lines if "--data ./store" in line and " serve " not in line]
        online = [line for line in lines if line not in offline and " serve " not in line]
        self.assertGreater(len(online), 10)
        for line in online:
            program, *arguments = shlex.split(line)
            self.assertEqual(program, "stepdb")
            done = self.run_stepdb(*arguments)
            self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")
            if "log" not in arguments:
                self.assertNotEqual(done.stdout, "", line)
        self.server.stop()
        for line in offline:
            done = self.run_stepdb(*shlex.split(line)[1:])
            self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")

    def test_examples_of_the_actions_of_run_are_of_these_and_work(self):
        self.start()
        for step in range(3):
            self.stepdb("log", "--project", "demo", "--run", "tiny", "--step", str(step),
                        "train/loss=1", "val/loss=1")
        for action in RUN_ACTIONS:
            lines = examples_of(self.stepdb("run", action, "--help"))
            self.assertGreater(len(lines), 0)
            for line in lines:
                self.assertTrue(line.startswith(f"stepdb run {action} "), line)
                self.assertNotEqual(self.stepdb(*shlex.split(line)[1:]), "", line)
            if action == "fork":  # has something of its own from now on
                self.stepdb("log", "--project", "demo", "--run", "lower-lr", "--step", "500",
                            "val/loss=1")
        for command in ("set", "retention"):
            for line in examples_of(self.stepdb(command, "--help")):
                self.assertNotEqual(self.stepdb(*shlex.split(line)[1:]), "", line)

    def test_examples_of_serve_work(self):
        for line in examples_of(self.stepdb("serve", "--help")):
            program, command, *arguments = shlex.split(line)
            self.assertEqual((program, command), ("stepdb", "serve"))
            if "--listen" in arguments:  # else the helper's free port stands
                at = arguments.index("--listen")
                del arguments[at:at + 2]
            data = arguments.index("--data")
            self.assertEqual(arguments[data + 1], "./store")
            del arguments[data:data + 2]
            Server(self.path("store"), *arguments).stop()

    def test_wrong_command_lines_are_refused(self):
        for arguments in ([], ["nonsense"], ["serve"], ["serve", "--data"],
                          ["serve", "--data", "x", "--nonsense"], ["query"],
                          ["query", "a @ p/r", "--format", "xml"], ["query", "a", "b"],
                          ["query", "a @ p/r", "--server", "h:1", "--data", "d"],
                          ["import"], ["import", "csv"], ["import", "csv", "x"],
                          ["import", "csv", "x", "--project", "p", "--axis", "sideways"],
                          ["log", "--project", "p", "--run", "r"], ["log", "x=1"]):
            done = self.run_stepdb(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(done.stdout, "")
            name = arguments[0] if arguments and arguments[0] != "nonsense" else ""
            self.assertTrue(done.stderr.startswith(f"stepdb {name}".rstrip() + ": error: "),
                            done.stderr)
            self.assertIn("--help", done.stderr)

    def test_a_wrong_command_line_has_its_status_whatever_is_wrong(self):
        csv = self.write("log.csv", "step,x\n0,1\n")
        log = ["log", "--project", "p", "--run", "r"]
        for arguments, words in (
                (["qurey", "a"], "did you mean 'query'?"),
                (["import", "cvs", "x"], "did you mean 'csv'?"),
                (["import", "csv", csv, "--project", "p#"], "p#"),
                (["import", "tb", csv, "--project", "p", "--row-window", "1"], "--row-window"),
                (["import", "csv", csv, "--project", "p", "--server", "nowhere"], "HOST:PORT"),
                ([*log, "loss"], "NAME=VALUE"), ([*log], "NAME=VALUE is missing"),
                (["query", "a @ p/r", "--server", "nowhere"], "HOST:PORT"),
                (["run", "fork", "p/f", "--from", "p/r", "--at", "x"], "--at: 'x' is no finite"),
                (["run", "fork", "p/f", "--from", "r", "--at", "1"], "--from: 'r' is not"),
                (["run", "fork", "p/f", "--from", "q/r", "--at", "1"], "different projects"),
                (["run", "fork", "p/f", "--from", "p/r#0", "--at", "1"], "leave out the #0"),
                (["run", "restart", "p/r", "--at", "inf"], "--at: 'inf'"),
                (["run", "restart", "p/r#0", "--at", "1"], "write p/r#1, or p/r for the next"),
                (["run", "create", "p/r#1"], "'p/r#1' names an attempt; write p/r"),
                (["run", "heartbeat", "p/r#1"], "names an attempt"),
                (["run", "finish", "p"], "'p' is not PROJECT/RUN"),
                (["run", "finish", "p/r", "--server", "nowhere"], "HOST:PORT"),
                (["run", "discard", "p/r"], "'p/r' names no attempt; write p/r#0"),
                (["run", "delete", "p/r#0", "--metrics", "a"], "write p/r without the #0"),
                (["run", "delete", "p/r", "--metrics", "a b"], "'a b' is no pattern of metrics"),
                (["set", "r", "a=1"], "'r' is not PROJECT/RUN"),
                (["set", "p/r#0", "a=1"], "names an attempt"),
                (["set", "p/r", "a=1e400"], "a: the number 1e400 is out of the range of float64"),
                (["set", "p/r", "a=1e-400"], "a: the number 1e-400 is out of the range"),
                (["set", "p/r", "a=9223372036854775808"], "does not fit into 64 bits"),
                (["set", "p/r", "a=1", "--unset", "a"], "'a' is both set and --unset"),
                (["set", "p/r", "a=1", "a=2"], "'a' is set twice"),
                (["set", "p/r", "--tag", ""], "a tag cannot be empty"),
                (["set", "p/r", "--tag", "x", "--untag", "x"], "'x' is given to both"),
                (["set", "p/r"], "nothing to set"),
                (["retention", "p", "soon"], "'soon' is no age"),
                (["retention", "p", "30d", "--server", "nowhere"], "HOST:PORT"),
                (["serve", "--data", "x", "--memory", "1M"], "--memory 1M is too little"),
                (["serve", "--data", "x", "--listen", "0.0.0.0:0"], "--listen 0.0.0.0:0"),
                (["bench", "ingest", "--memory", "1M"], "--memory 1M is too little"),
                (["bench", "ingest", "--metrics", "1000000", "--rows-per-frame", "100"],
                 "frames of")):
            done = self.run_stepdb(*arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stderr}")
            self.assertIn(words, done.stderr)
            self.assertIn("--help`.", done.stderr)
        self.assertFalse(os.path.exists(self.path("x")))

    def test_wrong_values_are_refused(self):
        self.start()
        log = ["log", "--project", "p", "--run", "r"]
        for arguments, part in (
                ([*log, "loss"], "NAME=VALUE"), ([*log, "=1"], "NAME=VALUE"),
                ([*log, "a=b"], "'b'"), ([*log, "--step", "x", "a=1"], "--step 'x'"),
                ([*log, "--step", "nan", "a=1"], "--step 'nan'"),
                ([*log, "--time", "soon", "a=1"], "--time 'soon'"),
                ([*log, "a=1", "a=2"], "'a'"),
                (["log", "--project", "p#", "--run", "r", "a=1"], "p#"),
                (["query", "a @ p/r", "--server", "nowhere"], "HOST:PORT"),
                (["query", "a @ p/r", "--server", "127.0.0.1:1"], "stepdb serve"),
                (["query", "a @ p/r", "--data", self.path("none")], "none")):
            self.assertIn(part, self.refused(*arguments), arguments)
        self.assertEqual(self.query("runs"), [])
        self.assertFalse(os.path.exists(self.path("none")))

    def test_version(self):
        self.assertRegex(self.stepdb("--version"), r"^stepdb \d+\.\d+\.\d+(-dev)?\n$")

    def test_output_that_cannot_be_written_is_an_error(self):
        self.start()
        self.stepdb("log", "--project", "p", "--run", "r", "--step", "1", "a=1")
        status = os.system(f"{shlex.quote(STEPDB)} query 'a @ p/r' --server {self.server.address}"
                           " >/dev/full 2>/dev/null")
        self.assertEqual(os.waitstatus_to_exitcode(status), 1)


class Query(Case):
    def setUp(self):
        super().setUp()
        self.start()
        for step, value in ((1, "0.1"), (2, "nan"), (3, "-inf")):
            self.stepdb("log", "--project", "p", "--run", "r", "--step", str(step),
                        f"loss={value}")

    def test_formats(self):
        text = "loss @ p/r"
        self.assertEqual(self.stepdb("query", text, "--format", "csv"),
                         "run,metric,step,value\np/r,loss,1,0.1\np/r,loss,2,NaN\n"
                         "p/r,loss,3,-Infinity\n")
        rows = [{"run": "p/r", "metric": "loss", "step": step, "value": value}
                for step, value in ((1, 0.1), (2, "NaN"), (3, "-Infinity"))]
        self.assertEqual(json.loads(self.stepdb("query", text, "--format", "json")), rows)
        lines = self.stepdb("query", text, "--format", "jsonl").splitlines()
        self.assertEqual([json.loads(line) for line in lines], rows)
        self.assertIn("(3 rows)", self.stepdb("query", text))

    def test_charts_are_drawn_when_asked_for(self):
        text = "loss @ p/r | buckets 2"
        self.assertIn("(2 rows)", self.stepdb("query", text))
        self.assertIn("p/r · loss", self.stepdb("query", text, "--chart"))
        self.assertIn("(2 rows)", self.stepdb("query", text, "--no-chart"))
        self.assertIn("min 0.1\n", self.stepdb("query", text + " min", "--chart"))
        done = self.run_stepdb("query", text, "--chart", "--format", "csv")
        self.assertEqual((done.returncode, done.stdout), (2, ""))

    def test_charts_are_of_points_and_of_what_is_combined_too(self):
        def chart(text):
            return self.stepdb("query", text, "--chart")

        for step in range(4, 20):
            self.stepdb("log", "--project", "p", "--run", "q", "--step", str(step),
                        f"loss={step}", "norm/1=2", "norm/2=4")
        points = chart("loss @ p/r")
        self.assertRegex(points, r"p/r · loss   min 0\.1   max 0\.1   1 point   "
                                 r"× 1 NaN, 1 -Infinity\n")
        self.assertRegex(points, r"\n +└┬[─┬]*×[─┬]*×\n")
        self.assertIn("16 points", chart("loss @ p/q | ema 0.5"))
        self.assertRegex(chart("loss @ p/q | x value * 10"), r"\n   x  ")
        self.assertRegex(chart("loss @ p/q | x value * 10 | buckets 4"), r"\n   x  ")
        self.assertRegex(chart("loss @ p/q | x time"), r"\n +UTC  ")
        self.assertRegex(chart("loss @ p/q | log-x | buckets 9"), r"\nstep +5 +10\n")
        self.assertIn("all series   mean, min to max from 2 to 4   2 series",
                      chart("norm/* @ p/q | every 2 | across min, max, mean"))
        self.assertIn("1 ━━ l=1   mean ± std 2   1 series",
                      chart("norm/{l} @ p/q | buckets 4 | group by l mean, std"))
        self.assertRegex(chart("norm/{l} @ p/q | buckets 4 mean | pivot x"),
                         r"^2 ·░▒▓█ 4\nnorm/1 ·{16}\nnorm/2 █{16}\n +4 +15\.25\n$")

    def test_what_cannot_be_drawn_says_what_to_ask_for(self):
        for text, part in (("runs", "| buckets 200"),
                           ("loss @ p/r | summary", "| buckets 200"),
                           ("loss @ p/r | buckets 2 | pivot", "leave `pivot` out"),
                           ("loss @ p/r | buckets 2 min_x", "mean, min or max"),
                           ("loss @ p/r | stamped", "`| x time`")):
            done = self.run_stepdb("query", text, "--chart")
            self.assertEqual((done.returncode, done.stdout), (1, ""), text)
            self.assertIn(part, done.stderr)

    def test_queries_that_miss_the_mark_are_told_how(self):
        self.assertIn("works on points", self.refused("query", "runs | last 1"))
        self.assertIn("write 2026-01-01", self.refused("query", "loss @ p/r | time 2026..2027"))
        self.assertIn("there is no directory", self.refused("query", "runs", "--data",
                                                            self.path("nowhere")))

    def test_another_program_on_the_port_is_named_as_such(self):
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
            with socket.create_server(("127.0.0.1", 0)) as other:
                address = f"127.0.0.1:{other.getsockname()[1]}"

                def answer_once(server=other, said=answer):
                    connection, _ = server.accept()
                    connection.recv(4096)
                    connection.sendall(said)
                    connection.close()

                thread = threading.Thread(target=answer_once)
                thread.start()
                error = self.refused("query", "runs", "--server", address)
                thread.join()
            self.assertIn(f"{address} does not answer as a StepDB server does", error)

    def test_errors_show_the_place(self):
        error = self.refused("query", "loss @ p/r | bukets 2")
        self.assertRegex(error, re.compile(
            r"error: column 14 .*'bukets'; did you mean 'buckets'\?\n"
            r"  loss @ p/r \| bukets 2\n {15}\^{6}\n$"))
        self.assertIn("no run 'p/x'", self.refused("query", "loss @ p/x"))

    def test_parameters_stand_for_values(self):
        given = ["--param", "run=p/r", "--param", "n=1", "--param", "v=-5"]
        text = "loss @ $run | when value > $v | last $n"
        self.assertEqual(self.stepdb("query", text, *given),
                         self.stepdb("query", "loss @ p/r | when value > -5 | last 1"))
        self.assertIn("parameter $n is given twice: '1' and '2'",
                      self.refused("query", text, *given, "--param", "n=2"))
        self.assertIn("--param takes NAME=VALUE", self.refused("query", text, "--param", "n"))
        self.assertRegex(self.refused("query", text, "--param", "run=p/r", "--param", "v=1"),
                         r"parameter \$n is not given; what is: \$run, \$v\n.*\n *\^\^\n")
        self.assertIn("does not use what is given beside it: $m",
                      self.refused("query", "loss @ p/r", "--param", "m=1"))
        self.assertIn("parameter $n: expected a number of points",
                      self.refused("query", "loss @ p/r | last $n", "--param", "n=1 | first 2"))

    def test_a_store_without_a_server_answers_the_same(self):
        want = self.stepdb("query", "** @ p/*", "--format", "csv")
        self.assertIn("--server", self.refused("query", "** @ p/*", "--data", self.data))
        self.server.stop()
        self.assertEqual(self.stepdb("query", "** @ p/*", "--format", "csv", "--data", self.data),
                         want)
        error = self.refused("query", "loss @ p/r | bukets 2", "--data", self.data)
        self.assertIn("^^^^^^", error)


if __name__ == "__main__":
    unittest.main()
