// Asking queries, of a server or of a store of one's own, and printing the answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/client.h"
#include "tools/answer_printer.h"
#include "tools/command.h"

namespace stepdb {

struct Asked {
    ServerChoice server;
    std::string data;  // a store's directory: opened read-only, without a server
    std::string format = "table";
};

// A query on the command line.
struct TypedQuery {
    std::string text;
    std::vector<std::string> parameters;  // NAME=VALUE
};

// TEXT, which is `described`, and --param.
void add_query_options(CLI::App& app, TypedQuery& query, const std::string& described);

// kInvalidArgument for what is wrong with its parameters.
Result<QueryText> read_query(const TypedQuery& query);

// --server and --data, which exclude one another.
void add_source_options(CLI::App& app, Asked& asked);

// These and --format, which it returns.
CLI::Option* add_asked_options(CLI::App& app, Asked& asked);

// What can be said against them before anything is done.
Status check_asked(const Asked& asked);

// Whom queries are asked, one after the other. Single-threaded.
class Asker {
  public:
    virtual ~Asker() = default;

    // Connects, or opens the store.
    static Result<std::unique_ptr<Asker>> open(const Asked& asked);

    // Runs one query to its end: its own error, or why there is no answer. The handler may be
    // called on another thread, while this call waits.
    virtual Result<QueryEnd> ask(const QueryText& query, const AnswerHandler& handler) = 0;

    // Watches a query until the handler stops it, which is success, or an error ends it
    // (Client::watch). kInvalidArgument for a store of one's own: nothing changes in it while it is
    // open.
    virtual Status watch(const QueryText& query, const UpdateHandler& handler) = 0;

    // Lets go of what was opened; nothing is asked any more.
    virtual Status close() = 0;
};

// One query, printed as it comes. `stop` is asked now and then, true ends the answer there.
Status ask_and_print(Asker& asker, const QueryText& query, AnswerPrinter& printer,
                     const std::function<bool()>& stop = nullptr);

// All of it: opens, asks, prints, closes.
Status ask(const Asked& asked, const QueryText& query, const PrintOptions& print);

}  // namespace stepdb
