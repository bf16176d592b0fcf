#include "net/tls_files.h"

#include <sys/stat.h>

namespace stepdb {

Result<std::shared_ptr<TlsFiles>> TlsFiles::open(std::string certificate_file,
                                                 std::string key_file) {
    std::shared_ptr<TlsFiles> files(new TlsFiles(std::move(certificate_file), std::move(key_file)));
    // First, so that what replaces them meanwhile is noticed.
    files->stamps_ = files->look_at_both();
    TRY_ASSIGN(files->context_, TlsContext::for_server(files->certificate_file_, files->key_file_));
    return files;
}

TlsFiles::Stamp TlsFiles::stamp_of(const std::string& file) {
    Stamp stamp;
    struct stat status = {};
    if (stat(file.c_str(), &status) == 0) {
        stamp.inode = status.st_ino;
        stamp.changed_ns = status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
        stamp.bytes = status.st_size;
    }
    return stamp;
}

void TlsFiles::look(const TellEvent& tell) {
    const Stamps stamps = look_at_both();
    const bool is_same = stamps == stamps_;
    if (is_same && !is_doubtful_) {
        return;
    }
    stamps_ = stamps;
    Result<std::shared_ptr<TlsContext>> context =
        TlsContext::for_server(certificate_file_, key_file_);
    if (context) {
        context_ = *std::move(context);
        is_doubtful_ = false;
        LogEvent event(LogLevel::kInfo, "tls_reloaded", "new connections get the new certificate");
        event.text("certificate", certificate_file_).text("key", key_file_);
        if (tell) {
            tell(event);
        }
        return;
    }
    is_doubtful_ = !is_same;
    if (!is_doubtful_ && tell) {
        LogEvent event(LogLevel::kError, "tls_unread", "the certificate stays as it was read last");
        tell(event.text("error", context.error().message()));
    }
}

}  // namespace stepdb
