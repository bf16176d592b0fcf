#include "tools/command.h"

#include <cstdlib>

#include "engine/base/coding.h"
#include "engine/io/environment.h"
#include "tools/address.h"

namespace stepdb {

CLI::Option* add_server_option(CLI::App& app, std::string& address) {
    // The shell's environment is read before any thread starts.
    const char* const usual = std::getenv("STEPDB_SERVER");  // NOLINT(concurrency-mt-unsafe)
    address = usual == nullptr || *usual == '\0' ? kDefaultAddress : std::string_view(usual);
    return app
        .add_option("--server", address, "The server to talk to; $STEPDB_SERVER is the default")
        ->type_name("HOST:PORT")
        ->capture_default_str();
}

void add_examples(CLI::App& app, const std::vector<std::string>& examples,
                  const std::string& notes) {
    std::string footer = notes.empty() ? "" : notes + "\n\n";
    footer += "Examples:";
    for (const std::string& example : examples) {
        footer += "\n  " + example;
    }
    app.footer(footer);
}

Result<std::unique_ptr<Client>> connect_to(const std::string& server, const Id128& writer) {
    TRY_ASSIGN(const Address address, parse_address(server));
    ClientOptions options;
    options.host = address.host;
    options.port = address.port;
    options.writer = writer;
    options.name = "stepdb " STEPDB_VERSION;
    return Client::connect(std::move(options));
}

Id128 random_id() {
    SystemRandom random;
    Id128 id;
    store_le(id.bytes.data(), random.next());
    store_le(id.bytes.data() + 8, random.next());
    return id;
}

}  // namespace stepdb
