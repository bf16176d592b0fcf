// Values given beside a query's text, for the words `$name` in it. docs/query-language.md,
// "Parameters".
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/rights.h"
#include "query/diagnostic.h"

namespace stepdb {

inline constexpr size_t kQueryParametersMax = 1000;
inline constexpr size_t kQueryParameterBytesMax = 64U << 10U;  // names and values together

// Within the limits, each name once.
class QueryParameters {
  public:
    // kInvalidArgument if it is there already, its name is none (a letter or `_`, then letters,
    // digits and `_`; no `$`), its value is not UTF-8, or there are too many.
    Status add(std::string_view name, std::string_view value);

    const std::string* find(std::string_view name) const {
        const auto at = values_.find(name);
        return at == values_.end() ? nullptr : &at->second;
    }
    std::vector<std::string> names() const;
    // Value by name.
    const std::map<std::string, std::string, std::less<>>& values() const { return values_; }
    bool empty() const { return values_.empty(); }

  private:
    std::map<std::string, std::string, std::less<>> values_;
    size_t bytes_ = 0;
};

// A query as it is asked.
struct QueryText {
    QueryText() = default;
    explicit QueryText(std::string its_text, QueryParameters its_parameters = {})
        : text(std::move(its_text)), parameters(std::move(its_parameters)) {}

    std::string text;
    QueryParameters parameters;
    // Of whoever asks: what they may not read does not exist for them. Null: everything, as for a
    // server without tokens and for who opens the store's files.
    std::shared_ptr<const Rights> rights;
};

// The name in `$name`, if that is what the whole word is.
std::optional<std::string_view> parameter_name(std::string_view word);

// Looks up what stands in one query's text, and knows in the end what was not asked for.
class ParameterReader {
  public:
    // Both outlive the reader.
    ParameterReader(std::string_view text, const QueryParameters& given)
        : text_(text), given_(given) {}

    // The value of the one whose `$name` stands at `span`; an error with the nearest if it was not
    // given.
    Result<std::string> read(std::string_view name, SourceSpan span);

    // An error that names those that were given and not read.
    Status check_all_read() const;

  private:
    std::string_view text_;
    const QueryParameters& given_;
    std::vector<std::string> read_;  // names, each once
};

}  // namespace stepdb
