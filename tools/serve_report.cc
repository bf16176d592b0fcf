#include "tools/serve_report.h"

#include "engine/base/text.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

void tell_of_recovery(const TellEvent& tell, const RecoveryReport& found) {
    for (const std::string& note : found.notes) {
        tell(LogEvent(LogLevel::kInfo, "recovery_note", note));
    }
    for (const std::string& segment : found.damaged_segments) {
        LogEvent event(LogLevel::kError, "segment_damaged",
                       "runs with rows in it cannot be read or written");
        tell(event.text("damage", segment));
    }
    for (const StoreDamage& damage : found.damage) {
        LogEvent event(LogLevel::kError, "store_damaged");
        tell(event.text("damage", damage.what));
    }
}

}  // namespace

void tell_of_opened(const TellEvent& tell, OpenStore& store, const std::string& directory,
                    uint64_t memory) {
    const RecoveryReport& found = store.engine().recovery();
    const EngineStats stats = store.engine().quick_stats();
    LogEvent opened(LogLevel::kInfo, "store_opened",
                    found.created ? "a new store" : "the store is open");
    opened.text("data", directory)
        .text("store", store.engine().store_id().to_hex())
        .text("io", std::string(store.io().backend()))
        .count("memory_bytes", memory)
        .count("runs", stats.runs)
        .count("segments", stats.segments)
        .count("segment_bytes", stats.segment_bytes)
        .count("replayed_rows", found.rows_replayed)
        .count("replayed_bytes", found.log_bytes_read)
        .number("seconds", store.seconds_to_open());
    tell(opened);
    if (!store.io().fallback_reason().empty()) {
        LogEvent slower(LogLevel::kWarning, "no_io_uring", "files are read and written slower");
        tell(slower.text("reason", store.io().fallback_reason()));
    }
    tell_of_recovery(tell, found);
    if (!found.damage.empty()) {
        tell(LogEvent(LogLevel::kError, "store_read_only",
                      "reading only, because of the damage; writers are refused"));
    } else if (const auto reason = store.engine().read_only_reason()) {
        LogEvent event(LogLevel::kError, "store_read_only", "reading only; writers are refused");
        tell(event.text("reason", reason->message()));
    }
}

void tell_of_access(const TellEvent& tell, const AccessSummary& access) {
    LogEvent event(LogLevel::kInfo, "access");
    if (access.needs_token) {
        event.message = count_of(access.usable_tokens, "token");
        event.message += access.has_tls ? ", TLS" : ", no TLS";
    } else {
        event.message = "no tokens: every user of this machine may do everything";
        event.message += access.has_tls ? "; TLS" : "";
    }
    tell(event.count("tokens", access.usable_tokens).flag("tls", access.has_tls));
    if (!access.has_tls && !access.is_loopback) {
        tell(LogEvent(LogLevel::kWarning, "no_tls",
                      "without TLS tokens and data can be read on the way; see --tls-cert, or put "
                      "a TLS proxy before it"));
    }
}

}  // namespace stepdb
