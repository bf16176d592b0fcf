#include "engine/io/file_system.h"

namespace stepdb {

std::string_view sync_site_name(SyncSite site) {
    switch (site) {
        case SyncSite::kLogGroup:
            return "log group";
        case SyncSite::kLogHeader:
            return "log header";
        case SyncSite::kLogDirectory:
            return "log directory";
        case SyncSite::kLogReplayed:
            return "log replayed";
        case SyncSite::kSegmentData:
            return "segment data";
        case SyncSite::kCatalogData:
            return "catalog data";
        case SyncSite::kFlushDirectory:
            return "flush directory";
        case SyncSite::kCompactedData:
            return "compacted data";
        case SyncSite::kCompactedDirectory:
            return "compacted directory";
        case SyncSite::kManifestEdit:
            return "manifest edit";
        case SyncSite::kManifestData:
            return "manifest data";
        case SyncSite::kManifestDirectory:
            return "manifest directory";
        case SyncSite::kCurrentData:
            return "current data";
        case SyncSite::kCurrentDirectory:
            return "current directory";
        case SyncSite::kBackupMark:
            return "backup mark";
        case SyncSite::kBackupMarkDirectory:
            return "backup mark directory";
        case SyncSite::kBackupData:
            return "backup data";
    }
    return "unknown site";
}

std::string_view directory_of(std::string_view path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) {
        return ".";
    }
    return path.substr(0, slash == 0 ? 1 : slash);
}

std::string_view name_of(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace stepdb
