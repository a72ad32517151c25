#include "server/http/cors.h"

#include <algorithm>
#include <utility>

#include "server/influx/error_response.h"

namespace sluice::http {
namespace {

// How long a browser may remember the answer to OPTIONS.
constexpr char kMaxAgeSeconds[] = "7200";

void Allow(const std::string& origin, Response& response) {
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Expose-Headers",
                                "X-Influxdb-Error, X-Influxdb-Version, Retry-After");
  response.headers.emplace_back("Vary", "Origin");
}

Response Preflight(const std::string& origin) {
  Response response;
  Allow(origin, response);
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                "Authorization, Content-Type, Content-Encoding, User-Agent");
  response.headers.emplace_back("Access-Control-Max-Age", kMaxAgeSeconds);
  return response;
}

Beginning Allowing(const std::string& origin, Beginning beginning) {
  if (auto* response = std::get_if<Response>(&beginning)) {
    Allow(origin, *response);
    return beginning;
  }
  Deferred& deferred = std::get<Deferred>(beginning);
  auto allowing = [&origin](auto make) {
    return [origin, make = std::move(make)](const auto& from) {
      Response response = make(from);
      Allow(origin, response);
      return response;
    };
  };
  if (!deferred.refuse) deferred.refuse = ToResponse;
  deferred.answer = allowing(std::move(deferred.answer));
  deferred.refuse = allowing(std::move(deferred.refuse));
  return beginning;
}

}  // namespace

Handler WithCors(std::vector<std::string> origins, Handler handler) {
  if (origins.empty()) return handler;
  const bool all = std::find(origins.begin(), origins.end(), "*") != origins.end();
  return [origins = std::move(origins), all,
          handler = std::move(handler)](const RequestHead& head) -> Beginning {
    std::string origin(head.HeaderNamed("Origin"));
    bool allowed = !origin.empty() &&
                   (all || std::find(origins.begin(), origins.end(), origin) != origins.end());
    if (!allowed) return handler(head);
    if (head.method == "OPTIONS") return Preflight(origin);
    return Allowing(origin, handler(head));
  };
}

}  // namespace sluice::http
