// The page that the program brings, served to browsers: `/` is its index.html, and what else it
// loads lies below `/assets/`, under names that change with what they hold, so that a browser keeps
// it for good.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace stepdb {

// A file of the page.
struct WebAsset {
    WebAsset(std::string_view its_path, const char* begin, const char* end)
        : path(its_path), bytes(begin, static_cast<size_t>(end - begin)) {}

    std::string_view path;  // "/index.html"
    std::string_view bytes;
};

// Those of the program.
std::vector<WebAsset> web_assets();

class WebPages {
  public:
    explicit WebPages(const std::vector<WebAsset>& assets);
    ~WebPages();
    WebPages(const WebPages&) = delete;
    WebPages& operator=(const WebPages&) = delete;

    // The routes keep it by reference.
    void add_routes(HttpRoutes& routes);

  private:
    struct Page;

    static HttpResponse answer(Page& page, const HttpRequest& request);

    std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace stepdb
