// Prints the updates of a watched query: the whole answer again after each, or the rows that each
// changes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/message.h"
#include "query/watched_rows.h"
#include "tools/answer_printer.h"

namespace stepdb {

// Single-threaded.
class UpdatePrinter {
  public:
    // As a table or a chart the answer is printed whole, on a terminal in place of the one before;
    // otherwise a row for each that has changed, with columns `change` and `place` before the
    // answer's. On a terminal `heading` stands above the whole answer. kInvalidArgument for what
    // cannot be printed again and again.
    static Result<std::unique_ptr<UpdatePrinter>> create(PrintOptions options, QueryText query,
                                                         std::string heading = {});
    virtual ~UpdatePrinter() = default;

    // An update, as UpdateHandler::on_update has it.
    virtual Status update(const std::vector<ResultColumn>& columns,
                          const std::vector<ResultBlock>& blocks, const ResultUpdate& update) = 0;
};

}  // namespace stepdb
