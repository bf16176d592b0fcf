#include "net/metrics.h"

#include <algorithm>

#include "net/prometheus_text.h"

namespace stepdb {

namespace {

double as_number(uint64_t count) {
    return static_cast<double>(count);
}

double as_number(bool is_so) {
    return is_so ? 1 : 0;
}

// "not found" and "I/O error" as labels: `not_found`, `io_error`.
std::string reason_label(size_t code) {
    std::string name(error_code_name(static_cast<ErrorCode>(code)));
    std::erase(name, '/');
    std::ranges::replace(name, ' ', '_');
    return name;
}

void put_ingest(PrometheusText& text, const EngineStats& engine, const NetFigures& net) {
    const IngestCounts& ingest = engine.ingest;
    text.counter("stepdb_ingest_frames_total", "Frames that were to change the store.",
                 as_number(ingest.frames));
    text.counter("stepdb_ingest_acknowledged_frames_total", "Of these, frames that became durable.",
                 as_number(ingest.acknowledged));
    text.begin("stepdb_ingest_refused_frames_total", "counter",
               "Of these, frames that were refused, by the code of their error.");
    for (size_t code = 1; code < kErrorCodesEnd; ++code) {
        text.sample("stepdb_ingest_refused_frames_total", "reason", reason_label(code),
                    as_number(ingest.refused[code]));
    }
    text.counter("stepdb_ingest_bytes_total", "Bytes of these frames.", as_number(ingest.bytes));
    text.counter("stepdb_ingest_rows_total", "Rows taken.", as_number(ingest.rows));
    text.counter("stepdb_ingest_points_total", "Values in rows taken.", as_number(ingest.points));
    text.counter("stepdb_ingest_late_rows_total",
                 "Rows taken at or below the highest step of their run, attempt and schema.",
                 as_number(ingest.late_rows));
    text.counter("stepdb_ingest_acks_total", "Acknowledgements sent; one covers many frames.",
                 as_number(net.acks));
    text.histogram("stepdb_log_sync_duration_seconds",
                   "From writing a group of the log until it is durable.", engine.log_syncs);
    text.counter("stepdb_log_groups_total", "Groups of the log that became durable.",
                 as_number(engine.log_groups));
    text.gauge("stepdb_log_live_bytes", "Log that would be replayed after a crash.",
               as_number(engine.log_live_bytes));
}

void put_store(PrometheusText& text, const ServerFigures& figures) {
    const EngineStats& engine = figures.engine;
    text.gauge("stepdb_store_read_only",
               "1 if the store takes no frames until it is opened again, because of a failure or "
               "damage.",
               as_number(figures.is_read_only));
    text.gauge("stepdb_store_disk_full", "1 while frames are refused for want of room on the disk.",
               as_number(engine.disk_full));
    text.gauge("stepdb_store_damages", "Losses that were found when the store was opened.",
               as_number(figures.damages));
    text.gauge("stepdb_store_damaged_blocks", "Damaged blocks that merges carry along.",
               as_number(engine.damaged_blocks));
    text.gauge("stepdb_runs", "Runs in the store.", as_number(engine.runs));
    text.gauge("stepdb_schemas", "Schemas in the store.", as_number(engine.schemas));
    text.gauge("stepdb_segments", "Segment files.", as_number(engine.segments));
    text.gauge("stepdb_segment_bytes", "Bytes of segment files.", as_number(engine.segment_bytes));
    text.gauge("stepdb_segment_blocks", "Blocks in segment files.",
               as_number(engine.segment_blocks));
    text.gauge("stepdb_tails", "Tails: rows of a run, attempt and schema that are not sealed.",
               as_number(engine.tails));
    text.gauge("stepdb_memory_rows_bytes", "Rows in memory, in tails and sealed blocks.",
               as_number(engine.memory_block_bytes));
    text.gauge("stepdb_memory_pinned_bytes", "Rows in memory that only queries still hold.",
               as_number(engine.pinned_bytes));
    text.gauge("stepdb_memory_resident_bytes", "Catalog, writers and indexes of segments.",
               as_number(engine.resident_bytes));
    text.histogram("stepdb_flush_duration_seconds", "Flushes of rows into segments.",
                   engine.flush_times);
    text.counter("stepdb_flush_written_bytes_total", "Bytes that flushes wrote to segments.",
                 as_number(engine.flush_bytes_written));
    text.gauge("stepdb_flush_running", "1 while a flush is under way.", as_number(engine.flushing));
    text.gauge("stepdb_flush_failing", "1 if the last flush failed.",
               as_number(engine.flush_error.has_value()));
    text.histogram("stepdb_merge_duration_seconds", "Merges of segments.", engine.merge_times);
    text.counter("stepdb_merge_read_bytes_total", "Bytes that merges read.",
                 as_number(engine.merge_bytes_read));
    text.counter("stepdb_merge_written_bytes_total", "Bytes that merges wrote to segments.",
                 as_number(engine.merge_bytes_written));
    text.gauge("stepdb_merge_running", "1 while a merge is under way.", as_number(engine.merging));
    text.gauge("stepdb_merge_failing", "1 if the last merge failed, or a segment cannot be merged.",
               as_number(engine.merge_error.has_value()));
}

void put_queries(PrometheusText& text, const QueryFigures& queries) {
    const QueryFacts& facts = queries.facts;
    text.begin("stepdb_queries_total", "counter", "Queries that ended, by how.");
    text.sample("stepdb_queries_total", "outcome", "done", as_number(facts.done));
    text.sample("stepdb_queries_total", "outcome", "failed", as_number(facts.failed));
    text.sample("stepdb_queries_total", "outcome", "cancelled", as_number(facts.cancelled));
    text.counter("stepdb_slow_queries_total", "Of these, those that the log tells of as slow.",
                 as_number(facts.slow));
    text.histogram("stepdb_query_duration_seconds",
                   "From a query's arrival until its answer is computed and taken.",
                   queries.durations);
    text.gauge("stepdb_queries_running", "Queries under way.", as_number(facts.running));
    text.gauge("stepdb_queries_waiting", "Of these, those that wait for memory that others have.",
               as_number(facts.waiting));
    text.gauge("stepdb_query_memory_bytes", "Memory that queries compute with.",
               as_number(facts.memory_bytes));
    text.gauge("stepdb_query_memory_max_bytes", "As much of it as there may be.",
               as_number(facts.memory_bytes_max));
    text.gauge("stepdb_query_cache_bytes", "Parts of segments that are kept for queries.",
               as_number(facts.cache_bytes));
    text.gauge("stepdb_query_cache_max_bytes", "As much of them as there may be.",
               as_number(facts.cache_bytes_max));
    text.counter("stepdb_query_cache_lookups_total", "Looks into that cache.",
                 as_number(facts.cache_looks));
    text.counter("stepdb_query_cache_hits_total", "Of these, those that found something.",
                 as_number(facts.cache_hits));
    text.gauge("stepdb_watches", "Queries that are watched.", as_number(queries.watches));
    text.gauge("stepdb_watchers", "Those who watch them.", as_number(queries.watchers));
}

void put_net(PrometheusText& text, const NetFigures& net) {
    text.gauge("stepdb_connections", "Connections of the native protocol.",
               as_number(net.connections));
    text.gauge("stepdb_connections_max", "As many as there may be.",
               as_number(net.connections_max));
    text.counter("stepdb_connections_accepted_total", "Connections made.", as_number(net.accepted));
    text.begin("stepdb_connections_refused_total", "counter", "Connections refused, by why.");
    text.sample("stepdb_connections_refused_total", "reason", "server_limit",
                as_number(net.refused_full));
    text.sample("stepdb_connections_refused_total", "reason", "address_limit",
                as_number(net.refused_address));
    text.sample("stepdb_connections_refused_total", "reason", "token",
                as_number(net.hellos_refused));
    text.counter("stepdb_queries_limited_total",
                 "Queries refused because their token had asked as many as it may in a second.",
                 as_number(net.queries_limited));
    text.counter("stepdb_received_frames_total", "Frames received, of all kinds.",
                 as_number(net.frames));
    text.counter("stepdb_received_bytes_total", "Bytes received from clients.",
                 as_number(net.received_bytes));
    text.counter("stepdb_sent_bytes_total", "Bytes sent to clients.", as_number(net.sent_bytes));
    text.gauge("stepdb_receive_buffer_bytes", "Frames received that have no outcome yet.",
               as_number(net.receive_used_bytes));
    text.gauge("stepdb_receive_buffer_max_bytes", "Above it sockets are not read.",
               as_number(net.receive_max_bytes));
    text.gauge("stepdb_send_buffer_bytes", "Answers that are not sent yet.",
               as_number(net.send_used_bytes));
    text.gauge("stepdb_send_buffer_max_bytes", "Above it no more answers are computed.",
               as_number(net.send_max_bytes));
    text.gauge("stepdb_http_connections", "Connections of HTTP.", as_number(net.http_connections));
    text.counter("stepdb_http_connections_refused_total",
                 "Connections of HTTP closed because there were too many.",
                 as_number(net.http_refused));
    text.counter("stepdb_http_requests_total", "Requests of HTTP answered.",
                 as_number(net.http_requests));
    text.counter("stepdb_http_failures_total", "Of these, with a status of 400 and above.",
                 as_number(net.http_failures));
}

// By the names that Prometheus' own libraries give them.
void put_process(PrometheusText& text, const ServerFigures& figures) {
    const ProcessFigures& process = figures.process;
    text.begin("stepdb_build_info", "gauge", "1, and the version of the program.");
    text.sample("stepdb_build_info", "version", figures.version, 1);
    text.counter("process_cpu_seconds_total", "Processor time, of users and system.",
                 process.cpu_seconds);
    text.gauge("process_resident_memory_bytes", "Resident memory.",
               as_number(process.resident_bytes));
    text.gauge("process_virtual_memory_bytes", "Virtual memory.", as_number(process.virtual_bytes));
    text.gauge("process_start_time_seconds", "When it was started, since the Unix epoch.",
               process.started_seconds);
    text.gauge("process_open_fds", "Open file descriptors.", as_number(process.open_files));
    text.gauge("process_max_fds", "As many as there may be.", as_number(process.open_files_max));
    text.gauge("process_threads", "Threads.", as_number(process.threads));
    text.gauge("stepdb_disk_bytes", "Size of the file system that holds the store.",
               as_number(process.disk_bytes));
    text.gauge("stepdb_disk_free_bytes", "Of these, free.", as_number(process.disk_free_bytes));
}

}  // namespace

std::string encode_metrics(const ServerFigures& figures) {
    PrometheusText text;
    put_ingest(text, figures.engine, figures.net);
    put_store(text, figures);
    put_queries(text, figures.queries);
    put_net(text, figures.net);
    put_process(text, figures);
    return text.take();
}

}  // namespace stepdb
