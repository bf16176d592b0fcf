#!/usr/bin/env python3
"""Holds what ARCHITECTURE.md says about the source.

Usage: check_layers.py [ROOT]

Reads the tables "Allowed edges" and "Third-party code" and the map of folders in ARCHITECTURE.md
and fails, naming file and line, on

  - an include that is no allowed edge, or of a library outside its home;
  - a thread, wait, sleep, clock or random call in engine/ outside engine/io/;
  - a source file of more than 600 lines;
  - a unit test that declares things outside the namespace named after it;
  - a type of one name in two files: the linker takes one of two destructors, and says nothing;
  - a source folder that the map or the edge table leaves out, or a row without a folder;
  - a path named in a document (in backticks) that does not exist;
  - a path of somebody's machine in any file.
"""

import fnmatch
import os
import re
import subprocess
import sys

LINES_MAX = 600
SOURCE_FOLDERS = ("engine", "query", "net", "clients", "examples", "tools", "tests", "bench")
CPP = (".h", ".cc")
CODE = CPP + (".py", ".sh", ".cmake")

# Each is looked for in code without comments and literals.
ENGINE_BANNED = {
    r"std::(jthread|thread)\b": "thread",
    r"std::(async|future|promise|packaged_task|barrier|latch)\b": "thread",
    r"\b(pthread|thrd|mtx|cnd)_\w+\s*\(": "thread",
    r"#include <(thread|future|latch|barrier|stop_token|pthread\.h|threads\.h)>": "thread",
    r"std::this_thread\b": "thread or sleep",
    r"\b(sleep|usleep|nanosleep|clock_nanosleep|sched_yield)\s*\(": "sleep",
    r"std::(recursive_|shared_|timed_)*(mutex|lock_guard|unique_lock|scoped_lock|shared_lock)\b":
        "lock",
    r"#include <(mutex|shared_mutex)>": "lock",
    r"std::condition_variable(_any)?\b|std::(counting|binary)_semaphore\b": "wait",
    r"#include <(condition_variable|semaphore)>": "wait",
    r"\bstd::chrono\b|\b\w+_clock::now\b": "clock",
    r"\b(clock_gettime|gettimeofday|timespec_get)\s*\(": "clock",
    r"(\bstd::|[^\w.>:]::|(?<![\w.>:~]))time\s*\(\s*(nullptr|NULL|0|&\w+)\s*\)": "clock",
    r"#include <(chrono|ctime|time\.h|sys/time\.h)>": "clock",
    r"std::random_device\b|std::mt19937(_64)?\b|std::default_random_engine\b": "random",
    r"(?<![\w.>])(rand|random|drand48|arc4random)\s*\(\s*\)": "random",
    r"(?<![\w.>])(srand|getrandom|getentropy)\s*\(": "random",
    r"#include <(random|sys/random\.h)>": "random",
}

# Spelled in parts so that this file passes its own check.
MACHINE_PATHS = re.compile(
    "(?<![\\w.])(/" + "work/|/" + "tmp/wt|/" + "root(/|\\b)|/" + "home/[a-z])")

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
HEADERS_FREE = re.compile(r"^(\w+|[\w/]+\.h)$")  # <vector>, <unistd.h>, <sys/stat.h>


def list_files(root):
    """Paths, from root, of everything that is tracked or would be."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    paths = sorted({name.decode() for name in names.split(b"\0") if name})
    return [path for path in paths if os.path.isfile(os.path.join(root, path))]


def read_text(root, path):
    """The file's text; None if it is no text."""
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    if b"\0" in data[:4096]:
        return None
    return data.decode("utf-8", "replace")


def section(text, title):
    """The lines under the heading `title`, up to the next heading of its rank."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    if not match:
        raise SystemExit(f'ARCHITECTURE.md has no section "{title}"')
    return match.group(1)


def table_rows(text):
    """The rows of a Markdown table as pairs of (list of `words`, raw second cell)."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and "`" in cells[0]:
            rows.append((re.findall(r"`([^`]+)`", cells[0]), cells[1]))
    return rows


class Rules:
    """What ARCHITECTURE.md allows."""

    def __init__(self, architecture):
        self.edges = {}
        for folders, cell in table_rows(section(architecture, "Allowed edges")):
            allowed = None if cell == "everything" else re.findall(r"`([^`]+)`", cell)
            for folder in folders:
                self.edges[folder.rstrip("/")] = allowed
        self.homes = []  # (header prefix, folders or "tests" or "everywhere")
        for prefixes, cell in table_rows(section(architecture, "Third-party code")):
            for prefix in prefixes:
                self.homes.append((prefix, re.findall(r"`([^`]+)`", cell) or [cell]))
        self.mapped = self.read_map(section(architecture, "Map of folders"))

    @staticmethod
    def read_map(text):
        """The folders of the indented listing."""
        folders, parents = set(), []
        for line in text.splitlines():
            match = re.match(r"^( *)([\w.-]+)/( |$)", line)
            if match:
                depth = len(match.group(1)) // 2
                parents = parents[:depth] + [match.group(2)]
                folders.add("/".join(parents))
        return folders

    def row_for(self, folder):
        """The row of the table that speaks of `folder`: its own; below tests/ and bench/ theirs."""
        if folder in self.edges:
            return folder
        top = folder.split("/")[0]
        return top if top in ("tests", "bench") and top in self.edges else None


def is_unit_test(path):
    return path.endswith("_test.cc")


def is_test_code(path):
    return is_unit_test(path) or path.startswith("tests/") or "/testing/" in path


def strip_comments_and_literals(text):
    """C++ without the contents of comments, strings and characters; line numbers stay."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
        re.S)
    return pattern.sub(lambda match: "\n" * match.group(0).count("\n") + " ", text)


def check_include(rules, path, quote, target):
    """What is wrong with this include, or None."""
    folder = os.path.dirname(path)
    if quote == '"':
        row = rules.row_for(folder)
        if row is None:
            return f"folder {folder}/ has no row in ARCHITECTURE.md, Allowed edges"
        allowed = rules.edges[row]
        target_folder = os.path.dirname(target)
        if allowed is None or target_folder == folder or target in allowed:
            return None
        if target_folder + "/" in allowed:
            return None
        if is_unit_test(path) and target_folder in ("tests/support", folder + "/testing"):
            return None
        return f'{folder}/ may not include "{target}" (ARCHITECTURE.md, Allowed edges)'
    for prefix, homes in rules.homes:
        if not target.startswith(prefix):
            continue
        for home in homes:
            if home == "everywhere" or folder == home.rstrip("/"):
                return None
            if home == "tests" and is_test_code(path):
                return None
            if home.endswith("/") and folder.startswith(home) and home in ("tools/", "bench/"):
                return None
        return (f"<{target}> belongs to {' and '.join(homes)} alone (ARCHITECTURE.md, Third-party "
                "code)")
    if HEADERS_FREE.match(target):
        return None
    return f"<{target}> has no home in ARCHITECTURE.md, Third-party code"


def check_test_namespace(path, text):
    """Builds compile several files as one, and every test has its own Example and kNan."""
    name = os.path.basename(path)[:-len(".cc")]
    opened = [line.strip() for line in re.findall(r"^namespace\b[^\n{]*", text, re.M)]
    if re.search(r"^TEST", text, re.M) and (
            len(opened) != 1 or not opened[0].endswith("::" + name)):
        yield f"{path}: its one namespace is stepdb::{name}, not: {'; '.join(opened) or 'none'}"


# At the beginning of a line: one that others can name.
TYPE = re.compile(r"^(?:class|struct|union|enum class) (\w+)(?: final)?(?: : [^;{]*?)? ?\{", re.M)
UNNAMED = re.compile(r"^namespace \{\n.*?^\}  // namespace\n", re.M | re.S)
NAMESPACE = re.compile(r"^namespace ([\w:]+) \{|^\}  // namespace [\w:]+", re.M)


def named_types(text):
    """The types that a file defines for others, with their namespaces."""
    text = UNNAMED.sub("", text)
    for match in TYPE.finditer(text):
        around = []
        for edge in NAMESPACE.finditer(text, 0, match.start()):
            if edge.group(1):
                around.append(edge.group(1))
            elif around:
                around.pop()
        yield "::".join(around + [match.group(1)])


def check_types(texts):
    """Of what is no test. A fake may have the name of what is in another program."""
    seen = {}
    for path, text in texts.items():
        for name in named_types(text):
            first = seen.setdefault(name, path)
            if first != path:
                yield f"{path}: {name} is the name of another type in {first}"


# Guards its lists against other threads for some instructions, as malloc does; nobody waits there
# for anything to happen.
ALLOCATOR = ("engine/base/page_heap.h", "engine/base/page_heap.cc")


def check_cpp(rules, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            problem = check_include(rules, path, match.group(1), match.group(2))
            if problem:
                yield f"{path}:{number}: {problem}"
    if is_unit_test(path):
        yield from check_test_namespace(path, text)
    if not path.startswith("engine/") or path.startswith("engine/io/"):
        return
    for number, line in enumerate(strip_comments_and_literals(text).splitlines(), 1):
        for pattern, kind in ENGINE_BANNED.items():
            match = re.search(pattern, line)
            if match and kind == "lock" and path in ALLOCATOR:
                continue
            if match and not (kind == "random" and is_unit_test(path)):  # tests print their seed
                yield (f"{path}:{number}: `{match.group(0).strip()}` ({kind}): in engine/ only "
                       "engine/io/ may; take an Executor, Clock or Random")


def check_folders(rules, paths):
    """Every folder with C++ in it is in the map and in the table, and the other way round."""
    folders = {os.path.dirname(path) for path in paths
               if path.endswith(CPP) and path.split("/")[0] in SOURCE_FOLDERS}
    for folder in sorted(folders):
        if folder not in rules.mapped:
            yield f"{folder}/ is missing in ARCHITECTURE.md, Map of folders"
        if rules.row_for(folder) is None:
            yield f"{folder}/ has no row in ARCHITECTURE.md, Allowed edges"
    everything = {"/".join(parts[:n]) for parts in (path.split("/") for path in paths)
                  for n in range(1, len(parts))}
    for folder in sorted((rules.mapped | set(rules.edges)) - everything):
        yield f"ARCHITECTURE.md names {folder}/, which does not exist"


def check_document(paths, path, text):
    """Paths in backticks exist. Code blocks are left out: they show commands and layouts."""
    known = set(paths)
    for name in paths:
        parts = name.split("/")
        known.update("/".join(parts[:n]) for n in range(1, len(parts)))
    tops = {name.split("/")[0] for name in known}
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if fenced:
            continue
        for span in re.findall(r"`([^`]+)`", line):
            word = re.sub(r":\d+$", "", span.split(" ")[0]).rstrip("/")
            in_tree = "/" in word and word.split("/")[0] in tops
            if not in_tree and not re.fullmatch(r"[\w-]+\.(md|cmake|py)", word):
                continue
            if not (word in known or fnmatch.filter(known, word)):
                yield f"{path}:{number}: `{span}` does not exist"


def check_all(root, paths=None):
    """All problems of the source below `root`, as lines of text."""
    paths = paths if paths is not None else list_files(root)
    rules = Rules(read_text(root, "ARCHITECTURE.md"))
    yield from check_folders(rules, paths)
    yield from check_types({path: read_text(root, path) or "" for path in paths
                            if path.endswith(CPP) and not is_test_code(path)})
    for path in paths:
        text = read_text(root, path)
        if text is None:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATHS.search(line):
                yield f"{path}:{number}: path of a machine: {line.strip()[:100]}"
        if path.endswith(CODE) and text.count("\n") > LINES_MAX:
            yield f"{path}: {text.count(chr(10))} lines, more than {LINES_MAX}: split it"
        if path.endswith(CPP) and path.split("/")[0] in SOURCE_FOLDERS:
            yield from check_cpp(rules, path, text)
        if path.endswith(".md"):
            yield from check_document(paths, path, text)


def main(arguments):
    root = arguments[1] if len(arguments) > 1 else "."
    problems = list(check_all(root))
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
