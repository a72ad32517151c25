#include "server/http/database_route.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "server/http/error_response.h"
#include "storage/retention.h"

namespace sluice::http {
namespace {

Response Create(storage::Store& store, std::string_view body) {
  nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("db") || !json["db"].is_string()) {
    return BadRequest(
        "the body is not a JSON object with the name of the new database: "
        "{\"db\":\"NAME\"}");
  }
  auto name = storage::DatabaseName::Parse(json["db"].get<std::string>());
  if (!name.ok()) return ToResponse(name.status());
  std::optional<int64_t> retention_ns;
  if (json.contains("retention_period") && !json["retention_period"].is_null()) {
    if (!json["retention_period"].is_string())
      return BadRequest("'retention_period' is not a string");
    auto retention = storage::ParseRetention(json["retention_period"].get<std::string>());
    if (!retention.ok()) return ToResponse(retention.status());
    retention_ns = *retention;
  }
  auto created = store.CreateDatabase(*name, retention_ns);
  if (!created.ok()) return ToResponse(created.status());
  Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = nlohmann::json{{"db", created->name}}.dump();
  return response;
}

}  // namespace

void AddDatabaseRoutes(Router& router, storage::Store& store, server::Workers& workers) {
  router.Add("POST", "/api/v3/configure/database", [&store, &workers](const RequestHead&) {
    return Deferred{&workers, [&store](std::string_view body) { return Create(store, body); }};
  });
}

}  // namespace sluice::http
