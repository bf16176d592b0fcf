#include "net/status_pages.h"

#include <memory>

#include "net/http_access.h"
#include "net/prometheus_text.h"

namespace stepdb {

namespace {

// Asks the engine on its side, then goes on with the answer on the net side.
template <typename Answer>
void ask_engine(const StatusSources& sources, std::function<Answer(Engine&)> ask,
                std::function<void(Answer)> then) {
    sources.engine_side.post([&sources, ask = std::move(ask), then = std::move(then)]() mutable {
        auto answer = std::make_shared<Answer>(ask(sources.engine));
        sources.net_side.post([answer, then = std::move(then)] { then(std::move(*answer)); });
    });
}

// The engine's part, and what goes with it.
ServerFigures figures_of(Engine& engine) {
    ServerFigures figures;
    figures.engine = engine.quick_stats();
    figures.is_read_only = engine.read_only_reason().has_value();
    figures.damages = engine.recovery().damage.size() + engine.recovery().damaged_segments.size();
    return figures;
}

void answer_metrics(const StatusSources& sources, const HttpRequest& request, HttpAnswer answer) {
    if (auto refusal = refuse_http(sources.access, request, Right::kMetrics, "see metrics")) {
        return answer(*std::move(refusal));
    }
    std::function<void(ServerFigures)> finish = [&sources,
                                                 answer = std::move(answer)](ServerFigures got) {
        got.version = sources.version;
        got.queries = sources.queries.figures();
        got.net = sources.net_figures();
        got.process = read_process_figures(sources.directory);
        HttpResponse response(200, encode_metrics(got));
        response.type = PrometheusText::kContentType;
        answer(std::move(response));
    };
    ask_engine<ServerFigures>(sources, figures_of, std::move(finish));
}

// To everybody, so it does not say why: reasons name files.
void answer_readiness(const StatusSources& sources, HttpAnswer answer) {
    std::function<bool(Engine&)> takes_frames = [](Engine& engine) {
        return !engine.read_only_reason() && !engine.quick_stats().disk_full;
    };
    std::function<void(bool)> finish = [answer = std::move(answer)](bool is_ready) {
        answer(is_ready ? HttpResponse(200, "ready\n")
                        : HttpResponse(503,
                                       "not ready: queries are answered, but nothing is written; "
                                       "the server's log says why\n"));
    };
    ask_engine<bool>(sources, std::move(takes_frames), std::move(finish));
}

}  // namespace

std::optional<HttpResponse> refuse_http(Access* access, const HttpRequest& request, Right right,
                                        std::string_view what) {
    Admission admission;
    if (auto refusal = admit_http(access, request, admission)) {
        return refusal;
    }
    const Status allowed = check_store_right(admission.rights.get(), right, what);
    return allowed ? std::nullopt : std::optional(describe_http_error(allowed.error()));
}

void add_status_pages(HttpRoutes& routes, const StatusSources& sources) {
    routes.add("GET", "/healthz",
               [](const HttpRequest&, HttpAnswer answer) { answer(HttpResponse(200, "ok\n")); });
    routes.add("GET", "/readyz", [&sources](const HttpRequest&, HttpAnswer answer) {
        answer_readiness(sources, std::move(answer));
    });
    routes.add("GET", "/metrics", [&sources](const HttpRequest& request, HttpAnswer answer) {
        answer_metrics(sources, request, std::move(answer));
    });
}

}  // namespace stepdb
