#include "net/web_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/checksum.h"
#include "net/deflate_stream.h"

namespace stepdb {

namespace {

constexpr std::string_view kIndexPath = "/index.html";
// Smaller ones are not worth it.
constexpr size_t kCompressFromBytes = 1024;

// Nothing of another site, no script and no style within the page, whatever a name or a note that
// it shows may hold; and no other site shows the page within its own.
constexpr const char* kContentSecurityPolicy =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

struct TypeOfName {
    std::string_view ending;
    const char* type;
    bool is_text;
};
constexpr std::array<TypeOfName, 9> kTypes = {{
    {".html", "text/html; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".svg", "image/svg+xml", true},
    {".json", "application/json", true},
    {".webmanifest", "application/manifest+json", true},
    {".png", "image/png", false},
    {".ico", "image/x-icon", false},
    {".woff2", "font/woff2", false},
}};

TypeOfName type_of(std::string_view path) {
    const auto* const known = std::ranges::find_if(
        kTypes, [&](const TypeOfName& one) { return path.ends_with(one.ending); });
    return known == kTypes.end() ? TypeOfName{"", "application/octet-stream", false} : *known;
}

}  // namespace

struct WebPages::Page {
    explicit Page(const WebAsset& its_asset)
        : asset(its_asset),
          type(type_of(asset.path)),
          etag('"' + sha256_128(as_bytes(asset.bytes)).to_hex() + '"') {}

    const WebAsset asset;
    const TypeOfName type;
    const std::string etag;
    std::string compressed;  // when it was first asked for
};

WebPages::WebPages(const std::vector<WebAsset>& assets) {
    for (const WebAsset& asset : assets) {
        pages_.push_back(std::make_unique<Page>(asset));
    }
}

WebPages::~WebPages() = default;

HttpResponse WebPages::answer(Page& page, const HttpRequest& request) {
    HttpResponse response;
    response.type = page.type.type;
    response.fields.emplace_back("ETag", page.etag);
    response.fields.emplace_back("Vary", "Accept-Encoding");
    response.fields.emplace_back("Cache-Control", page.asset.path.starts_with(kAssetsPath)
                                                      ? "public, max-age=31536000, immutable"
                                                      : "no-cache");
    response.fields.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
    response.fields.emplace_back("Referrer-Policy", "no-referrer");
    if (request.etag.find(page.etag) != std::string::npos) {
        response.status = 304;
        return response;
    }
    if (request.wants_gzip && page.type.is_text && page.asset.bytes.size() >= kCompressFromBytes) {
        if (page.compressed.empty()) {
            page.compressed = compress_gzip(page.asset.bytes);
        }
        response.fields.emplace_back("Content-Encoding", "gzip");
        response.body = page.compressed;
    } else {
        response.body = std::string(page.asset.bytes);
    }
    return response;
}

void WebPages::add_routes(HttpRoutes& routes) {
    for (const auto& page : pages_) {
        const HttpHandler handler = [&page = *page](const HttpRequest& request,
                                                    HttpAnswer answer_it) {
            answer_it(answer(page, request));
        };
        routes.add("GET", std::string(page->asset.path), handler);
        if (page->asset.path == kIndexPath) {
            routes.add("GET", "/", handler);
        }
    }
}

}  // namespace stepdb
