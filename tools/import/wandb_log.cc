#include "tools/import/wandb_log.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "engine/base/json_scanner.h"
#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

// Numbers of fields of wandb_internal.proto.
namespace record_field {
constexpr uint32_t kHistory = 2;
constexpr uint32_t kConfig = 5;
constexpr uint32_t kStats = 7;
constexpr uint32_t kRun = 17;
constexpr uint32_t kExit = 18;
}  // namespace record_field

constexpr std::string_view kSystemNames = "_system/";
constexpr std::string_view kOwnKey = "_wandb";  // what the client keeps for itself
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::optional<double> number_of(const JsonLeaf& leaf) {
    if (leaf.kind == JsonKind::kNumber || leaf.kind == JsonKind::kBool) {
        return leaf.number;
    }
    if (leaf.kind != JsonKind::kString) {
        return std::nullopt;
    }
    if (leaf.text == "NaN") {
        return std::numeric_limits<double>::quiet_NaN();
    }
    return leaf.text == "Infinity"    ? std::optional<double>(kInfinity)
           : leaf.text == "-Infinity" ? std::optional<double>(-kInfinity)
                                      : std::nullopt;
}

// A google.protobuf.Timestamp.
Result<std::optional<int64_t>> read_timestamp(Bytes message) {
    ProtoReader reader(message);
    ProtoField field;
    int64_t seconds = 0;
    int64_t nanoseconds = 0;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            break;
        }
        if (field.type == WireType::kVarint) {
            (field.number == 1 ? seconds : nanoseconds) = static_cast<int64_t>(field.scalar);
        }
    }
    constexpr int64_t kSecondsMax = 1'000'000'000'000;
    const bool is_time = seconds > -kSecondsMax && seconds < kSecondsMax && nanoseconds >= 0 &&
                         nanoseconds < 1'000'000'000;
    return is_time ? std::optional<int64_t>(seconds * 1'000'000 + nanoseconds / 1000)
                   : std::nullopt;
}

// Calls `take` for every field of a message.
template <typename Take>
Status for_each_field(Bytes message, const Take& take) {
    ProtoReader reader(message);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            return {};
        }
        TRY(take(field));
    }
}

}  // namespace

Result<std::unique_ptr<LogSource>> WandbLog::open(const std::string& path,
                                                  const LogOptions& options, uint64_t bytes_max,
                                                  bool is_system) {
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    return std::unique_ptr<LogSource>(new WandbLog(std::move(source), path, options, is_system));
}

Result<std::unique_ptr<LogSource>> WandbLog::open_history(const std::string& path,
                                                          const LogOptions& options,
                                                          uint64_t bytes_max) {
    return open(path, options, bytes_max, false);
}

Result<std::unique_ptr<LogSource>> WandbLog::open_system(const std::string& path,
                                                         const LogOptions& options,
                                                         uint64_t bytes_max) {
    return open(path, options, bytes_max, true);
}

// --- Values ---

// Field 1 is a key; 2, again and again, a key within keys; 16 the value.
Result<WandbLog::Item> WandbLog::read_item(Bytes message) {
    Item item;
    const auto take = [&](const ProtoField& field) -> Status {
        if (field.type != WireType::kBytes) {
            return {};
        }
        if ((field.number == 1 && !field.bytes.empty()) || field.number == 2) {
            item.key += item.key.empty() ? "" : ".";
            item.key += as_text(field.bytes);
        } else if (field.number == 16) {
            item.json = as_text(field.bytes);
        }
        return {};
    };
    TRY(for_each_field(message, take));
    return item;
}

void WandbLog::skip(std::string_view kind, std::string_view name) {
    counts_.skip(kind,
                 [&] { return fmt::format("{}, '{}'", reader_.place(), printable(name, 80)); });
}

void WandbLog::take_number(std::string_view name, double number) {
    const Result<uint32_t> metric = names_.intern(name);
    if (!metric) {
        skip("without a proper name", name);
    } else if (row_.has(*metric)) {
        skip("named twice in a record", name);
    } else {
        row_.add(*metric, number);
    }
}

Status WandbLog::take_value(const Item& item) {
    // The scanner takes objects; the names of its leaves begin with `v`.
    const std::string text = fmt::format("{{\"v\":{}}}", item.json);
    std::vector<std::pair<std::string, std::optional<double>>> values;
    bool is_media = false;
    const JsonSink sink = [&](const JsonLeaf& leaf) -> Status {
        is_media = is_media || leaf.path.ends_with("/_type");
        if (leaf.kind != JsonKind::kNull) {
            values.emplace_back(leaf.path.substr(1), number_of(leaf));
        }
        return {};
    };
    const Status scanned = scan_json_object(text, sink);
    if (!scanned || is_media) {
        ++counts_.read;
        skip(is_media ? "media and histograms" : "values that are no JSON", item.key);
        return {};
    }
    for (auto& [inner, number] : values) {
        for (char& c : inner) {
            c = c == '/' ? '.' : c;
        }
        const std::string name = item.key + inner;
        ++counts_.read;
        if (number) {
            take_number(name, *number);
        } else {
            skip("strings and lists", name);
        }
    }
    return {};
}

// --- Records ---

Status WandbLog::take_history(Bytes message) {
    return for_each_field(message, [&](const ProtoField& field) -> Status {
        if (field.type != WireType::kBytes) {
            return {};
        }
        if (field.number == 2) {
            step_ = 0;  // what is zero is not written
            return for_each_field(field.bytes, [&](const ProtoField& inner) -> Status {
                if (inner.number == 1 && inner.type == WireType::kVarint) {
                    step_ = static_cast<double>(static_cast<int64_t>(inner.scalar));
                }
                return {};
            });
        }
        if (field.number != 1) {
            return {};
        }
        TRY_ASSIGN(const Item item, read_item(field.bytes));
        if (item.key == "_step") {
            step_ = parse_logged_step(item.json);
        } else if (item.key == "_timestamp") {
            time_us_ = parse_time(item.json);
        } else if (item.key != kOwnKey) {
            TRY(take_value(item));
        }
        return {};
    });
}

Status WandbLog::take_stats(Bytes message) {
    return for_each_field(message, [&](const ProtoField& field) -> Status {
        if (field.type != WireType::kBytes) {
            return {};
        }
        if (field.number == 2) {
            TRY_ASSIGN(time_us_, read_timestamp(field.bytes));
        } else if (field.number == 3) {
            TRY_ASSIGN(Item item, read_item(field.bytes));
            item.key.insert(0, kSystemNames);
            TRY(take_value(item));
        }
        return {};
    });
}

Status WandbLog::take_config(Bytes message) {
    return for_each_field(message, [&](const ProtoField& field) -> Status {
        if (field.number != 1 || field.type != WireType::kBytes) {
            return {};
        }
        TRY_ASSIGN(const Item item, read_item(field.bytes));
        if (item.key == kOwnKey || item.key.starts_with("_wandb.")) {
            return {};
        }
        const std::string text = fmt::format("{{\"v\":{}}}", item.json);
        const Status scanned = scan_json_object(text, [&](const JsonLeaf& leaf) -> Status {
            facts_.set_leaf("config/" + item.key + std::string(leaf.path.substr(1)), leaf);
            return {};
        });
        if (!scanned) {
            facts_.leave_out(
                fmt::format("{}: '{}' is no JSON", reader_.place(), printable(item.json, 80)));
        }
        return {};
    });
}

Status WandbLog::take_run(Bytes message) {
    return for_each_field(message, [&](const ProtoField& field) -> Status {
        if (field.type != WireType::kBytes) {
            return {};
        }
        const std::string_view text = as_text(field.bytes);
        switch (field.number) {
            case 1:
                facts_.set_text("wandb/run_id", text);
                break;
            case 3:
                facts_.set_text("wandb/project", text);
                break;
            case 4:
                return take_config(field.bytes);
            case 6:
                facts_.set_text("wandb/group", text);
                break;
            case 7:
                facts_.set_text("wandb/job_type", text);
                break;
            case 8:
                facts_.set_text(kNameAttribute, text);
                break;
            case 9:
                facts_.set_text("wandb/notes", text);
                break;
            case 10:
                facts_.add_tag(text);
                break;
            case 17: {
                TRY_ASSIGN(const std::optional<int64_t> start_us, read_timestamp(field.bytes));
                if (start_us) {
                    facts_.set_datetime("wandb/start_time", *start_us);
                }
                break;
            }
            default:
                break;
        }
        return {};
    });
}

Status WandbLog::take_exit(Bytes message) {
    uint64_t code = 0;
    TRY(for_each_field(message, [&](const ProtoField& field) -> Status {
        code = field.number == 1 && field.type == WireType::kVarint ? field.scalar : code;
        return {};
    }));
    facts_.set_state(code == 0 ? RunState::kFinished : RunState::kFailed);
    return {};
}

Status WandbLog::take_record(Bytes record) {
    return for_each_field(record, [&](const ProtoField& field) -> Status {
        if (field.type != WireType::kBytes) {
            return {};
        }
        if (is_system_) {
            return field.number == record_field::kStats ? take_stats(field.bytes) : Status();
        }
        switch (field.number) {
            case record_field::kHistory:
                return take_history(field.bytes);
            case record_field::kConfig:
                return take_config(field.bytes);
            case record_field::kRun:
                return take_run(field.bytes);
            case record_field::kExit:
                return take_exit(field.bytes);
            default:
                return {};
        }
    });
}

bool WandbLog::has_key() {
    if (is_timed_ ? time_us_.has_value()
                  : step_.has_value() || options_.axis == ImportAxis::kIndex) {
        return true;
    }
    for (size_t point = 0; point < row_.row().values.size(); ++point) {
        skip(is_timed_ ? "without a time" : "without a step", "a record");
    }
    return false;
}

Result<bool> WandbLog::next(LogRow& row) {
    Bytes record;
    for (;;) {
        TRY_ASSIGN(const bool more, reader_.next(record));
        if (!more) {
            return false;
        }
        step_.reset();
        time_us_.reset();
        row_.begin(std::nullopt, 0, reader_.number());
        const Status status = take_record(record);
        const bool is_row = status && !row_.empty() && has_key();
        const size_t points = row_.row().values.size();
        row_.take(row);
        if (!status) {
            counts_.read -= points;  // of such a record nothing is taken
            return status.error().within(reader_.place());
        }
        if (!is_row) {
            continue;
        }
        if (!is_timed_) {
            const auto index = static_cast<double>(rows_read_);
            row.step = options_.axis == ImportAxis::kIndex ? index : *step_;
        }
        ++rows_read_;
        row.time_us = time_us_.value_or(options_.file_time_us);
        return true;
    }
}

}  // namespace stepdb
