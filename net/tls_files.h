// A server's certificate and key as files, which are read again when they change: whoever renews a
// certificate puts new files in their place and restarts nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/log_event.h"
#include "net/tls.h"

namespace stepdb {

// On one thread, the server's; open() may be called before on another.
class TlsFiles {
  public:
    // kInvalidArgument naming the file and what is wrong with it.
    static Result<std::shared_ptr<TlsFiles>> open(std::string certificate_file,
                                                  std::string key_file);

    // What connections that begin now speak by. Those that are there keep theirs.
    const TlsContext& context() const { return *context_; }

    // To be called now and then: reads the files if they have changed. If what is there now is no
    // good, what there was stays, and `tell`, which may be empty, hears of it once. The two are
    // replaced one after the other, so what does not go together is looked at twice.
    void look(const TellEvent& tell);

  private:
    // Tells versions of a file apart without reading it.
    struct Stamp {
        uint64_t inode = 0;
        int64_t changed_ns = 0;
        int64_t bytes = -1;  // there is none

        bool operator==(const Stamp&) const = default;
    };
    struct Stamps {
        Stamp certificate;
        Stamp key;

        bool operator==(const Stamps&) const = default;
    };

    TlsFiles(std::string certificate_file, std::string key_file)
        : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}
    static Stamp stamp_of(const std::string& file);
    Stamps look_at_both() const { return {stamp_of(certificate_file_), stamp_of(key_file_)}; }

    const std::string certificate_file_;
    const std::string key_file_;
    std::shared_ptr<TlsContext> context_;
    Stamps stamps_;             // of what was read, or could not be
    bool is_doubtful_ = false;  // it could not be, and that has not been told
};

}  // namespace stepdb
