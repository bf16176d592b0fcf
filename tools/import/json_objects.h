// Where the objects of a JSON log come from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "tools/import/log_facts.h"

namespace stepdb {

// The objects of one file, one after the other. Single-threaded; holds one of them.
class JsonObjects {
  public:
    JsonObjects() = default;
    JsonObjects(const JsonObjects&) = delete;
    JsonObjects& operator=(const JsonObjects&) = delete;
    virtual ~JsonObjects() = default;

    // Replaces `text`, which lasts until the next call; false at the end. It need not be a proper
    // object. kInvalidArgument naming the place if what is around the objects is wrong; errors of
    // the file as they are.
    virtual Result<bool> next(std::string_view& text) = 0;

    // Of the last object: "a.jsonl: line 12", and the number of the line or entry alone.
    virtual std::string place() const = 0;
    virtual uint64_t number() const = 0;
    // Whether the file ended right behind it, where more was to come.
    virtual bool unterminated() const = 0;
    virtual uint64_t bytes_read() const = 0;
    // What stands beside the objects, so far.
    virtual const LogFacts& facts() const = 0;
};

// Opens a file, as if it ended after `bytes_max` bytes. kNotFound and kIoError naming it.
using OpenJsonObjects = Result<std::unique_ptr<JsonObjects>> (*)(const std::string& path,
                                                                 uint64_t bytes_max);

// An object a line; blank lines are none, and lines that tell of the run (json_run_line.h) are its
// facts.
Result<std::unique_ptr<JsonObjects>> open_json_lines(const std::string& path, uint64_t bytes_max);

// The id of the run that such a file begins with; empty if it does not.
std::string id_in_json_lines(const std::string& path);

}  // namespace stepdb
