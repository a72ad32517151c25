#include "server/influx/observed.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "server/http/parameters.h"
#include "server/influx/access.h"
#include "server/influx/error_response.h"
#include "server/influx/health_route.h"
#include "server/influx/json_body.h"
#include "server/observability/requests.h"

namespace sluice::influx {

using http::Beginning;
using http::Deferred;
using http::RequestHead;
using http::Respond;
using http::Response;
using observability::Ending;
using observability::Request;

namespace {

constexpr char kRequestId[] = "X-Request-Id";
constexpr size_t kMaxShown = 1000;

Ending::Kind KindOf(int status) {
  switch (status) {
    case 401:
    case 403:
    case 413:
    case 503:
      return Ending::Kind::kRefused;
    default:
      return status >= 500   ? Ending::Kind::kFailed
             : status >= 400 ? Ending::Kind::kMistake
                             : Ending::Kind::kDone;
  }
}

// The rest of a long answer, whose end is that of the request.
class WatchedBody : public http::BodySource {
 public:
  WatchedBody(std::unique_ptr<http::BodySource> body, std::shared_ptr<Request> request,
              Ending ending)
      : body_(std::move(body)), request_(std::move(request)), ending_(std::move(ending)) {}

  absl::StatusOr<std::string> Next() override {
    absl::StatusOr<std::string> next = body_->Next();
    if (!next.ok()) {
      ending_.kind = KindOf(HttpStatusOf(next.status().code()));
      ending_.code = "reset";
      ending_.message = std::string(next.status().message());
      request_->End(ending_);
    } else if (next->empty()) {
      request_->End(ending_);
    }
    return next;
  }

 private:
  const std::unique_ptr<http::BodySource> body_;
  const std::shared_ptr<Request> request_;
  Ending ending_;
};

// Notes what became of the request.
Response Note(std::shared_ptr<Request> request, absl::StatusOr<Response> answered) {
  Response response = answered.ok() ? *std::move(answered) : ToResponse(answered.status());
  Ending ending = {.kind = KindOf(response.status),
                   .code = std::to_string(response.status),
                   .reason = response.reason};
  if (response.status >= 400) {
    for (const auto& [name, value] : response.headers) {
      if (name == "X-Influxdb-Error") ending.message = value;
    }
    response.headers.emplace_back(kRequestId, request->id());
  }
  if (response.rest != nullptr) {
    response.rest = std::make_unique<WatchedBody>(std::move(response.rest), std::move(request),
                                                  std::move(ending));
  } else {
    request->End(ending);
  }
  return response;
}

Beginning Watch(std::shared_ptr<Request> request, Beginning beginning) {
  if (auto* response = std::get_if<Response>(&beginning)) {
    return Note(std::move(request), std::move(*response));
  }
  Deferred& deferred = std::get<Deferred>(beginning);
  deferred.answer = [request, answer = std::move(deferred.answer)](std::string_view body,
                                                                   Respond respond) mutable {
    answer(body,
           [request, respond = std::move(respond)](absl::StatusOr<Response> answered) mutable {
             respond(Note(std::move(request), std::move(answered)));
           });
  };
  deferred.refuse = [request,
                     refuse = std::move(deferred.refuse)](const absl::Status& status) mutable {
    return Note(request, refuse ? refuse(status) : ToResponse(status));
  };
  return beginning;
}

}  // namespace

http::Handler Observed(const server::Parts& parts, const http::Router& router) {
  // Looked up once: for each request that would cost more than to count it.
  struct Route {
    observability::RequestMetrics* metrics;
    bool audited;
    // Whether what it says is the server's condition: then a 503 refuses nobody anything.
    bool probes;
  };
  observability::Metrics& metrics = parts.metrics;
  absl::flat_hash_map<const http::Handler*, Route> routes;
  router.Each([&](const std::string& method, const std::string& path, const auto& handler) {
    const bool manages =
        path.starts_with("/api/v3/configure/") || path.starts_with("/api/v3/enterprise/configure/");
    routes[&handler] = {&metrics.HttpRoute(method, path), manages && method != "GET",
                        path == kReadyPath};
  });
  // What is no route may be called anything.
  const Route other = {&metrics.HttpRoute("other", "other"), false, false};
  return
      [&parts, &router, routes = std::move(routes), other](const RequestHead& head) -> Beginning {
        const std::string path = http::PathOf(head.target);
        const http::Handler* const handler = router.Find(head.method, path);
        const Route route = handler == nullptr ? other : routes.find(handler)->second;
        RequestHead seen = head;
        seen.request =
            parts.requests.Begin(*route.metrics, {.door = "http",
                                                  .method = std::string(head.method) + " " + path,
                                                  .peer = std::string(head.peer),
                                                  .request_id = head.HeaderNamed(kRequestId),
                                                  .traceparent = head.HeaderNamed("traceparent"),
                                                  .audited = route.audited});
        Beginning beginning = handler == nullptr ? router.Begin(seen) : (*handler)(seen);
        const auto* const answer = std::get_if<Response>(&beginning);
        if (route.probes && answer != nullptr) {
          seen.request->End({.kind = Ending::Kind::kDone, .code = std::to_string(answer->status)});
        }
        return Watch(seen.request, std::move(beginning));
      };
}

void AddDebugRoutes(http::Router& router, const server::Parts& parts) {
  router.Add("GET", "/debug/requests", [&parts](const RequestHead& head) -> Beginning {
    // Also while the server stops, which is when one wants to know.
    const absl::StatusOr<auth::Principal> principal = parts.gate.Identify(CredentialIn(head));
    if (!principal.ok()) return ToResponse(principal.status());
    const absl::Status may = principal->MayAdminister();
    if (!may.ok()) return ToResponse(may);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const observability::Requests::Seen& seen : parts.requests.List(kMaxShown)) {
      list.push_back({{"request_id", seen.id},
                      {"door", seen.door},
                      {"method", seen.method},
                      {"peer", seen.peer},
                      {"principal", seen.principal},
                      {"database", seen.database},
                      {"traceparent", seen.traceparent},
                      {"seconds", seen.seconds}});
    }
    return JsonResponse(200, {{"requests", std::move(list)}});
  });
}

}  // namespace sluice::influx
