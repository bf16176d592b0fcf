#include "engine/base/json_text.h"

#include <fmt/format.h>

#include "engine/base/text.h"

namespace stepdb {

void append_json_text(std::string& out, std::string_view raw) {
    // JSON is UTF-8; what is not cannot be said in it.
    const std::string escaped = is_valid_utf8(raw) ? std::string() : printable(raw, raw.size());
    const std::string_view text = escaped.empty() ? raw : std::string_view(escaped);
    out += '"';
    for (const char byte : text) {
        switch (byte) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(byte) < 0x20) {
                    out += fmt::format("\\u{:04x}", static_cast<unsigned char>(byte));
                } else {
                    out += byte;
                }
        }
    }
    out += '"';
}

}  // namespace stepdb
