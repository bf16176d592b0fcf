// Runs a target over every file of the folders named, in order of their names. Each input is
// copied to memory of exactly its size, so that the address sanitizer sees a read beyond it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_below(const char* folder) {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

bool run_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string contents{std::istreambuf_iterator<char>(in), {}};
    if (!in.good() && !in.eof()) {
        fmt::print(stderr, "{}: cannot be read\n", path.string());
        return false;
    }
    // The name first: a target that fails ends the process.
    fmt::print("{}\n", path.string());
    std::fflush(stdout);
    const auto exact = std::make_unique<std::byte[]>(contents.size());
    std::transform(contents.begin(), contents.end(), exact.get(),
                   [](char c) { return static_cast<std::byte>(c); });
    stepdb::fuzz_one({exact.get(), contents.size()});
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    size_t inputs = 0;
    for (int i = 1; i < argc; ++i) {
        for (const fs::path& path : files_below(argv[i])) {
            if (!run_file(path)) {
                return 1;
            }
            ++inputs;
        }
    }
    fmt::print("{} inputs\n", inputs);
    // An empty corpus would be a test that cannot fail.
    return inputs == 0 ? 1 : 0;
}
