// What other programs wrote and people edit: logs in every format that can be imported, and the
// file of the tokens. The first byte chooses, the second whether checksums are put right.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "tests/fuzz/fuzz_target.h"
#include "tools/import/crc32c.h"
#include "tools/import/log_format.h"
#include "tools/import/points_table.h"
#include "tools/import/testing/proto_bytes.h"
#include "tools/import/testing/wandb_bytes.h"
#include "tools/token_file.h"

namespace stepdb {

namespace {

constexpr uint64_t kRowsMax = 100'000;  // far above what an input can hold

// One for the process, in memory where /dev/shm is: importers read files.
class LogFolder {
  public:
    LogFolder() {
        std::error_code missing;
        const bool in_memory = std::filesystem::is_directory("/dev/shm", missing);
        std::string name =
            (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().native()) +
            "/stepdb-texts-XXXXXX";
        CHECK(mkdtemp(name.data()) != nullptr, "cannot make {}", name);
        folder_ = name;
        std::filesystem::create_directories(folder_ / "events");
        std::filesystem::create_directories(folder_ / "run" / "metrics");
        std::filesystem::create_directories(folder_ / "run" / "params");
    }
    ~LogFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    LogFolder(const LogFolder&) = delete;
    LogFolder& operator=(const LogFolder&) = delete;

    std::string write(const std::string& name, std::string_view text) const {
        std::string path = this->path(name);
        std::ofstream out(path, std::ios::binary | std::ios::trunc);
        out << text;
        CHECK(out.flush().good(), "cannot write {}", path);
        return path;
    }
    std::string path(const std::string& name) const { return (folder_ / name).native(); }

  private:
    std::filesystem::path folder_;
};

const LogFolder& folder() {
    static const LogFolder made;
    return made;
}

void read_to_the_end(Result<std::unique_ptr<LogSource>> log) {
    if (!log) {
        CHECK(!log.error().message().empty(), "an error without words");
        return;
    }
    uint64_t points = 0;
    LogRow row;
    for (uint64_t rows = 0;; ++rows) {
        const Result<bool> more = (*log)->next(row);
        if (!more || !*more) {
            break;
        }
        CHECK(rows < kRowsMax, "{} rows, and no end", rows);
        CHECK(!row.values.empty(), "row {} is empty", rows);
        CHECK(row.values.back().first < (*log)->metrics().size(), "row {}: metric {} of {}", rows,
              row.values.back().first, (*log)->metrics().size());
        points += row.values.size();
    }
    const LogCounts& counts = (*log)->counts();
    CHECK(counts.read == points + counts.skipped, "{} read, {} handed on, {} skipped", counts.read,
          points, counts.skipped);
}

void read_file(const LogFormat& format, const std::string& path, LogOptions options) {
    const uint64_t bytes_max = std::numeric_limits<uint64_t>::max();
    options.beside = std::make_shared<LogOptions::Beside>();
    read_to_the_end(format.open(path, options, bytes_max));
    if (format.open_second != nullptr) {
        read_to_the_end(format.open_second(path, options, bytes_max));
    }
    if (format.own_id != nullptr) {
        static_cast<void>(format.own_id(path));
    }
}

void read_log(const LogFormat& format, const std::string& path) {
    LogOptions options = format.defaults;
    options.patterns = format.takes_patterns ? "all" : "";
    if (format.open_points != nullptr) {
        const auto parts = find_parts(path, format.open_points, [](uint64_t /*bytes*/) {});
        for (const LogPart& part : parts ? *parts : std::vector<LogPart>()) {
            options.part = part;
            read_file(format, path, options);
        }
        options.part.reset();
    }
    read_file(format, path, options);
}

// Pieces of the input, each after its length; what is left over is the last one.
std::vector<std::string> pieces_of(ByteReader& reader) {
    std::vector<std::string> pieces;
    while (reader.remaining() > 0) {
        const size_t length = reader.get<uint16_t>();
        pieces.emplace_back(as_text(reader.get_bytes(std::min(length, reader.remaining()))));
    }
    return pieces;
}

std::string event_file(ByteReader& reader) {
    std::string file;
    for (const std::string& record : pieces_of(reader)) {
        const std::string length = testing::little_endian(uint64_t{record.size()});
        file += length + testing::little_endian(mask_crc(crc32c(as_bytes(length)))) + record +
                testing::little_endian(mask_crc(crc32c(as_bytes(record))));
    }
    return file;
}

// A run of MLflow is a directory.
std::string mlflow_run(ByteReader& reader) {
    const std::vector<std::string> pieces = pieces_of(reader);
    const auto piece = [&](size_t at) { return at < pieces.size() ? pieces[at] : std::string(); };
    folder().write("run/meta.yaml", piece(0));
    folder().write("run/metrics/a", piece(1));
    folder().write("run/metrics/b", piece(2));
    folder().write("run/params/lr", piece(3));
    return folder().path("run");
}

void read_tokens(std::string text, bool fixes) {
    if (fixes) {
        text += fmt::format("checksum {:016x}\n", xxh3(as_bytes(text)));
    }
    const Result<Tokens> tokens = decode_tokens(text, "tokens");
    if (!tokens) {
        CHECK(!tokens.error().message().empty(), "an error without words");
        return;
    }
    // What was understood is understood again, and written in one way.
    const std::string written = encode_tokens(*tokens);
    const Result<Tokens> again = decode_tokens(written, "tokens");
    CHECK(again.has_value(), "{}", again.error().to_string());
    CHECK(encode_tokens(*again) == written, "{}", written);
}

}  // namespace

// u8 format, u8 how, then the text or what it is made of.
void fuzz_one(Bytes input) {
    if (input.size() < 2) {
        return;
    }
    const std::vector<LogFormat>& formats = log_formats();
    const size_t choice = static_cast<uint8_t>(input[0]) % (formats.size() + 1);
    const bool fixes = static_cast<uint8_t>(input[1]) % 4 != 3;
    ByteReader reader(input.subspan(2));
    if (choice == formats.size()) {
        return read_tokens(std::string(as_text(input.subspan(2))), fixes);
    }
    const LogFormat& format = formats[choice];
    if (format.name == "mlflow") {
        return read_log(format, mlflow_run(reader));
    }
    if (format.name == "tensorboard" && fixes) {
        folder().write("events/events.out.tfevents.1", event_file(reader));
        return read_log(format, folder().path("events"));
    }
    if (format.name == "wandb" && fixes) {
        return read_log(format,
                        folder().write("run.wandb", testing::wandb_bytes(pieces_of(reader))));
    }
    read_log(format, folder().write("log", as_text(input.subspan(2))));
}

}  // namespace stepdb
