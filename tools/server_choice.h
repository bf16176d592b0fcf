// Which server a command talks to, and how it is let in.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "clients/cpp/options.h"
#include "engine/base/result.h"
#include "net/client_connection.h"
#include "tools/address.h"

namespace stepdb {

struct ServerChoice {
    ServerChoice() = default;

    std::string address{kDefaultAddress};
    std::string token_file;  // "": $STEPDB_TOKEN
    std::string tls_ca;      // "": those that the system trusts
};

// "--server HOST:PORT", for whoever talks to one, whose default is $STEPDB_SERVER, if set, and what
// goes with it. Returns the first.
CLI::Option* add_server_option(CLI::App& app, ServerChoice& server);
// Only --token-file and --tls-ca.
void add_access_options(CLI::App& app, ServerChoice& server);

// What can be said against it before it is connected to.
Status check_server(const ServerChoice& server);

Result<ClientOptions> client_options(const ServerChoice& server);
Result<client::Options> writer_options(const ServerChoice& server);

}  // namespace stepdb
