"""The Debian package: what is in it, and installing, serving, removing and purging it.

The test runs in a mount namespace of its own, in which an overlay over the machine's root is what the
package is installed to: nothing of the machine changes, and all is gone with the process.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from support import ROOT, SECONDS_MAX, STEPDB

BUILD = os.path.dirname(os.path.dirname(os.path.abspath(STEPDB)))
INSIDE = "--in-a-namespace"
UNIT = "/usr/lib/systemd/system/stepdb.service"
EXPOSURE_MAX = 15  # of 100, as `systemd-analyze security` counts; its own "OK" ends at 50

# What dpkg itself, and the tools that add users, keep of what was there once.
KEPT = re.compile(r"/var/lib/dpkg(/|$)|/var/log(/|$)|/var/cache(/|$)|/var/lib/systemd(/|$)|/tmp(/|$)"
                  r"|/run(/|$)|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|/etc/\.pwd\.lock$")


def run(*command, **named):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=SECONDS_MAX, **named)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="stepdb-package-")
        done = run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B",
                   cls.directory)
        packages = [name for name in os.listdir(cls.directory) if name.endswith(".deb")]
        if done.returncode != 0 or len(packages) != 1:
            raise AssertionError(f"cpack made {packages}: {done.stdout}{done.stderr}")
        cls.package = os.path.join(cls.directory, packages[0])
        shutil.rmtree(os.path.join(cls.directory, "_CPack_Packages"))
        cls.root, cls.upper = cls.path("root"), cls.path("upper/changes")
        for path in ("root", "upper"):
            os.mkdir(cls.path(path))
        cls.must("mount", "-t", "tmpfs", "stepdb-test", cls.path("upper"))
        for path in ("upper/changes", "upper/work"):
            os.mkdir(cls.path(path))
        cls.must("mount", "-t", "overlay", "stepdb-test", "-o",
                 f"lowerdir=/,upperdir={cls.upper},workdir={cls.path('upper/work')}", cls.root)
        for path in ("proc", "dev"):
            cls.must("mount", "--bind", f"/{path}", f"{cls.root}/{path}")
        shutil.copy(cls.package, f"{cls.root}/tmp/stepdb.deb")

    @classmethod
    def tearDownClass(cls):
        for path in ("root/proc", "root/dev", "root", "upper"):
            cls.must("umount", cls.path(path))
        shutil.rmtree(cls.directory)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @staticmethod
    def must(*command, **named):
        done = run(*command, **named)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, *command, user=None):
        as_user = [f"--userspec={user}:{user}"] if user else []
        return self.must("chroot", *as_user, self.root, *command,
                         env={"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C.UTF-8"})

    def dpkg(self, *arguments):
        return self.inside("dpkg", "--no-triggers", *arguments)

    def changed(self):
        """Files and directories that are there now and were not, or are others."""
        found = []
        for directory, directories, files in os.walk(self.upper):
            for name in directories + files:
                path = os.path.join(directory, name)
                inside = path[len(self.upper):]
                is_new = not os.path.lexists(inside) or name in files
                is_removed = not os.path.lexists(self.root + inside)
                if is_new and not is_removed and not KEPT.match(inside):
                    found.append(inside)
        return sorted(found)

    def test_a_what_is_in_it(self):
        listed = {}
        for line in self.must("dpkg-deb", "--contents", self.package).splitlines():
            mode, owner, _, _, _, path = line.split(maxsplit=5)
            listed[path[1:]] = mode
            self.assertEqual(owner, "root/root", line)
        for path, mode in (("/usr/bin/stepdb", "-rwxr-xr-x"), (UNIT, "-rw-r--r--"),
                           ("/etc/stepdb/stepdb.toml", "-rw-r--r--"),
                           ("/usr/share/man/man1/stepdb.1.gz", "-rw-r--r--"),
                           ("/usr/share/doc/stepdb/copyright", "-rw-r--r--"),
                           ("/usr/share/doc/stepdb/query-language.md", "-rw-r--r--"),
                           ("/usr/share/bash-completion/completions/stepdb", "-rw-r--r--"),
                           ("/usr/share/zsh/vendor-completions/_stepdb", "-rw-r--r--"),
                           ("/usr/share/fish/vendor_completions.d/stepdb.fish", "-rw-r--r--")):
            self.assertEqual(listed.get(path), mode, path)
        fields = self.must("dpkg-deb", "--field", self.package)
        self.assertRegex(fields, r"(?m)^Depends: passwd, .*libc6 \(>= .*liburing2 \(>= ")
        self.assertRegex(fields, r"(?m)^Version: 0\.\d+\.\d+(~\w+)?$")
        self.must("dpkg-deb", "--control", self.package, self.path("control"))
        with open(self.path("control/conffiles"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "/etc/stepdb/stepdb.toml\n")
        for script in ("postinst", "prerm", "postrm"):
            self.must("dash", "-n", self.path(f"control/{script}"))

    def test_b_installs(self):
        self.dpkg("--install", "/tmp/stepdb.deb")
        entry = self.inside("getent", "passwd", "stepdb").split(":")
        self.assertEqual(entry[5:], ["/var/lib/stepdb", "/usr/sbin/nologin\n"])
        self.assertLess(int(entry[2]), 1000)
        store = os.stat(f"{self.root}/var/lib/stepdb")
        self.assertEqual((store.st_mode & 0o7777, store.st_uid), (0o700, int(entry[2])))
        self.assertIn("stepdb 0.", self.inside("stepdb", "--version", user="stepdb"))
        self.assertTrue(os.path.islink(
            f"{self.root}/etc/systemd/system/multi-user.target.wants/stepdb.service"))
        symbols = run("nm", f"{self.root}/usr/bin/stepdb")
        self.assertIn("no symbols", symbols.stderr)

    def test_c_unit_is_sound_and_closed(self):
        self.inside("systemd-analyze", "verify", "--man=no", UNIT)
        said = self.inside("systemd-analyze", "security", "--offline=true",
                           f"--threshold={EXPOSURE_MAX}", UNIT)
        self.assertIn("Overall exposure level for stepdb.service: ", said)
        # What of the kernel the server asks for out of the common.
        allowed = self.allowed_calls()
        for call in ("io_uring_setup", "io_uring_enter", "io_uring_register", "sched_getattr",
                     "sched_setattr", "prlimit64", "prctl", "flock", "statfs", "timerfd_create"):
            self.assertIn(call, allowed)
        for call in ("mount", "ptrace", "bpf", "kexec_load", "setpriority", "mlock"):
            self.assertNotIn(call, allowed)

    def allowed_calls(self):
        """The system calls that the unit's filter lets through."""
        allowed = self.calls_of("@default")
        for line in self.unit()["SystemCallFilter"]:
            for word in line.removeprefix("~").split():
                calls = self.calls_of(word)
                if line.startswith("~"):
                    allowed -= calls - self.calls_of("@default")
                else:
                    allowed |= calls
        return allowed

    def calls_of(self, word):
        if not word.startswith("@"):
            return {word}
        calls = set()
        for line in self.inside("systemd-analyze", "syscall-filter", word).splitlines()[1:]:
            if line.strip() and not line.strip().startswith("#"):
                calls |= self.calls_of(line.strip())
        return calls

    def unit(self):
        with open(self.root + UNIT, encoding="utf-8") as file:
            entries = re.findall(r"^(\w+)=(.*)$", file.read(), re.MULTILINE)
        unit = {}
        for name, value in entries:
            unit.setdefault(name, []).append(value)
        return unit

    def test_d_serves_as_its_user(self):
        """What the unit starts, but for the ports."""
        unit = self.unit()
        self.assertEqual((unit["User"], unit["Type"]), (["stepdb"], ["notify"]))
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.settimeout(SECONDS_MAX)
        manager.bind(f"\0{self.directory}")
        server = subprocess.Popen(
            ["chroot", "--userspec=stepdb:stepdb", self.root, *unit["ExecStart"][0].split()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": f"@{self.directory}",
                 "STEPDB_SERVE_LISTEN": "127.0.0.1:0", "STEPDB_SERVE_HTTP": "127.0.0.1:0"})
        try:
            native = server.stdout.readline()
            self.assertTrue(native.startswith("listening on "), native)
            address = native.split()[-1]
            page = server.stdout.readline().split()[-1]
            self.assertEqual(manager.recv(100), b"READY=1")
            with open(f"/proc/{server.pid}/status", encoding="utf-8") as file:
                uid = re.search(r"^Uid:\t(\d+)", file.read(), re.MULTILINE)[1]
            self.assertEqual(uid, self.inside("id", "-u", "stepdb").strip())
            self.inside("stepdb", "log", "--server", address, "--project", "p", "--run", "r",
                        "--step", "1", "loss=2.5")
            self.assertEqual(self.inside("stepdb", "query", "loss @ p/r", "--server", address,
                                         "--format", "csv"), "run,metric,step,value\np/r,loss,1,2.5\n")
            asked = http.client.HTTPConnection(page, timeout=SECONDS_MAX)
            asked.request("GET", "/healthz")
            self.assertEqual(asked.getresponse().status, 200)
            asked.close()
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=SECONDS_MAX)
            manager.close()
        self.assertEqual(server.returncode, 0, said)
        self.inside("stepdb", "verify", "/var/lib/stepdb", user="stepdb")

    def test_e_manual_and_completion_know_every_command(self):
        commands = re.findall(r"^  (\w+) ", self.inside("stepdb", "--help").split(
            "Subcommands:\n")[1].split("\n\n")[0], re.MULTILINE)
        self.assertGreater(len(commands), 10)
        page = self.must("gzip", "-dc", f"{self.root}/usr/share/man/man1/stepdb.1.gz")
        self.assertEqual(re.findall(r"^\.B (\w+)$", page.split(".SH COMMANDS\n")[1].split(
            "\n.SH ")[0].replace("\n.B import\nreads", ""), re.MULTILINE), commands)
        self.assertNotIn("@", page.splitlines()[0])
        said = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, text=True,
                              capture_output=True, timeout=SECONDS_MAX)
        self.assertEqual(said.stdout + said.stderr, "")
        for typed, offered in ((["stepdb", ""], commands), (["stepdb", "run", "for"], ["fork"]),
                               (["stepdb", "serve", "--query-m"], ["--query-memory"]),
                               (["stepdb", "query", "x", "--format", "js"], ["json", "jsonl"])):
            script = ('source /usr/share/bash-completion/completions/stepdb; COMP_WORDS=("$@"); '
                      'COMP_CWORD=$(($# - 1)); _stepdb; printf "%s\\n" "${COMPREPLY[@]}"')
            self.assertEqual(self.inside("bash", "-c", script, "_", *typed).split(), offered, typed)

    def test_g_removing_keeps_the_store_and_purging_leaves_nothing(self):
        config = f"{self.root}/etc/stepdb/stepdb.toml"
        with open(config, "a", encoding="utf-8") as file:
            file.write("# ours\n")
        self.dpkg("--install", "/tmp/stepdb.deb")  # an upgrade leaves what was changed
        with open(config, encoding="utf-8") as file:
            self.assertTrue(file.read().endswith("# ours\n"))
        self.dpkg("--remove", "stepdb")
        self.assertFalse(os.path.exists(f"{self.root}/usr/bin/stepdb"))
        for kept in (config, f"{self.root}/var/lib/stepdb/CURRENT"):
            self.assertTrue(os.path.exists(kept), kept)
        self.dpkg("--purge", "stepdb")
        self.assertEqual(self.changed(), [])
        for name in ("passwd", "group", "shadow", "gshadow"):
            with open(f"{self.root}/etc/{name}", encoding="utf-8") as file:
                self.assertNotIn("stepdb", file.read(), name)

    def test_f_container_is_made_of_the_same(self):
        """What of packaging/Containerfile needs no other machine: its files, variables and user."""
        with open(os.path.join(ROOT, "packaging", "Containerfile"), encoding="utf-8") as file:
            text = re.sub(r"(?m)^#.*\n", "", file.read()).replace("\\\n", "")
        steps = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
        self.assertEqual([rest for word, rest in steps if word == "FROM"],
                         ["debian:12 AS build", "debian:12-slim"])
        runs = [rest for word, rest in steps if word == "RUN"]
        for word, rest in steps:
            if word == "COPY" and not rest.startswith("--from"):
                for source in rest.split()[:-1]:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)
            elif word == "COPY":
                path = rest.split()[1]
                self.assertTrue(path == "/unpacked/depends" or os.path.exists(
                    path.replace("/unpacked", self.root)), path)
            elif word == "ENV":
                done = self.inside("env", *rest.split(), "stepdb", "serve", "--help")
                for name in re.findall(r"STEPDB_SERVE_(\w+)=", rest):
                    self.assertIn(f"--{name.lower().replace('_', '-')} ", done)
        # The libraries that the package names, all of which are packages.
        shutil.copy(self.package, f"{self.root}/tmp/stepdb_of_container.deb")
        extract = next(run for run in runs if "/unpacked" in run)
        self.inside("sh", "-ec", extract.replace("/package/stepdb_*.deb",
                                                 "/tmp/stepdb_of_container.deb"))
        with open(f"{self.root}/unpacked/depends", encoding="utf-8") as file:
            depends = file.read().split()
        self.assertGreater(len(depends), 5)
        self.inside("dpkg-query", "--show", *depends)
        shutil.rmtree(f"{self.root}/unpacked")
        # The user, whose number is what USER says; the package has made one of the same name.
        make_user = next(run for run in runs if run.startswith("useradd")).split("&&")[0].strip()
        user = next(rest for word, rest in steps if word == "USER")
        self.inside("sh", "-ec", re.sub(r"\bstepdb$", "stepdb-of-container", make_user))
        self.assertEqual(self.inside("id", "-u", "stepdb-of-container").strip(),
                         user.split(":")[0])
        self.inside("userdel", "stepdb-of-container")
        health = next(rest for word, rest in steps if word == "HEALTHCHECK")
        self.assertIn("http://127.0.0.1:7421/healthz", health)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: installing a package takes root")
        sys.exit(77)
    if INSIDE not in sys.argv:
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B",
                              os.path.abspath(__file__), INSIDE, *sys.argv[1:]])
    sys.argv.remove(INSIDE)
    unittest.main()
