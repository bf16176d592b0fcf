#include "tools/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "engine/base/coding.h"
#include "engine/base/json_scanner.h"
#include "engine/base/json_text.h"
#include "engine/base/text.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

constexpr uint32_t kSpoolFormat = 1;
constexpr std::string_view kFramesSuffix = ".frames";
constexpr std::string_view kAsideSuffix = ".damaged";
constexpr double kWholeMax = 9007199254740992.0;  // 2^53

Error last_error(std::string_view verb, const std::string& path) {
    const int number = errno;
    return make_error(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                      "cannot {} {}: {}", verb, path, std::generic_category().message(number));
}

Result<uint64_t> whole(const JsonLeaf& leaf) {
    if (leaf.kind != JsonKind::kNumber || leaf.number < 0 || leaf.number > kWholeMax ||
        leaf.number != std::floor(leaf.number)) {
        return make_error(ErrorCode::kInvalidArgument, "{} is {}, not a whole number", leaf.path,
                          printable(leaf.text, 40));
    }
    return static_cast<uint64_t>(leaf.number);
}

Result<Id128> writer_of(std::string_view hex) {
    Id128 id;
    bool is_hex = hex.size() == 2 * id.bytes.size();
    for (size_t i = 0; is_hex && i < id.bytes.size(); ++i) {
        uint8_t byte = 0;
        const char* const from = hex.data() + 2 * i;
        const auto read = std::from_chars(from, from + 2, byte, 16);
        is_hex = read.ec == std::errc() && read.ptr == from + 2;
        id.bytes[i] = std::byte{byte};
    }
    if (!is_hex) {
        return make_error(ErrorCode::kInvalidArgument, "writer '{}' is not 32 hexadecimal digits",
                          printable(hex, 40));
    }
    return id;
}

Status take_member(SpoolRun& run, uint64_t& format, const JsonLeaf& leaf) {
    const bool is_text = leaf.kind == JsonKind::kString;
    if (leaf.path == "format") {
        TRY_ASSIGN(format, whole(leaf));
    } else if (leaf.path == "server" && is_text) {
        run.server = leaf.text;
    } else if (leaf.path == "project" && is_text) {
        run.project = leaf.text;
    } else if (leaf.path == "run" && is_text) {
        run.run = leaf.text;
    } else if (leaf.path == "parent" && is_text) {
        run.parent = std::string(leaf.text);
    } else if (leaf.path == "fork_step" && leaf.kind == JsonKind::kNumber) {
        run.fork_step = leaf.number;
    } else if (leaf.path == "writer" && is_text) {
        TRY_ASSIGN(run.writer, writer_of(leaf.text));
    } else if (leaf.path == "base") {
        TRY_ASSIGN(run.base, whole(leaf));
    } else if (leaf.path == "attempt" && leaf.kind != JsonKind::kNull) {
        TRY_ASSIGN(const uint64_t attempt, whole(leaf));
        if (attempt >= kSpoolAttemptOpen) {
            return make_error(ErrorCode::kInvalidArgument, "attempt {} is none", attempt);
        }
        run.attempt = static_cast<uint32_t>(attempt);
    } else if (leaf.kind != JsonKind::kNull) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}' is no member it has, or of another "
                          "type",
                          printable(leaf.path, 40));
    }
    return {};
}

Status sync_path(const std::string& path, int flags) {
    TRY_ASSIGN(const Descriptor file, Descriptor::open("open", path, flags));
    return ::fsync(file.number()) == 0 ? Status() : Status(last_error("sync", path));
}

}  // namespace

// --- run.json ---

Result<SpoolRun> SpoolRun::parse(std::string_view text) {
    SpoolRun run;
    uint64_t format = 0;
    TRY(scan_json_object(text,
                         [&](const JsonLeaf& leaf) { return take_member(run, format, leaf); }));
    if (format != kSpoolFormat) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "it is of format {}, and {} is known; send it with the version that "
                          "wrote it",
                          format, kSpoolFormat);
    }
    if (run.project.empty() || run.run.empty() || run.writer.is_zero()) {
        return make_error(ErrorCode::kInvalidArgument, "project, run or writer are missing");
    }
    return run;
}

std::string SpoolRun::to_json() const {
    std::string json = fmt::format("{{\"format\": {}, \"server\": ", kSpoolFormat);
    append_json_text(json, server);
    json += ", \"project\": ";
    append_json_text(json, project);
    json += ", \"run\": ";
    append_json_text(json, run);
    json += ", \"parent\": ";
    if (parent) {
        append_json_text(json, *parent);
        json += fmt::format(", \"fork_step\": {}", fork_step);
    } else {
        json += "null, \"fork_step\": null";
    }
    json += fmt::format(", \"writer\": \"{}\", \"base\": {}, \"attempt\": {}}}", writer.to_hex(),
                        base, attempt ? fmt::format("{}", *attempt) : "null");
    return json;
}

// --- Frames ---

uint64_t SpoolFrame::rows() const {
    constexpr size_t kRowsOffset = kFrameHeaderBytes + 24;
    return header.type == FrameType::kRows && bytes.size() >= kRowsOffset + 4
               ? load_le<uint32_t>(bytes.data() + kRowsOffset)
               : 0;
}

Result<SpoolFile> SpoolFile::read(const std::string& path) {
    SpoolFile read;
    std::ifstream file(path, std::ios::binary);
    std::error_code failed;
    const uint64_t size = fs::file_size(path, failed);
    if (!file || failed) {
        return last_error("read", path);
    }
    read.content_.resize(size);
    file.read(reinterpret_cast<char*>(read.content_.data()), static_cast<std::streamsize>(size));
    if (static_cast<uint64_t>(file.gcount()) != size) {
        return make_error(ErrorCode::kIoError, "cannot read {}: {} of {} bytes came", path,
                          file.gcount(), size);
    }
    const Bytes all(read.content_);
    while (all.size() - read.sound_ >= kFrameHeaderBytes) {
        const Bytes rest = all.subspan(read.sound_);
        const Result<FrameHeader> header = parse_frame_header(rest);
        if (!header || header->length > rest.size() ||
            !verify_frame(*header, rest.first(header->length))) {
            break;
        }
        read.frames_.emplace_back(*header, rest.first(header->length));
        read.sound_ += header->length;
    }
    return read;
}

bool SpoolFile::is_torn() const {
    const Bytes rest = Bytes(content_).subspan(sound_);
    if (rest.size() < kFrameHeaderBytes ||
        std::ranges::all_of(rest, [](std::byte byte) { return byte == std::byte{0}; })) {
        return true;
    }
    const Result<FrameHeader> header = parse_frame_header(rest);
    return header && header->length > rest.size();
}

// --- Directories ---

Result<std::vector<std::string>> find_spools(const std::string& root) {
    std::error_code failed;
    std::vector<std::pair<fs::file_time_type, std::string>> found;
    fs::recursive_directory_iterator at(root, failed);
    if (failed) {
        return make_error(failed == std::errc::no_such_file_or_directory ? ErrorCode::kNotFound
                                                                         : ErrorCode::kIoError,
                          "cannot list {}: {}", root, failed.message());
    }
    // What goes meanwhile has been sent by somebody else.
    std::error_code ignored;
    if (fs::exists(fs::path(root) / "run.json", ignored)) {
        found.emplace_back(fs::file_time_type(), root);
    }
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        const fs::path json = at->path() / "run.json";
        if (at->is_directory(ignored) && fs::exists(json, ignored)) {
            found.emplace_back(fs::last_write_time(json, ignored), at->path().native());
        }
    }
    std::ranges::sort(found);
    std::vector<std::string> directories;
    directories.reserve(found.size());
    for (auto& [time, directory] : found) {
        directories.push_back(std::move(directory));
    }
    return directories;
}

Result<Spool> Spool::open(const std::string& directory) {
    TRY_ASSIGN(Descriptor lock, Descriptor::open("open", directory + "/lock", O_RDWR | O_CREAT));
    if (::flock(lock.number(), LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? make_error(ErrorCode::kUnavailable, "its process is alive and sends it itself")
                   : last_error("lock", directory);
    }
    Spool spool(directory, std::move(lock));
    const std::string path = directory + "/run.json";
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return last_error("read", path);
    }
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    Result<SpoolRun> run = SpoolRun::parse(text);
    if (!run) {
        return run.error().within(path);
    }
    spool.run_ = std::move(*run);
    return spool;
}

Status Spool::save_run(const SpoolRun& run) {
    const std::string path = directory_ + "/run.json";
    {
        std::ofstream file(path + ".new", std::ios::binary | std::ios::trunc);
        file << run.to_json();
        file.flush();
        if (!file) {
            return last_error("write", path + ".new");
        }
    }
    TRY(sync_path(path + ".new", O_RDONLY));
    if (::rename((path + ".new").c_str(), path.c_str()) != 0) {
        return last_error("replace", path);
    }
    TRY(sync_path(directory_, O_RDONLY | O_DIRECTORY));
    run_ = run;
    return {};
}

Result<std::vector<uint64_t>> Spool::file_numbers() const {
    std::vector<uint64_t> numbers;
    std::error_code failed;
    for (fs::directory_iterator at(directory_, failed); !failed && at != fs::directory_iterator();
         at.increment(failed)) {
        const std::string name = at->path().filename().native();
        uint64_t number = 0;
        const char* const end = name.data() + name.size();
        const auto read = std::from_chars(name.data(), end, number);
        if (read.ec == std::errc() && std::string_view(read.ptr, end) == kFramesSuffix) {
            numbers.push_back(number);
        }
    }
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot list {}: {}", directory_, failed.message());
    }
    std::ranges::sort(numbers);
    return numbers;
}

std::string Spool::file_path(uint64_t number) const {
    return fmt::format("{}/{:08}{}", directory_, number, kFramesSuffix);
}

Status Spool::remove_file(uint64_t number) const {
    const std::string path = file_path(number);
    return ::unlink(path.c_str()) == 0 ? Status() : Status(last_error("remove", path));
}

Status Spool::set_aside(uint64_t number) const {
    const std::string path = file_path(number);
    return ::rename(path.c_str(), (path + std::string(kAsideSuffix)).c_str()) == 0
               ? Status()
               : Status(last_error("rename", path));
}

std::vector<std::string> Spool::set_aside_files() const {
    std::vector<std::string> names;
    std::error_code failed;
    for (fs::directory_iterator at(directory_, failed); !failed && at != fs::directory_iterator();
         at.increment(failed)) {
        if (at->path().native().ends_with(kAsideSuffix)) {
            names.push_back(at->path().filename().native());
        }
    }
    std::ranges::sort(names);
    return names;
}

Status Spool::remove() const {
    std::error_code failed;
    fs::remove_all(directory_, failed);
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot remove {}: {}", directory_,
                          failed.message());
    }
    // Of the run and the project, if no other process has a spool there.
    const fs::path above = fs::path(directory_).parent_path();
    if (::rmdir(above.c_str()) == 0) {
        static_cast<void>(::rmdir(above.parent_path().c_str()));
    }
    return {};
}

}  // namespace stepdb
