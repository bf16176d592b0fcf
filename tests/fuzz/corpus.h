// The seed inputs that the targets begin from, as files.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace stepdb {

using Buffer = std::vector<std::byte>;

class Corpus {
  public:
    explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}

    // Seeds begin with "seed-", so that findings beside them are not written over.
    void put(std::string_view target, std::string_view name, Bytes bytes) {
        const std::filesystem::path folder = folder_ / target;
        std::filesystem::create_directories(folder);
        std::ofstream out(folder / fmt::format("seed-{}", name), std::ios::binary);
        out.write(reinterpret_cast<const char*>(bytes.data()),
                  static_cast<std::streamsize>(bytes.size()));
        CHECK(out.flush().good(), "cannot write {}", name);
        ++written_;
    }
    int written() const { return written_; }

  private:
    std::filesystem::path folder_;
    int written_ = 0;
};

inline void append(Buffer& out, Bytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

inline Buffer with_prefix(std::initializer_list<int> prefix, Bytes bytes) {
    Buffer out;
    for (const int byte : prefix) {
        out.push_back(static_cast<std::byte>(byte));
    }
    append(out, bytes);
    return out;
}

// Of stores_target.cc: a damage of each kind.
void put_damages(Corpus& corpus);
// Of texts_target.cc: logs in each format, and tokens.
void put_texts(Corpus& corpus);

}  // namespace stepdb
