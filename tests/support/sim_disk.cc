#include "tests/support/sim_disk.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/checksum.h"

namespace stepdb {

namespace {

void grow(std::vector<std::byte>& bytes, uint64_t size_min) {
    if (bytes.size() < size_min) {
        bytes.resize(size_min);
    }
}

void apply_to(std::vector<std::byte>& target, const SimWrite& write) {
    grow(target, std::max(write.size_min, write.offset + write.bytes.size()));
    std::copy(write.bytes.begin(), write.bytes.end(),
              target.begin() + static_cast<ptrdiff_t>(write.offset));
}

void apply_to(std::map<std::string, uint64_t, std::less<>>& names, const SimNameChange& change) {
    if (change.kind == SimNameChange::Kind::kCreate) {
        names[change.name] = change.file;
        return;
    }
    const auto found = names.find(change.name);
    if (found == names.end() || found->second != change.file) {
        return;
    }
    names.erase(found);
    if (change.kind == SimNameChange::Kind::kRename) {
        names[change.new_name] = change.file;
    }
}

// Any subset of the sectors that the write touches, each as a write of its own; the size follows
// the last sector kept or, by the toss of a coin, the whole write.
std::vector<SimWrite> torn(const SimWrite& write, Fate& fate) {
    std::vector<SimWrite> parts;
    const uint64_t end = write.offset + write.bytes.size();
    const uint64_t first_sector = write.offset / SimDisk::kSectorBytes;
    const std::vector<bool> kept =
        fate.sectors((end + SimDisk::kSectorBytes - 1) / SimDisk::kSectorBytes - first_sector);
    for (uint64_t at = write.offset; at < end;) {
        const uint64_t sector = at / SimDisk::kSectorBytes;
        const uint64_t next = std::min(end, (sector + 1) * SimDisk::kSectorBytes);
        if (kept[sector - first_sector]) {
            SimWrite part;
            part.file = write.file;
            part.offset = at;
            part.bytes.assign(write.bytes.begin() + static_cast<ptrdiff_t>(at - write.offset),
                              write.bytes.begin() + static_cast<ptrdiff_t>(next - write.offset));
            parts.push_back(std::move(part));
        }
        at = next;
    }
    if (fate.coin()) {
        SimWrite size_only;
        size_only.file = write.file;
        size_only.size_min = std::max(write.size_min, end);
        parts.push_back(std::move(size_only));
    }
    return parts;
}

// What is left of a write that nothing protected.
std::vector<SimWrite> survivors(const SimWrite& write, Fate& fate) {
    // A growth without bytes is there or not.
    switch (fate.below(write.bytes.empty() ? 2 : 4)) {
        case 0:
            return {};
        case 1:
            return {write};
        case 2: {
            SimWrite size_only;
            size_only.file = write.file;
            size_only.size_min = std::max(write.size_min, write.offset + write.bytes.size());
            return {std::move(size_only)};
        }
        default:
            return torn(write, fate);
    }
}

}  // namespace

SimDisk::SimDisk(std::vector<std::string> directories) {
    for (const std::string& directory : directories) {
        make_directory(directory);
    }
}

SimDisk::FileState& SimDisk::file_state(uint64_t file) {
    const auto found = files_.find(file);
    CHECK(found != files_.end(), "simulated file {} is gone", file);
    return found->second;
}

const SimDisk::FileState& SimDisk::file_state(uint64_t file) const {
    const auto found = files_.find(file);
    CHECK(found != files_.end(), "simulated file {} is gone", file);
    return found->second;
}

SimDisk::DirectoryState& SimDisk::directory_state(std::string_view directory) {
    const auto found = directories_.find(directory);
    CHECK(found != directories_.end(), "no simulated directory {}", directory);
    return found->second;
}

uint64_t SimDisk::used_bytes() const {
    uint64_t used = 0;
    for (const auto& [path, directory] : directories_) {
        for (const auto& [name, file] : directory.visible) {
            used += file_size(file);
        }
    }
    return used;
}

std::vector<std::string> SimDisk::files() const {
    std::vector<std::string> paths;
    for (const auto& [path, directory] : directories_) {
        for (const auto& [name, file] : directory.visible) {
            paths.push_back(fmt::format("{}/{}", path, name));
        }
    }
    return paths;
}

std::vector<std::string> SimDisk::durable_files() const {
    std::vector<std::string> paths;
    for (const auto& [path, directory] : directories_) {
        for (const auto& [name, file] : directory.durable) {
            paths.push_back(fmt::format("{}/{}", path, name));
        }
    }
    return paths;
}

std::optional<std::vector<std::byte>> SimDisk::contents(std::string_view path) const {
    const std::optional<uint64_t> file = find(path);
    if (!file.has_value()) {
        return std::nullopt;
    }
    return file_state(*file).visible.get();
}

std::optional<std::vector<std::byte>> SimDisk::durable_contents(std::string_view path) const {
    const std::optional<uint64_t> file = find_durable(path);
    if (!file.has_value()) {
        return std::nullopt;
    }
    return file_state(*file).durable.get();
}

bool SimDisk::flip_byte(std::string_view path, uint64_t offset, std::byte mask) {
    const std::optional<uint64_t> file = find(path);
    if (!file.has_value()) {
        return false;
    }
    FileState& state = file_state(*file);
    if (offset >= state.visible.get().size()) {
        return false;
    }
    state.visible.edit()[offset] ^= mask;
    if (offset < state.durable.get().size()) {
        state.durable.edit()[offset] ^= mask;
    }
    for (SimWrite& write : state.unsynced) {
        if (offset >= write.offset && offset - write.offset < write.bytes.size()) {
            write.bytes[offset - write.offset] ^= mask;
        }
    }
    return true;
}

void SimDisk::put_file(std::string_view path, Bytes contents) {
    make_directory(directory_of(path));
    const uint64_t file = new_file();
    FileState& state = file_state(file);
    state.visible.edit().assign(contents.begin(), contents.end());
    state.durable = state.visible;
    DirectoryState& directory = directory_state(directory_of(path));
    directory.visible[std::string(name_of(path))] = file;
    directory.durable[std::string(name_of(path))] = file;
}

bool SimDisk::has_directory(std::string_view directory) const {
    return directories_.find(directory) != directories_.end();
}

void SimDisk::make_directory(std::string_view directory) {
    directories_.try_emplace(std::string(directory));
}

void SimDisk::forget_directory(std::string_view directory) {
    const auto found = directories_.find(directory);
    if (found != directories_.end()) {
        directories_.erase(found);
        forget_files_without_name();
    }
}

std::vector<std::string> SimDisk::names(std::string_view directory) const {
    std::vector<std::string> names;
    const auto found = directories_.find(directory);
    if (found != directories_.end()) {
        for (const auto& [name, file] : found->second.visible) {
            names.push_back(name);
        }
    }
    const std::string inside = std::string(directory) + "/";
    for (const auto& [path, state] : directories_) {
        if (path.size() > inside.size() && path.compare(0, inside.size(), inside) == 0 &&
            path.find('/', inside.size()) == std::string::npos) {
            names.push_back(path.substr(inside.size()));
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::optional<uint64_t> SimDisk::find(std::string_view path) const {
    const auto directory = directories_.find(directory_of(path));
    if (directory == directories_.end()) {
        return std::nullopt;
    }
    const auto found = directory->second.visible.find(name_of(path));
    return found == directory->second.visible.end() ? std::nullopt
                                                    : std::optional<uint64_t>(found->second);
}

std::optional<uint64_t> SimDisk::find_durable(std::string_view path) const {
    const auto directory = directories_.find(directory_of(path));
    if (directory == directories_.end()) {
        return std::nullopt;
    }
    const auto found = directory->second.durable.find(name_of(path));
    return found == directory->second.durable.end() ? std::nullopt
                                                    : std::optional<uint64_t>(found->second);
}

uint64_t SimDisk::new_file() {
    const uint64_t file = file_next_++;
    files_.try_emplace(file);
    return file;
}

uint64_t SimDisk::file_size(uint64_t file) const {
    const auto found = files_.find(file);
    return found == files_.end() ? 0 : found->second.visible.get().size();
}

void SimDisk::read(uint64_t file, uint64_t offset, MutableBytes into) const {
    const std::vector<std::byte>& bytes = file_state(file).visible.get();
    CHECK(offset <= bytes.size() && into.size() <= bytes.size() - offset);
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
}

bool SimDisk::has_room(const SimWrite& write) const {
    const uint64_t size = file_size(write.file);
    const uint64_t size_after = std::max(write.size_min, write.offset + write.bytes.size());
    if (size_after <= size) {
        return true;
    }
    const uint64_t used = used_bytes();
    return used <= capacity_ && size_after - size <= capacity_ - used;
}

void SimDisk::apply(SimWrite write) {
    write.sequence = ++sequence_;
    FileState& state = file_state(write.file);
    apply_to(state.visible.edit(), write);
    state.unsynced.push_back(std::move(write));
}

void SimDisk::apply(SimNameChange change) {
    change.sequence = ++sequence_;
    DirectoryState& directory = directory_state(change.directory);
    apply_to(directory.visible, change);
    directory.unsynced.push_back(std::move(change));
}

void SimDisk::sync_file(uint64_t file, uint64_t up_to) {
    FileState& state = file_state(file);
    auto at = state.unsynced.begin();
    for (; at != state.unsynced.end() && at->sequence <= up_to; ++at) {
        apply_to(state.durable.edit(), *at);
    }
    state.unsynced.erase(state.unsynced.begin(), at);
}

void SimDisk::sync_directory(std::string_view directory, uint64_t up_to) {
    DirectoryState& state = directory_state(directory);
    auto at = state.unsynced.begin();
    for (; at != state.unsynced.end() && at->sequence <= up_to; ++at) {
        apply_to(state.durable, *at);
    }
    state.unsynced.erase(state.unsynced.begin(), at);
}

void SimDisk::crash(CrashKind kind, const std::vector<SimWrite>& writes,
                    const std::vector<SimNameChange>& names, Fate& fate) {
    // To a power cut what was in flight is as what had ended: it decides about both.
    const bool is_power_cut = kind == CrashKind::kPowerCut;
    for (const SimWrite& write : writes) {
        if (is_power_cut) {
            apply(write);
            continue;
        }
        for (SimWrite& part : survivors(write, fate)) {
            apply(std::move(part));
        }
    }
    for (const SimNameChange& change : names) {
        if (is_power_cut || fate.coin()) {
            apply(change);
        }
    }
    locks_.clear();
    if (is_power_cut) {
        cut_power(fate);
    }
    forget_files_without_name();
}

void SimDisk::cut_power(Fate& fate) {
    for (auto& [id, file] : files_) {
        for (const SimWrite& write : file.unsynced) {
            for (const SimWrite& part : survivors(write, fate)) {
                apply_to(file.durable.edit(), part);
            }
        }
        file.unsynced.clear();
        file.visible = file.durable;
    }
    for (auto& [path, directory] : directories_) {
        for (const SimNameChange& change : directory.unsynced) {
            if (fate.coin()) {
                apply_to(directory.durable, change);
            }
        }
        directory.unsynced.clear();
        directory.visible = directory.durable;
    }
}

uint64_t SimDisk::fingerprint() const {
    // As text, in which every piece says how long it is.
    std::string all;
    const auto add_bytes = [&all](Bytes bytes) {
        fmt::format_to(std::back_inserter(all), "{} {:x} ", bytes.size(), xxh3(bytes, 0));
    };
    const auto add_names = [&all](const Names& names) {
        for (const auto& [name, file] : names) {
            fmt::format_to(std::back_inserter(all), "{}={} ", name, file);
        }
        all += '\n';
    };
    for (const auto& [path, directory] : directories_) {
        all += path + ": ";
        add_names(directory.visible);
        add_names(directory.durable);
        for (const SimNameChange& change : directory.unsynced) {
            fmt::format_to(std::back_inserter(all), "{} {} {} {};", static_cast<int>(change.kind),
                           change.name, change.new_name, change.file);
        }
    }
    for (const auto& [id, file] : files_) {
        fmt::format_to(std::back_inserter(all), "\n{}: ", id);
        add_bytes(file.visible.get());
        add_bytes(file.durable.get());
        for (const SimWrite& write : file.unsynced) {
            fmt::format_to(std::back_inserter(all), "{} {} ", write.offset, write.size_min);
            add_bytes(write.bytes);
        }
    }
    return xxh3(as_bytes(all), 0);
}

void SimDisk::forget_files_without_name() {
    std::map<uint64_t, bool> named;
    for (const auto& [path, directory] : directories_) {
        for (const auto& [name, file] : directory.visible) {
            named[file] = true;
        }
        for (const auto& [name, file] : directory.durable) {
            named[file] = true;
        }
        for (const SimNameChange& change : directory.unsynced) {
            named[change.file] = true;
        }
    }
    std::erase_if(files_, [&named](const auto& entry) { return !named.contains(entry.first); });
}

bool SimDisk::take_lock(const std::string& path) {
    return locks_.try_emplace(path, true).second;
}

}  // namespace stepdb
