// `stepdb stats`: what a store holds, and what it does by itself.
#include <memory>

#include "tools/ask.h"
#include "tools/command.h"

namespace stepdb {

Command add_stats(CLI::App& stepdb) {
    auto asked = std::make_shared<Asked>();
    CLI::App* app = stepdb.add_subcommand("stats", "Tell what a store holds and how it is doing");
    CLI::Option* format = add_asked_options(*app, *asked);
    add_examples(*app, {"stepdb stats", "stepdb stats --data ./store --format json"});
    return {app,
            [=]() -> Status {
                PrintOptions print;
                TRY_ASSIGN(print.format, read_output_format(asked->format));
                print.has_format = format->count() > 0;
                return ask(*asked, QueryText("stats"), print);
            },
            [=] { return check_asked(*asked); }};
}

}  // namespace stepdb
