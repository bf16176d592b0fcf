// stepdb_make_golden DIRECTORY: writes the golden store of today's format and what it reads as. Run
// for a format that has changed; folders of older ones stay as they are.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/format/golden_store.h"

namespace stepdb {

namespace {

void write_file(const std::filesystem::path& path, Bytes bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    CHECK(file.good(), "cannot write {}", path.string());
}

int make_golden(const std::filesystem::path& directory) {
    const SimDisk disk = make_golden_store();
    std::filesystem::create_directories(directory / "store");
    for (const std::string& path : disk.files()) {
        if (path.ends_with("/LOCK")) {
            continue;  // no part of the format
        }
        write_file(directory / path, *disk.contents(path));
    }
    SimDisk read = disk;
    SimStore store(read, 1, golden_options());
    const Status opened = store.open();
    CHECK(opened, "{}", opened.error().message());
    const std::string listed = list_store(store);
    write_file(directory / "contents.txt", std::as_bytes(std::span(listed)));
    return 0;
}

}  // namespace

}  // namespace stepdb

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "Usage: stepdb_make_golden DIRECTORY\n");
        return 2;
    }
    return stepdb::make_golden(argv[1]);
}
