// What a log says of its run beside the points: attributes, tags, name and owner, how it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clients/cpp/writer.h"
#include "engine/base/json_scanner.h"
#include "engine/base/result.h"
#include "engine/model/attribute.h"
#include "engine/model/frame.h"

namespace stepdb {

// Where a run was forked from.
struct LogFork {
    LogFork() = default;

    std::string parent;  // id of a run of the same project
    double step = 0;     // the last that is read from it
};

// Of one log; a source's fact that can be no attribute is left out, counted, and keeps nothing else
// from being imported.
class LogFacts {
  public:
    LogFacts() = default;

    // The last value of a name stands. kNameAttribute and kOwnerAttribute take strings.
    void set(std::string_view name, const AttributeValue& value);
    void set_text(std::string_view name, std::string_view text);
    void set_datetime(std::string_view name, int64_t us);
    // A config or tag that its source keeps as a text: a bool (true, False), an integer, a number,
    // a date or null (None) in that order if it reads as one, else a string.
    void set_typed(std::string_view name, std::string_view text);
    // A leaf of a JSON text: of integers an int64 where it fits. Arrays are left out.
    void set_leaf(std::string_view name, const JsonLeaf& leaf);
    void add_tag(std::string_view tag);
    void set_state(RunState state) { state_ = state; }
    void set_id(std::string_view id) { id_ = id; }
    void set_fork(LogFork fork) { fork_ = std::move(fork); }
    // Something of the source that is no attribute; `why` names place and value.
    void leave_out(std::string why);

    // Those of another log of the run, which came later.
    void merge(const LogFacts& later);

    // Whether there is nothing to say.
    bool empty() const { return attributes_.empty() && tags_.empty() && !state_ && !fork_; }
    const Attributes& attributes() const { return attributes_; }
    const StringSet& tags() const { return tags_; }
    // How the run has ended, if the source says so.
    std::optional<RunState> state() const { return state_; }
    // The run's id, as the log has it; empty if it says none. A command may name another.
    const std::string& id() const { return id_; }
    const std::optional<LogFork>& fork() const { return fork_; }
    uint64_t left_out() const { return left_out_; }
    const std::string& first_left_out() const { return first_left_out_; }

  private:
    // Half of what a run may have altogether.
    static constexpr size_t kBytesMax = 2U << 20U;

    Attributes attributes_;
    StringSet tags_;
    std::optional<RunState> state_;
    std::string id_;
    std::optional<LogFork> fork_;
    size_t bytes_ = 0;
    uint64_t left_out_ = 0;
    std::string first_left_out_;
};

// Writes attributes and tags to the run and waits until they are durable; the state is not sent.
Status send_facts(client::Run& run, const LogFacts& facts);

}  // namespace stepdb
