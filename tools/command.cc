#include "tools/command.h"

#include "engine/base/coding.h"
#include "engine/io/environment.h"

namespace stepdb {

void add_examples(CLI::App& app, const std::vector<std::string>& examples,
                  const std::string& notes) {
    std::string footer = notes.empty() ? "" : notes + "\n\n";
    footer += "Examples:";
    for (const std::string& example : examples) {
        footer += "\n  " + example;
    }
    app.footer(footer);
}

Result<std::unique_ptr<Client>> connect_to(const ServerChoice& server, const Id128& writer) {
    TRY_ASSIGN(ClientOptions options, client_options(server));
    options.writer = writer;
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
