// What `stepdb serve` tells of a store that it has opened, and of who may use it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/log_event.h"
#include "tools/open_store.h"

namespace stepdb {

// `memory`: what --memory says, in bytes. Notes and damage that were found come after.
void tell_of_opened(const TellEvent& tell, OpenStore& store, const std::string& directory,
                    uint64_t memory);

struct AccessSummary {
    AccessSummary() = default;

    bool needs_token = false;
    size_t usable_tokens = 0;
    bool has_tls = false;
    bool is_loopback = true;  // so that nobody else can listen on the way
};

void tell_of_access(const TellEvent& tell, const AccessSummary& access);

}  // namespace stepdb
