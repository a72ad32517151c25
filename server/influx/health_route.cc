#include "server/influx/health_route.h"

#include <nlohmann/json.hpp>
#include <string>

#include "server/http/parameters.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"

namespace sluice::influx {

using http::Beginning;
using http::PathOf;
using http::RequestHead;
using http::Response;
using http::Router;
namespace {

Response Ping(std::string_view version) {
  Response response;
  response.headers = {{"X-Influxdb-Version", std::string(version)}, {"X-Influxdb-Build", "Sluice"}};
  return response;
}

Response Health(std::string_view version) {
  return JsonResponse(200, {{"name", "sluice"}, {"status", "pass"}, {"version", version}});
}

// The services have the names that gRPC's health check knows (contract W-94).
Response Ready(const server::Readiness& readiness, const RequestHead& head) {
  const std::string service = http::FirstValue(http::QueryOf(head.target), "service");
  const bool writes = service.empty() || service == "sluice.v1.WriteService";
  if (!writes && service != "sluice.v1.QueryService") {
    return ToResponse(
        absl::NotFoundError("'service' is neither sluice.v1.WriteService nor "
                            "sluice.v1.QueryService; without it the former is meant"));
  }
  const absl::Status ready = writes ? readiness.Check() : readiness.CheckServing();
  if (!ready.ok()) return ToResponse(ready);
  return JsonResponse(200, {{"status", "ready"}});
}

}  // namespace

void AddHealthRoutes(Router& router, const server::Parts& parts, std::string_view version) {
  auto add = [&](const char* path, auto answer) {
    for (const char* method : {"GET", "HEAD"}) {
      router.Add(method, path,
                 [answer](const RequestHead& head) { return Beginning(answer(head)); });
    }
  };
  add("/ping", [version = std::string(version)](const auto&) { return Ping(version); });
  add("/health", [version = std::string(version)](const auto&) { return Health(version); });
  add(kReadyPath, [&parts](const RequestHead& head) { return Ready(parts.readiness, head); });
}

void AddMetricsRoute(Router& router, const server::Parts& parts) {
  for (const char* method : {"GET", "HEAD"}) {
    router.Add(method, "/metrics", [&parts](const RequestHead&) {
      Response response;
      response.status = 200;
      response.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
      response.body = parts.metrics.Render();
      return Beginning(std::move(response));
    });
  }
}

Beginning AnswerWhileStarting(const RequestHead& head, std::string_view version) {
  std::string path = PathOf(head.target);
  if (path == "/ping") return Ping(version);
  if (path == "/health") return Health(version);
  return ToResponse(absl::UnavailableError("the server is starting"));
}

}  // namespace sluice::influx
