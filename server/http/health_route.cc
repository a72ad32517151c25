#include "server/http/health_route.h"

#include <fmt/format.h>

#include <string>

namespace sluice::http {

void AddHealthRoutes(Router& router, std::string_view version) {
  auto ping = [version = std::string(version)](const RequestHead&) {
    Response response;
    response.headers = {{"X-Influxdb-Version", version}, {"X-Influxdb-Build", "Sluice"}};
    return Beginning(std::move(response));
  };
  router.Add("GET", "/ping", ping);
  router.Add("HEAD", "/ping", ping);
  auto health = [version = std::string(version)](const RequestHead&) {
    Response response;
    response.status = 200;
    response.headers = {{"Content-Type", "application/json"}};
    response.body = fmt::format(R"({{"name":"sluice","status":"pass","version":"{}"}})", version);
    return Beginning(std::move(response));
  };
  router.Add("GET", "/health", health);
  router.Add("HEAD", "/health", health);
}

}  // namespace sluice::http
