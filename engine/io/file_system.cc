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
    }
    return "unknown site";
}

}  // namespace stepdb
