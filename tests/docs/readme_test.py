"""Types the shell blocks of the documents, in order, into a shell in a directory that looks like a
fresh clone with the program built, and fails when a command fails.

    ```sh         commands, one a line (a backslash goes on)
    ```console    commands behind `$ `, each followed by what it prints in a terminal of 72 by 14;
                  a line `...` stands for any lines

What must not run says why: <!-- not run: REASON --> on the line before the block. Its syntax and the
names of our scripts in it are checked all the same. The blocks of one document are one session. Of
`stepdb serve` the ports alone are others than typed, and the next command waits for `listening on`;
where it is started with `--http 127.0.0.1:7421`, `curl` finds it at that address. A document ends the
server it starts, which must exit with 0.
"""

import errno
import fcntl
import glob
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
from support import ROOT, SECONDS_MAX, STEPDB  # noqa: E402

ALL_TAGGED = ("README.md", "CONTRIBUTING.md")  # here every fence says what it is
RUN = ("sh", "console")
LOOKS_LIKE_COMMANDS = re.compile(
    r"^\s*(\$ |(\./)?((stepdb|cmake|ctest|python3) |(tools|build|\.ci)/\w))")
OWN_SCRIPT = re.compile(r"(?:^|[\s;&|])((?:tools|tests|examples|\.ci)/[\w./-]+)")
MARK = "\x01"  # begins a line of ours in the session's output

PRELUDE = """\
set -eE -o pipefail
trap 'printf "\\001failed %s\\n" "$BASH_COMMAND"' ERR
servers=()
stepdb() {
    if [ "${1:-}" = serve ]; then
        if [ "$BASHPID" = "$$" ]; then
            echo 'a server in the foreground: the commands after it never come'
            return 1
        fi
        exec stepdb "${@/%127.0.0.1:7421/127.0.0.1:0}" --listen 127.0.0.1:0 >"$STEPDB_READY" 2>>"$STEPDB_SAID"
    fi
    command stepdb "$@"
}
curl() {
    command curl "${@/127.0.0.1:7421/$STEPDB_HTTP}"
}
wait_until_ready() {
    servers+=("$!")
    local line=''
    exec 9<"$STEPDB_READY"
    read -r line <&9
    [[ "$line" =~ ^listening\\ on\\ 127\\.0\\.0\\.1:[0-9]+$ ]]
    export STEPDB_SERVER=${line#listening on }
    if [ "$1" = http ]; then
        read -r line <&9
        STEPDB_HTTP=${line#http on }
    fi
    exec 9<&-
}
"""
# A server that nobody has ended is waited for in vain, until the session's time is over.
FINALE = 'for server in "${servers[@]}"; do wait "$server"; done\n'


class Block:
    def __init__(self, path, line, tag, lines, skip_reason):
        self.path = path
        self.line = line  # of its first command
        self.tag = tag
        self.lines = lines
        self.skip_reason = skip_reason

    def commands(self):
        """(line, command, what it prints or None)"""
        found = []
        for number, line in enumerate(self.lines, self.line):
            if found and found[-1][1].endswith("\\\n"):
                found[-1][1] += line + "\n" if line.endswith("\\") else line
            elif self.tag == "console" and not line.startswith("$ "):
                if not found:
                    raise AssertionError(f"{self.path}:{number}: output before any command")
                found[-1][2].append(line)
            elif line.strip():
                text = line[2:] if self.tag == "console" else line
                text += "\n" if text.endswith("\\") else ""
                found.append([number, text, [] if self.tag == "console" else None])
        return found


def blocks_of(path, text):
    """The fenced blocks of a document, those without a tag included."""
    blocks, block, before = [], None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if block is None and line.startswith("```"):
            reason = re.fullmatch(r"<!-- not run: (.+) -->", before)
            block = Block(path, number + 1, line[3:].strip(), [], reason and reason[1])
        elif block is not None and line.startswith("```"):
            blocks.append(block)
            block = None
        elif block is not None:
            block.lines.append(line)
        before = line
    if block is not None:
        raise AssertionError(f"{path}:{block.line}: the block does not end")
    return blocks


def documents():
    names = [os.path.basename(path) for path in glob.glob(os.path.join(ROOT, "*.md"))]
    names += ["docs/" + os.path.basename(path)
              for path in glob.glob(os.path.join(ROOT, "docs", "*.md"))]
    return sorted(names) + ["examples/README.md"]


def read_blocks(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return blocks_of(name, file.read())


def script_of(blocks):
    script = [PRELUDE]
    for block in blocks:
        for line, command, _ in block.commands():
            script.append(f"printf '\\001at %d\\n' {line}\n{command}\n")
            if re.search(r"\bstepdb serve\b[^#]*&\s*(#.*)?$", command):
                kind = "http" if "--http" in command else "native"
                script.append(f"wait_until_ready {kind}\n")
    script.append(FINALE)
    return "".join(script)


def matches(want, got):
    """Whether the lines are those wanted, `...` standing for any number of them."""
    if not want:
        return not got
    if want[0].strip() == "...":
        return any(matches(want[1:], got[n:]) for n in range(len(got) + 1))
    return bool(got) and want[0].rstrip() == got[0].rstrip() and matches(want[1:], got[1:])


def run_in_terminal(script, directory, environment):
    """Runs it under bash in a terminal of 72 by 14; returns the status and what it printed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 14, 72, 0, 0))
    path = os.path.join(directory, "session.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(script)
    process = subprocess.Popen(["bash", path], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=theirs, cwd=os.path.join(directory, "stepdb"),
                               env=environment, start_new_session=True)
    os.close(theirs)
    printed = b""
    deadline = time.monotonic() + SECONDS_MAX
    try:
        while True:
            if not select.select([ours], [], [], max(0, deadline - time.monotonic()))[0]:
                printed += b"\n\x01failed to end in time: is a server left running?\n"
                break
            try:
                piece = os.read(ours, 1 << 16)
            except OSError as error:  # how Linux says that the other end is closed
                if error.errno != errno.EIO:
                    raise
                piece = b""
            if not piece:
                break
            printed += piece
    finally:
        os.close(ours)
        status = process.poll()
        try:
            if status is None:
                status = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = -1
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what it has left behind
        except ProcessLookupError:
            pass
        process.wait()
    return status, printed.decode("utf-8", "replace").replace("\r\n", "\n")


def run_session(blocks):
    """What is wrong with these blocks of one document, as text; "" if all is well."""
    directory = tempfile.mkdtemp(prefix="stepdb-docs-")
    try:
        clone = os.path.join(directory, "stepdb")
        for name in ("tools", "examples", "docs", "clients/python"):
            shutil.copytree(os.path.join(ROOT, name), os.path.join(clone, name))
        bin_directory = os.path.join(clone, "build", "release", "bin")
        os.makedirs(bin_directory)
        os.symlink(os.path.abspath(STEPDB), os.path.join(bin_directory, "stepdb"))
        os.mkfifo(os.path.join(directory, "ready"))
        environment = {
            "PATH": os.environ["PATH"], "HOME": directory, "TMPDIR": directory,
            "TERM": "xterm", "NO_COLOR": "1", "LANG": os.environ.get("LANG", "C.UTF-8"),
            "STEPDB_BIN": os.path.abspath(STEPDB), "STEPDB_DATA": os.path.join(directory, "none"),
            "STEPDB_READY": os.path.join(directory, "ready"),
            "STEPDB_SAID": os.path.join(directory, "said")}
        status, printed = run_in_terminal(script_of(blocks), directory, environment)
        said = ""
        if os.path.exists(environment["STEPDB_SAID"]):
            with open(environment["STEPDB_SAID"], encoding="utf-8") as file:
                said = file.read()
    finally:
        shutil.rmtree(directory)
    return judge(blocks, status, printed, said)


def as_seen(text):
    """What a terminal shows of a line in the end: a line of progress is cleared for what follows."""
    return text.rsplit("\r\x1b[K", 1)[-1]


def judge(blocks, status, printed, said):
    path = blocks[0].path
    outputs, line, failed = {}, 0, None
    for text in map(as_seen, printed.split("\n")):
        if text.startswith(MARK + "at "):
            line = int(text[4:])
            outputs[line] = []
        elif text.startswith(MARK + "failed "):
            failed = failed or (line, text[8:])
        else:
            outputs.setdefault(line, []).append(text)
    if failed or status != 0:
        at, inner = failed or (line, f"the session ended with status {status}")
        typed = [command for block in blocks for number, command, _ in block.commands()
                 if number == at]
        return "\n".join([f"{path}:{at}: failed: {' '.join(typed)} ({inner})",
                          *outputs.get(at, []), said])
    for block in blocks:
        for number, command, want in block.commands():
            got = outputs[number]
            while got and not got[-1]:
                got = got[:-1]
            if want is not None and not matches(want, got):
                return f"{path}:{number}: `{command}` prints something else:\n" + "\n".join(got)
    return ""


class Documents(unittest.TestCase):
    def test_commands_work(self):
        ran = 0
        for name in documents():
            blocks = [b for b in read_blocks(name) if b.tag in RUN and not b.skip_reason]
            if blocks:
                ran += sum(len(block.commands()) for block in blocks)
                with self.subTest(name):
                    self.assertEqual(run_session(blocks), "")
        self.assertGreater(ran, 8)

    def test_no_command_escapes(self):
        """Blocks with commands are marked as such."""
        for name in documents():
            for block in read_blocks(name):
                where = f"{name}:{block.line}"
                if name in ALL_TAGGED:
                    self.assertNotEqual(block.tag, "", f"{where}: ```sh, ```console or ```text?")
                if block.tag in RUN:
                    continue
                for line in block.lines:
                    self.assertIsNone(LOOKS_LIKE_COMMANDS.match(line), f"{where}: {line}")

    def test_what_is_not_run_is_sound(self):
        for name in documents():
            for block in read_blocks(name):
                if block.tag not in RUN or not block.skip_reason:
                    continue
                where = f"{name}:{block.line}"
                for _, command, _ in block.commands():
                    done = subprocess.run(["bash", "-n", "-c", command], capture_output=True,
                                          text=True, timeout=SECONDS_MAX)
                    self.assertEqual(done.returncode, 0, f"{where}: {command}: {done.stderr}")
                    for script in OWN_SCRIPT.findall(command.split("#")[0]):
                        self.assertTrue(os.path.exists(os.path.join(ROOT, script)),
                                        f"{where}: {script} does not exist")

    def test_presets_named_exist(self):
        with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
            presets = set(re.findall(r'"name": "(\w+)"', file.read()))
        for name in documents():
            for block in read_blocks(name):
                for preset in re.findall(r"--preset (\w+)", "\n".join(block.lines)):
                    self.assertIn(preset, presets, f"{name}:{block.line}")


class TheTestItself(unittest.TestCase):
    """It must be able to fail."""

    def session(self, text):
        return run_session(blocks_of("x.md", text))

    def test_finds_a_broken_command(self):
        path = "```sh\nexport PATH=$PWD/build/release/bin:$PATH\n"
        self.assertEqual(self.session(path + "stepdb --version\n```\n"), "")
        self.assertIn("x.md:3: failed", self.session(path + "stepdb --versoin\n```\n"))
        self.assertIn("x.md:3: failed", self.session(path + "stepdb serve\n```\n"))
        self.assertIn("x.md:2: failed", self.session("```sh\ntools/no-such-script\n```\n"))
        self.assertIn("x.md:2: failed", self.session("```sh\nfalse | cat\n```\n"))

    def test_finds_other_output(self):
        self.assertEqual(self.session("```console\n$ printf 'a\\nb\\nc\\n'\na\n...\nc\n```\n"), "")
        self.assertIn("x.md:2:", self.session("```console\n$ echo one\ntwo\n```\n"))
        self.assertIn("x.md:2:", self.session("```console\n$ echo one\n```\n"))
        self.assertIn("x.md:2:", self.session("```console\n$ true\none\n```\n"))
        # A bar of progress, which a slow machine draws and a fast one does not, leaves nothing.
        for last in ("two\\n", ""):
            command = f"printf '\\r\\033[Kone\\r\\033[K{last}'"
            seen = last.replace("\\n", "\n")
            self.assertEqual(self.session(f"```console\n$ {command}\n{seen}$ echo 3\n3\n```\n"), "")
            self.assertIn("x.md:2:", self.session(f"```console\n$ {command}\none\n```\n"))

    def test_a_command_may_take_lines(self):
        self.assertEqual(self.session("```console\n$ echo one \\\n    two\none two\n```\n"), "")
        block = blocks_of("x.md", "```sh\necho one \\\n    two\ntrue\n```\n")[0]
        self.assertEqual([line for line, _, _ in block.commands()], [2, 4])


if __name__ == "__main__":
    unittest.main()
