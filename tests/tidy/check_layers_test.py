#!/usr/bin/env python3
"""check_layers.py catches each kind of violation, and leaves what is right alone."""

import os
import tempfile
import unittest

import check_layers

ARCHITECTURE = """# Architecture
## Map of folders
```
engine/            store
  base/            floor
  io/              seam
  wal/             log
net/               sockets
tests/             tests
  support/         simulated disk
```
## Allowed edges
| folder | may include |
|---|---|
| `engine/base/` | |
| `engine/io/` | `engine/base/` |
| `engine/wal/` | `engine/base/` `engine/io/file.h` |
| `engine/` | `engine/base/` `engine/wal/` |
| `net/` | `engine/` |
| `tests/` | everything |
## Third-party code
| headers | home |
|---|---|
| `boost/` | `net/` |
| `xxhash.h` | `engine/base/` |
| `gtest/` | tests |
## Threads
"""

CLEAN = {
    "ARCHITECTURE.md": ARCHITECTURE,
    "engine/engine.h": '#include "engine/base/bytes.h"\n#include <vector>\n',
    "engine/base/bytes.h": "#include <xxhash.h>\nint64_t time(uint32_t row);\n",
    "engine/io/file.h": "#include <thread>\n#include <sys/stat.h>\nstd::thread worker;\n",
    "engine/wal/log.cc": '#include "engine/io/file.h"\n// std::thread in a comment\n'
                         'auto text = "rand()";\nauto t = rows.time(0);\n',
    "engine/wal/log_test.cc": '#include <gtest/gtest.h>\n#include "tests/support/disk.h"\n',
    "net/server.h": '#include <boost/asio.hpp>\n#include "engine/engine.h"\n',
    "tests/support/disk.h": '#include "engine/wal/log.h"\n',
    "README.md": "See `engine/wal/log.cc`, `engine/base/`, `train/loss` and `ARCHITECTURE.md`.\n",
}


class CheckLayers(unittest.TestCase):
    def problems(self, changes):
        with tempfile.TemporaryDirectory() as root:
            files = {**CLEAN, **changes}
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return list(check_layers.check_all(root, sorted(files)))

    def expect_caught(self, path, text, *words):
        found = self.problems({path: text})
        self.assertEqual(len(found), 1, found)
        for word in (path,) + words:
            self.assertIn(word, found[0])

    def test_clean_tree_has_no_problem(self):
        self.assertEqual(self.problems({}), [])

    def test_edge_that_is_not_in_the_table(self):
        self.expect_caught("engine/base/a.cc", '#include "engine/wal/log.h"\n', ":1:", "may not")
        self.expect_caught("net/a.cc", '#include "engine/wal/log.h"\n', "may not")
        self.expect_caught("engine/wal/a.cc", '#include "engine/io/other.h"\n', "may not")
        self.expect_caught("engine/wal/a.cc", '#include "tests/support/disk.h"\n', "may not")
        self.expect_caught("net/a.cc", '#include "net/testing/fake.h"\n', "may not")
        self.assertEqual(self.problems({"net/a_test.cc": '#include "net/testing/fake.h"\n'}), [])

    def test_library_outside_its_home(self):
        self.expect_caught("engine/wal/a.cc", "#include <xxhash.h>\n", "belongs to")
        self.expect_caught("engine/wal/a.cc", "#include <boost/asio.hpp>\n", "belongs to")
        self.expect_caught("engine/wal/a.cc", "#include <gtest/gtest.h>\n", "belongs to")
        self.expect_caught("net/a.cc", "#include <other/thing.hpp>\n", "has no home")

    def test_threads_clocks_and_dice_in_the_engine(self):
        for call in ("std::thread t;", "std::this_thread::yield();", "std::mutex m;",
                     "std::condition_variable c;", "std::lock_guard<std::mutex> g(m);",
                     "auto t = std::chrono::steady_clock::now();", "auto t = time(nullptr);",
                     "auto t = std::time(nullptr);", "auto t = ::time(0);", "int r = rand();",
                     "int r = std::rand();", "std::random_device d;", "getrandom(p, n, 0);",
                     "usleep(5);", "clock_gettime(c, &t);", "#include <chrono>"):
            with self.subTest(call):
                self.expect_caught("engine/wal/a.cc", "int x;\n" + call + "\n", ":2:")

    def test_unit_tests_may_draw_but_not_wait(self):
        self.assertEqual(self.problems({"engine/wal/a_test.cc": "std::mt19937_64 dice(1);\n"}), [])
        self.expect_caught("engine/wal/a_test.cc", "usleep(5);\n", ":1:", "sleep")

    def test_unit_tests_have_a_namespace_of_their_own(self):
        test = "TEST(Some, Thing) {}\n"
        self.assertEqual(self.problems(
            {"net/a_test.cc": "namespace stepdb::a_test {\n" + test + "}\n"}), [])
        self.expect_caught("net/a_test.cc", "namespace stepdb {\nnamespace {\n" + test + "}\n}\n",
                           "stepdb::a_test", "namespace stepdb; namespace")
        self.expect_caught("net/a_test.cc", test, "stepdb::a_test", "none")

    def test_types_of_one_name(self):
        types = "namespace stepdb {{\n{}}}  // namespace stepdb\n"
        one = types.format("struct Token final : Base {\n};\n")
        two = types.format("class Token {\n};\n")
        found = self.problems({"engine/wal/a.h": one, "net/a.h": two})
        self.assertEqual(len(found), 1, found)
        self.assertIn("net/a.h: stepdb::Token is the name of another type in engine/wal/a.h", found[0])
        for other in (types.format("namespace {\nclass Token {\n};\n}  // namespace\n"),
                      types.format("class Token;\nclass Other::Token {\n};\nclass A {\n  class Token {};\n};\n"),
                      "namespace stepdb::client {\nclass Token {\n};\n}  // namespace stepdb::client\n"):
            with self.subTest(other):
                self.assertEqual(self.problems({"engine/wal/a.h": one, "net/a.h": other}), [])

    def test_long_file(self):
        self.expect_caught("net/a.cc", "\n" * 601, "601 lines")

    def test_folder_without_a_row_or_a_place_in_the_map(self):
        found = self.problems({"engine/tail/tail.h": "int x;\n"})
        self.assertEqual(len(found), 2, found)
        self.assertIn("Map of folders", found[0])
        self.assertIn("Allowed edges", found[1])

    def test_row_without_a_folder(self):
        self.expect_caught("ARCHITECTURE.md",
                           ARCHITECTURE.replace("| `net/` |", "| `gone/` | |\n| `net/` |", 1), "gone/")

    def test_path_in_a_document_that_does_not_exist(self):
        self.expect_caught("README.md", "See\n`engine/wal/gone.cc`.\n", ":2:", "does not exist")
        self.expect_caught("README.md", "`tests/gone`\n", "does not exist")
        self.expect_caught("README.md", "`GONE.md`\n", "does not exist")
        self.assertEqual(self.problems({"README.md": "`engine/wal/*.cc` `engine/wal/log.cc:2`\n"}), [])

    def test_path_of_a_machine(self):
        self.expect_caught("net/a.cc", "// see /" + "work/thing\n", ":1:", "machine")
        self.expect_caught("README.md", "cd /" + "home/me\n", "machine")


if __name__ == "__main__":
    unittest.main()
