// What the parts of inspect_file (inspect.h) share: tables in the making, and the kinds of files.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/inspect.h"
#include "engine/model/file_header.h"
#include "engine/model/key.h"
#include "engine/model/schema.h"

namespace stepdb {

// A part with many rows. Cells are added from left to right, row by row.
class InspectTable {
  public:
    InspectTable(std::string name, std::vector<ResultColumn> columns);

    InspectTable& text(std::string_view value);
    InspectTable& number(uint64_t value);
    InspectTable& time(int64_t time_us);
    InspectTable& nothing();

    void show(InspectSink& sink) { sink.part(name_, false, columns_, block_); }

  private:
    ColumnCells& next();

    std::string name_;
    std::vector<ResultColumn> columns_;
    ResultBlock block_;
    size_t column_ = 0;
};

// A part that is one row.
class InspectRecord {
  public:
    explicit InspectRecord(std::string name) : name_(std::move(name)) {}

    InspectRecord& text(std::string field, std::string value);
    InspectRecord& number(std::string field, uint64_t value);
    InspectRecord& time(std::string field, int64_t time_us);

    void show(InspectSink& sink);

  private:
    struct Cell {
        ColumnType type = ColumnType::kText;
        std::string text;
        uint64_t number = 0;
        int64_t time_us = 0;
    };
    Cell& add(std::string field, ColumnType type);

    std::string name_;
    std::vector<ResultColumn> columns_;
    std::vector<Cell> cells_;
};

// Takes what is read but not to be shown.
class SilentSink final : public InspectSink {
  public:
    void part(std::string_view, bool, std::vector<ResultColumn>, const ResultBlock&) override {}
};

// Keeps the first of several errors.
void keep_first(Status& first, const Status& later);

// Shows the header page and checks it. `header` holds the fields that what follows needs, as they
// stand there, even if the page is damaged; kUnsupportedVersion: nothing of the rest can be known.
Status inspect_header(const FileKind& kind, Bytes file, FileHeader& header, InspectSink& sink);

// `head` is what inspect_header said. Groups say themselves whose they are: where some are read, a
// damaged header is only noted.
Status inspect_log(Bytes file, const FileHeader& header, Status head, InspectSink& sink);
Status inspect_segment(Bytes file, const FileHeader& header, const InspectOptions& options,
                       InspectSink& sink);

// The part "notes": what is not as it should be and keeps nothing from being read.
class InspectNotes {
  public:
    void add(uint64_t byte, std::string_view what);
    void add_padding(uint64_t byte) { add(byte, "padding that should be zero is not"); }
    // Nothing, if there are none.
    void show(InspectSink& sink);

  private:
    InspectTable table_{"notes", {{"byte", ColumnType::kUint64}, {"what", ColumnType::kText}}};
    bool any_ = false;
};

// The part "schemas" of whatever names some.
InspectTable schema_table();
void add_schema(InspectTable& table, uint64_t id, const Schema& schema);

// "stepped" or "timed"; a key of that axis as people write it.
std::string axis_name(Axis axis);
std::string key_text(Axis axis, Key key);

}  // namespace stepdb
