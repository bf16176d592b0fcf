#include "query/regex.h"

#include <re2/re2.h>

#include "engine/base/text.h"

namespace stepdb {

Regex::Regex(std::unique_ptr<re2::RE2> regex)
    : regex_(std::move(regex)), names_(static_cast<size_t>(regex_->NumberOfCapturingGroups())) {
    for (const auto& [group, name] : regex_->CapturingGroupNames()) {
        names_[static_cast<size_t>(group) - 1] = name;
    }
}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view expression) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto regex =
        std::make_unique<re2::RE2>(re2::StringPiece(expression.data(), expression.size()), options);
    if (!regex->ok()) {
        return make_error(ErrorCode::kInvalidArgument, "the regex '{}' is not valid: {}",
                          printable(expression), printable(regex->error()));
    }
    return Regex(std::move(regex));
}

bool Regex::search(std::string_view text, size_t from,
                   std::vector<std::string_view>& groups) const {
    std::vector<re2::StringPiece> pieces(names_.size() + 1);
    if (!regex_->Match(re2::StringPiece(text.data(), text.size()), from, text.size(),
                       re2::RE2::UNANCHORED, pieces.data(), static_cast<int>(pieces.size()))) {
        return false;
    }
    groups.clear();
    for (const re2::StringPiece& piece : pieces) {
        groups.emplace_back(piece.data(), piece.size());
    }
    return true;
}

}  // namespace stepdb
