#include "engine/salvage.h"

#include <algorithm>
#include <map>

#include "engine/catalog/catalog_file.h"
#include "engine/segment/segment_format.h"
#include "engine/wal/log_format.h"

namespace stepdb {

namespace {

// The whole file, or its first `bytes_max` bytes.
Task<Result<std::vector<std::byte>>> read_bytes(FileSystem& files, std::string path,
                                                uint64_t bytes_max) {
    Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    std::vector<std::byte> bytes(std::min((*file)->size(), bytes_max));
    const Status read = co_await (*file)->read(0, bytes);
    if (!read) {
        co_return read.error().within(path);
    }
    co_return bytes;
}

constexpr uint64_t kWholeFile = uint64_t{1} << 40U;

// The store that a file's header names, if the header is whole and the name is the file's own.
std::optional<Id128> owner_of(const FileKind& kind, Bytes bytes, uint64_t file_id) {
    if (bytes.size() < kFileHeaderBytes) {
        return std::nullopt;
    }
    const Result<FileHeader> header = decode_file_header(kind, bytes.first(kFileHeaderBytes));
    if (!header || !check_file_owner(kind, *header, header->store, file_id)) {
        return std::nullopt;
    }
    return header->store;
}

// Collects what the names in the directory and the files' headers tell.
class FileScan {
  public:
    FileScan(FileSystem& files, std::string directory)
        : files_(files), directory_(std::move(directory)) {}

    Task<Status> run() {
        Result<std::vector<std::string>> names = co_await files_.list(directory_);
        if (!names) {
            co_return names.error();
        }
        for (const std::string& name : *names) {
            if (const auto log = parse_file_name(name, "log-")) {
                state_.logs[*log] = 0;
                co_await see_owner(kLogKind, name, *log);
            } else if (const auto segment = parse_file_name(name, "segment-")) {
                state_.segments[*segment] = 0;
                co_await see_owner(kSegmentFileKind, name, *segment);
            } else if (const auto catalog = parse_file_name(name, "catalog-")) {
                catalogs_.push_back(*catalog);
                co_await see_owner(kCatalogKind, name, *catalog);
            } else if (const auto manifest = parse_file_name(name, "manifest-")) {
                manifests_.push_back(*manifest);
                co_await see_owner(kManifestKind, name, *manifest);
            }
        }
        std::ranges::sort(manifests_, std::greater());
        std::ranges::sort(catalogs_, std::greater());
        co_return Status();
    }

    // The newest whole manifest from `oldest` on.
    Task<std::optional<LoadedManifest>> find_manifest(uint64_t oldest) {
        for (const uint64_t id : manifests_) {
            if (id < oldest) {
                break;
            }
            Result<std::vector<std::byte>> bytes =
                co_await read_bytes(files_, path(manifest_file_name(id)), kWholeFile);
            if (bytes) {
                Result<LoadedManifest> loaded = decode_manifest(*bytes, id);
                if (loaded && !loaded->torn) {
                    std::optional<LoadedManifest> found(std::move(*loaded));
                    co_return found;
                }
            }
        }
        co_return std::nullopt;
    }

    // The store most headers name.
    std::optional<Id128> store() const {
        const auto most = std::ranges::max_element(
            owners_, [](const auto& a, const auto& b) { return a.second < b.second; });
        return most == owners_.end() ? std::optional<Id128>() : most->first;
    }

    Task<ManifestState> state(Id128 store) {
        state_.log_sequence = 0;
        for (const uint64_t id : catalogs_) {
            Result<std::vector<std::byte>> bytes =
                co_await read_bytes(files_, path(catalog_file_name(id)), kWholeFile);
            uint64_t sequence = 0;
            if (bytes && decode_catalog_file(*bytes, store, id, &sequence)) {
                state_.catalog_file = id;
                state_.checkpoint_sequence = sequence;
                break;
            }
        }
        co_return state_;
    }

    bool has_data() const { return !state_.segments.empty() || !state_.logs.empty(); }

  private:
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    Task<void> see_owner(FileKind kind, std::string name, uint64_t file_id) {
        Result<std::vector<std::byte>> head =
            co_await read_bytes(files_, path(name), kFileHeaderBytes);
        if (head) {
            if (const auto owner = owner_of(kind, *head, file_id)) {
                ++owners_[*owner];
            }
        }
    }

    FileSystem& files_;
    std::string directory_;
    ManifestState state_;
    std::vector<uint64_t> catalogs_;
    std::vector<uint64_t> manifests_;
    std::map<Id128, int> owners_;
};

// The manifest that CURRENT names, if it can be read.
Task<uint64_t> named_manifest(FileSystem& files, std::string directory) {
    Result<std::vector<std::byte>> bytes =
        co_await read_bytes(files, directory + "/" + std::string(kCurrentName), 64);
    if (!bytes) {
        co_return 0;
    }
    const Result<uint64_t> id = decode_current(
        std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
    co_return id ? *id : 0;
}

}  // namespace

Task<Result<SalvagedManifest>> salvage_manifest(FileSystem& files, std::string directory,
                                                Error why) {
    FileScan scan(files, directory);
    const Status scanned = co_await scan.run();
    if (!scanned) {
        co_return scanned.error();
    }
    SalvagedManifest salvaged;
    // The one that CURRENT names, if it names one, is the damaged one.
    const uint64_t named = co_await named_manifest(files, directory);
    const std::string damaged = named == 0 ? std::string(kCurrentName) : manifest_file_name(named);
    const std::optional<LoadedManifest> whole = co_await scan.find_manifest(named + 1);
    if (whole) {
        salvaged.store = whole->store;
        salvaged.state = whole->state;
        salvaged.manifest_file = whole->file_id;
        salvaged.what = fmt::format(
            "{}. {} beside it is whole and is read instead: write its name and a line feed into "
            "{}/{} to go on writing",
            why.message(), manifest_file_name(whole->file_id), directory, kCurrentName);
        salvaged.brief = fmt::format(
            "{} cannot be read, and answers go by {}, which is whole; write its name into {}",
            damaged, manifest_file_name(whole->file_id), kCurrentName);
        co_return salvaged;
    }
    const std::optional<Id128> store = scan.store();
    if (!store || !scan.has_data()) {
        co_return why;
    }
    salvaged.store = *store;
    salvaged.state = co_await scan.state(*store);
    salvaged.from_files = true;
    salvaged.what = fmt::format(
        "{}. Every segment and log file in {} is read instead, and nothing is written; restore "
        "the manifest from a backup",
        why.message(), directory);
    salvaged.brief = fmt::format(
        "{} cannot be read, and answers are made of every segment and log file there is; restore "
        "it from a backup",
        damaged);
    co_return salvaged;
}

Task<std::optional<Error>> find_contradiction(FileSystem& files, std::string directory,
                                              LoadedManifest manifest) {
    std::optional<Error> found;
    Result<std::vector<std::string>> names = co_await files.list(directory);
    if (!names) {
        found = names.error();
        co_return found;
    }
    const auto is_there = [&](const std::string& name) {
        return std::ranges::binary_search(*names, name);
    };
    const std::string what = fmt::format("{}/{}: the edit at byte {} is damaged", directory,
                                         manifest_file_name(manifest.file_id), manifest.end);
    const ManifestState& state = manifest.state;
    std::vector<std::string> missing;
    if (state.catalog_file != 0 && !is_there(catalog_file_name(state.catalog_file))) {
        missing.push_back(catalog_file_name(state.catalog_file));
    }
    ManifestState unnamed;
    for (const std::string& name : *names) {
        if (const auto log = parse_file_name(name, "log-")) {
            if (!state.logs.contains(*log)) {
                unnamed.logs[*log] = 0;
            }
        }
    }
    for (const auto& [file_id, epoch] : state.logs) {
        if (!is_there(log_file_name(file_id))) {
            missing.push_back(log_file_name(file_id));
        }
    }
    if (!missing.empty()) {
        found = make_error(ErrorCode::kCorruption,
                           "{}, and {}, which the edits before it name, is gone", what,
                           missing.front());
        co_return found;
    }
    for (const auto& [file_id, epoch] : unnamed.logs) {
        const uint64_t first =
            co_await first_log_sequence(files, directory, manifest.store, file_id);
        if (first != 0 && first >= state.log_sequence) {
            found = make_error(ErrorCode::kCorruption,
                               "{}: only it can have named {}, which holds rows", what,
                               log_file_name(file_id));
            co_return found;
        }
    }
    co_return found;
}

std::string describe_torn_edit(std::string_view manifest, uint64_t offset) {
    return fmt::format(
        "{}: the edit at byte {} is not whole and was dropped. A write that a crash cut short "
        "looks like this, and then nothing relied upon it",
        manifest, offset);
}

Task<uint64_t> first_log_sequence(FileSystem& files, std::string directory, Id128 store,
                                  uint64_t file_id) {
    Result<std::vector<std::byte>> head = co_await read_bytes(
        files, directory + "/" + log_file_name(file_id), kLogFirstGroupOffset + kPageBytes);
    if (!head || head->size() < kLogFirstGroupOffset + kPageBytes) {
        co_return 0;
    }
    const Bytes group = Bytes(*head).subspan(kLogFirstGroupOffset);
    const Result<GroupHeader> header =
        decode_group_header(group, LogPlace{store, file_id}, kLogFirstGroupOffset);
    co_return header ? header->first_sequence : 0;
}

Task<std::vector<uint64_t>> order_logs(FileSystem& files, std::string directory, Id128 store,
                                       ManifestState state) {
    std::vector<std::pair<uint64_t, uint64_t>> order;  // first sequence, file
    for (const auto& [file_id, epoch] : state.logs) {
        const uint64_t first = co_await first_log_sequence(files, directory, store, file_id);
        // One that does not say where it begins stays behind the file made before it.
        order.emplace_back(first != 0 || order.empty() ? first : order.back().first, file_id);
    }
    std::ranges::stable_sort(order, {}, &std::pair<uint64_t, uint64_t>::first);
    std::vector<uint64_t> ids;
    ids.reserve(order.size());
    for (const auto& [first, id] : order) {
        ids.push_back(id);
    }
    co_return ids;
}

}  // namespace stepdb
