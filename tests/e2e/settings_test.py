"""The settings of `stepdb serve`: command line, environment and file, and the table that tells of them."""

import os
import re
import socket
import subprocess
import unittest

from support import ROOT, SECONDS_MAX, STEPDB, Case, Server

PREFIX = "STEPDB_SERVE_"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def options_of_the_help():
    """Default, or None, of each option by its name."""
    text = subprocess.run([STEPDB, "serve", "--help"], capture_output=True, text=True,
                          timeout=SECONDS_MAX, check=True).stdout
    part = text.split("\nOptions:\n")[1].split("\n\n")[0]
    entries = re.split(r"\n(?=  -)", "\n" + part)[1:]
    options = {}
    for entry in entries:
        name = re.match(r"\s+(?:-\w, )?--([\w-]+)", entry)[1]
        default = re.search(r"\[([^\]]*)\]\s*$", entry)
        options[name] = default and default[1]
    del options["help"]
    return options


class Settings(Case):
    def serve(self, *arguments, **variables):
        """Of a command line that is refused: what is said."""
        done = subprocess.run([STEPDB, "serve", *arguments], capture_output=True, text=True,
                              timeout=SECONDS_MAX,
                              env={**os.environ, **{PREFIX + k: v for k, v in variables.items()}})
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        return done.stderr

    def test_the_command_line_counts_before_the_environment_and_that_before_the_file(self):
        file = self.write("stepdb.toml", f'data = "{self.path("of-file")}"\n'
                                         'log-format = "json"\nlog-level = "debug"\n')
        self.start("--config", file, "--log-level", "info",
                   environment={PREFIX + "LOG_FORMAT": "text", PREFIX + "MEMROY": "1G"})
        said = self.server.stop()
        self.assertRegex(said, r"(?m)^\S+Z info +settings .*file=\S+stepdb\.toml "
                               r"environment=STEPDB_SERVE_LOG_FORMAT count=1$")
        self.assertRegex(said, r"(?m)^\S+Z warning +setting_unknown .*variable=STEPDB_SERVE_MEMROY$")
        self.assertNotIn("debug", said)
        self.assertFalse(os.path.exists(self.path("of-file")))

    def test_file_and_environment_are_enough(self):
        file = self.write("stepdb.toml", f'data = "{self.data}"\n')
        process = subprocess.Popen(
            [STEPDB, "serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, PREFIX + "LISTEN": "127.0.0.1:0", PREFIX + "CONFIG": file})
        self.addCleanup(process.kill)
        self.assertRegex(process.stdout.readline(), r"^listening on 127\.0\.0\.1:\d+\n$")
        process.terminate()
        _, said = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, 0, said)
        self.assertTrue(os.path.isfile(os.path.join(self.data, "CURRENT")))

    def test_says_where_what_is_wrong_stands(self):
        file = self.path("stepdb.toml")
        for text, error in (
                ('listne = "127.0.0.1:0"', f"{file}: line 2: there is no setting 'listne'; "
                                           "did you mean 'listen'?"),
                ("memory = 4G", f"{file}: line 2: Error while parsing"),
                ("memory = [4]", f"{file}: line 2: memory: neither a text in quotes nor a whole "),
                ('memory = "4"', f"--memory is from {file}: line 2"),
                ("query-threads = 65", f"{file}: line 2: --query-threads: Value 65 not in range"),
                ('log-level = "loud"', f"--log-level is from {file}: line 2")):
            self.write("stepdb.toml", f'data = "{self.data}"\n{text}\n')
            self.assertIn(error, self.serve("--config", file))
        self.assertIn("STEPDB_SERVE_QUERY_THREADS: --query-threads:",
                      self.serve("--data", self.data, QUERY_THREADS="none"))
        self.assertIn("--query-time is from STEPDB_SERVE_QUERY_TIME",
                      self.serve("--data", self.data, QUERY_TIME="soon"))
        self.assertIn("--data DIR is missing", self.serve())
        self.assertIn("cannot read the configuration file", self.serve("--config", "/no/file"))
        self.assertFalse(os.path.exists(self.data))

    def test_a_variable_of_the_server_is_none_of_other_commands(self):
        done = subprocess.run([STEPDB, "--version"], capture_output=True, text=True,
                              timeout=SECONDS_MAX, env={**os.environ, PREFIX + "MEMORY": "no"})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_tells_the_service_manager(self):
        path = self.path("notify")
        for address, name in ((path, path), (f"\0{path}", f"@{path}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(SECONDS_MAX)
                manager.bind(address)
                server = Server(self.data, environment={"NOTIFY_SOCKET": name})
                self.addCleanup(server.kill)
                self.assertEqual(manager.recv(100), b"READY=1")
                server.stop()
                self.assertEqual(manager.recv(100), b"STOPPING=1")
        server = Server(self.data, environment={"NOTIFY_SOCKET": self.path("nobody")})
        self.addCleanup(server.kill)
        self.assertRegex(server.stop(), r"warning +service_manager_unreached .*state=\"READY=1\"")


class TheTable(unittest.TestCase):
    """docs/operating.md and the file of the package name every setting, and no other."""

    def rows(self):
        part = read("docs/operating.md").split("\n## Configuration\n")[1].split("\n## ")[0]
        return {match[1]: match for match in re.finditer(
            r"^\| `--([\w-]+)` \| (`[\w-]+`|-) \| `(\w+)` \| ([^|]*) \|", part, re.MULTILINE)}

    def test_is_what_the_help_says(self):
        rows, options = self.rows(), options_of_the_help()
        self.assertEqual(list(rows), list(options))
        for name, row in rows.items():
            self.assertEqual(row[2], "-" if name == "config" else f"`{name}`")
            self.assertEqual(row[3], PREFIX + name.upper().replace("-", "_"))
            if options[name]:
                self.assertEqual(row[4].strip(), f"`{options[name]}`", name)

    def test_is_what_the_file_of_the_package_says(self):
        options = options_of_the_help()
        given = dict(re.findall(r'^(?:# )?([a-z-]+) = "?([^"\n]*)"?$',
                                read("packaging/stepdb.toml"), re.MULTILINE))
        self.assertEqual(set(given), set(options) - {"config"})
        for name, value in given.items():
            if options[name]:
                self.assertEqual(value, options[name], name)

    def test_the_file_of_the_package_is_good_with_every_setting_in_it(self):
        text = re.sub(r"^# (?=[a-z-]+ = )", "", read("packaging/stepdb.toml"), flags=re.MULTILINE)
        text = text.replace('"127.0.0.1:7421"', '"127.0.0.1:0"')
        case = Settings("test_file_and_environment_are_enough")
        case.setUp()
        self.addCleanup(case.doCleanups)
        # Of the sixteen, --data, --listen and --config are said on the command line.
        case.start("--config", case.write("stepdb.toml", text))
        self.assertIn(f"count={len(options_of_the_help()) - 3}", case.server.stop())


if __name__ == "__main__":
    unittest.main()
