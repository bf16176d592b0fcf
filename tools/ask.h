// Asking one query, of a server or of a store of one's own, and printing the answer.
#pragma once

#include <string>

#include "tools/answer_printer.h"
#include "tools/command.h"

namespace stepdb {

struct Asked {
    std::string server;  // HOST:PORT
    std::string data;    // a store's directory: opened read-only, without a server
    std::string format = "table";
};

// --server, --data, which exclude one another, and --format; returns the last.
CLI::Option* add_asked_options(CLI::App& app, Asked& asked);

// What can be said against them before anything is done.
Status check_asked(const Asked& asked);

Status ask(const Asked& asked, const std::string& query, const PrintOptions& print);

}  // namespace stepdb
