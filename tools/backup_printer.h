// What `backup` and `restore` print: a bar while they copy, and at the end what there is now.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "engine/backup.h"
#include "tools/output/progress.h"
#include "tools/output/result_writer.h"

namespace stepdb {

class BackupPrinter {
  public:
    // `label` of the bar: "backing up".
    explicit BackupPrinter(std::string label) : label_(std::move(label)) {}

    // One thread at a time.
    void progress(const BackupReport& report);

    // "backed up 12 runs: 3 of 40 files new, 1.2 GiB copied to /backups/a"; `done` are the first
    // two words. In another format than kTable, its numbers.
    void print(const BackupReport& report, const std::string& done, const std::string& directory,
               OutputFormat format);

  private:
    std::string label_;
    std::unique_ptr<Progress> bar_;
};

// "--format FORMAT"
void add_backup_format(CLI::App& app, std::string& format);

}  // namespace stepdb
