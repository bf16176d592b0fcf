#include "tools/server_choice.h"

#include <cstdlib>

#include "clients/cpp/token.h"

namespace stepdb {

namespace {

// The shell's environment is read before any thread starts.
std::string from_environment(const char* name, std::string_view otherwise) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return std::string(value == nullptr || *value == '\0' ? otherwise : std::string_view(value));
}

}  // namespace

CLI::Option* add_server_option(CLI::App& app, ServerChoice& server) {
    server.address = from_environment("STEPDB_SERVER", kDefaultAddress);
    CLI::Option* const option =
        app.add_option("--server", server.address,
                       "The server to talk to, with TLS as stepdbs://HOST:PORT; $STEPDB_SERVER is "
                       "the default")
            ->type_name("HOST:PORT")
            ->capture_default_str();
    add_access_options(app, server);
    return option;
}

void add_access_options(CLI::App& app, ServerChoice& server) {
    app.add_option("--token-file", server.token_file,
                   "A file with the token that the server asks for; default: $STEPDB_TOKEN")
        ->type_name("FILE");
    server.tls_ca = from_environment("STEPDB_TLS_CA", "");
    app.add_option("--tls-ca", server.tls_ca,
                   "With TLS: certificates of the authorities to trust; default: $STEPDB_TLS_CA, "
                   "else the system's")
        ->type_name("FILE");
}

Status check_server(const ServerChoice& server) {
    const Result<Address> address = parse_address(server.address);
    return address ? Status() : Status(address.error());
}

Result<ClientOptions> client_options(const ServerChoice& server) {
    TRY_ASSIGN(const Address address, parse_address(server.address));
    ClientOptions options;
    options.host = address.host;
    options.port = address.port;
    options.name = "stepdb " STEPDB_VERSION;
    TRY_ASSIGN(options.token, client::find_token(server.token_file));
    options.tls.is_wanted = address.tls;
    options.tls.ca_file = server.tls_ca;
    return options;
}

Result<client::Options> writer_options(const ServerChoice& server) {
    TRY_ASSIGN(const ClientOptions access, client_options(server));
    client::Options options;
    options.host = access.host;
    options.port = access.port;
    options.token = access.token;
    options.tls = access.tls.is_wanted;
    options.tls_ca_file = access.tls.ca_file;
    return options;
}

}  // namespace stepdb
