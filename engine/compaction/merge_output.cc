#include "engine/compaction/merge_output.h"

namespace stepdb {

Task<Status> MergeOutput::begin(const BlockInfo& info) {
    runs_.insert(info.run);
    schemas_.insert(info.schema);
    if (created_) {
        co_return Status();
    }
    created_ = true;
    co_return co_await writer_.create(expected_bytes_);
}

Task<Status> MergeOutput::begin_block(BlockInfo info, Bytes axis, Bytes directory,
                                      Bytes summaries) {
    const Status begun = co_await begin(info);
    if (!begun) {
        co_return begun;
    }
    co_return co_await writer_.begin_block(info, axis, directory, summaries);
}

Task<Status> MergeOutput::put_block(std::shared_ptr<const EncodedBlock> block,
                                    size_t summary_rows_min) {
    const Status begun = co_await begin(block->info);
    if (!begun) {
        co_return begun;
    }
    co_return co_await writer_.put_block(std::move(block), summary_rows_min);
}

Task<Status> MergeOutput::put_copied(const CopiedBlock* block) {
    Status status =
        co_await begin_block(block->info, block->axis, block->directory, block->summaries);
    if (status) {
        status = co_await writer_.put_pieces(block->strips);
    }
    if (status) {
        status = co_await writer_.put_rest(block->summaries);
    }
    co_return status;
}

Task<Status> MergeOutput::put_damaged(SegmentBlock block, uint64_t file_id, Bytes bytes) {
    const Status begun = co_await begin(block.info);
    if (!begun) {
        co_return begun;
    }
    co_return co_await writer_.put_damaged(std::move(block), file_id, bytes);
}

Task<Result<std::shared_ptr<const SegmentMeta>>> MergeOutput::finish(SyncSite site) {
    if (!created_) {
        co_return nullptr;
    }
    co_return co_await writer_.finish(names(), site);
}

SegmentNames MergeOutput::names() const {
    SegmentNames names;
    for (const uint64_t id : runs_) {
        const std::shared_ptr<const Run> run = catalog_->find_run(id);
        CHECK(run != nullptr, "run {}", id);
        names.runs.push_back({id, run->project, run->name});
    }
    for (const uint64_t id : schemas_) {
        names.schemas.push_back({id, catalog_->find_schema(id)->schema});
    }
    return names;
}

}  // namespace stepdb
