// Tells the service manager that started this process, systemd or one that does the same, how far
// it is: sd_notify(3) over the socket that $NOTIFY_SOCKET names.
#pragma once

#include <string_view>

#include "engine/base/log_event.h"

namespace stepdb {

// `state` is such as "READY=1". Does nothing where nobody asks; if it cannot be said, that is in
// the log: the manager will take the process for one that does not come up.
void tell_service_manager(std::string_view state, const TellEvent& tell);

}  // namespace stepdb
