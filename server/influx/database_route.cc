#include "server/influx/database_route.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "server/http/parameters.h"
#include "server/influx/access.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"
#include "server/influx/result_format.h"
#include "storage/retention.h"

namespace sluice::influx {

using http::Parameters;
using http::Response;
using http::Router;
namespace {

constexpr char kPath[] = "/api/v3/configure/database";

// The name of a database and what a body says of it. As in InfluxDB 3, a body without a retention
// period sets none; limits that it leaves out stay as they are.
struct Configuration {
  storage::DatabaseName name;
  std::optional<int64_t> retention_ns = std::nullopt;
  std::optional<uint32_t> max_tables = std::nullopt;
  std::optional<uint32_t> max_columns = std::nullopt;

  void ApplyTo(storage::DatabaseSettings& settings) const {
    settings.retention_ns = retention_ns;
    if (max_tables) settings.max_tables = max_tables;
    if (max_columns) settings.max_columns = max_columns;
  }
};

absl::Status ReadLimit(const JsonBody& body, const char* key, absl::Status (*check)(uint64_t),
                       std::optional<uint32_t>& limit) {
  auto number = body.Number(key);
  if (!number.ok() || !*number) return number.status();
  absl::Status checked = check(**number);
  if (checked.ok()) limit = static_cast<uint32_t>(**number);
  return checked;
}

absl::StatusOr<Configuration> ParseConfiguration(std::string_view text) {
  auto body = JsonBody::Parse(text, R"({"db":"NAME","retention_period":"30d"})");
  if (!body.ok()) return body.status();
  auto db = body->Text("db");
  if (!db.ok()) return db.status();
  auto name = storage::DatabaseName::Parse(db->value_or(""));
  if (!name.ok()) return name.status();
  Configuration configuration{*std::move(name)};
  auto retention = body->Text("retention_period");
  if (!retention.ok()) return retention.status();
  if (*retention) {
    auto parsed = storage::ParseRetention(**retention);
    if (!parsed.ok()) return parsed.status();
    configuration.retention_ns = *parsed;
  }
  absl::Status limits =
      ReadLimit(*body, "max_tables", storage::CheckTableLimit, configuration.max_tables);
  if (limits.ok()) {
    limits = ReadLimit(*body, "max_columns", storage::CheckColumnLimit, configuration.max_columns);
  }
  if (!limits.ok()) return limits;
  return configuration;
}

// What is set now, so that a key that was mistyped shows.
Response Show(const storage::DatabaseRecord& record) {
  const storage::DatabaseSettings& settings = record.settings;
  nlohmann::ordered_json body = {{"db", record.name},
                                 {"retention_period", nullptr},
                                 {"max_tables", nullptr},
                                 {"max_columns", nullptr}};
  if (settings.retention_ns) {
    body["retention_period"] = fmt::format("{}s", *settings.retention_ns / 1'000'000'000);
  }
  if (settings.max_tables) body["max_tables"] = *settings.max_tables;
  if (settings.max_columns) body["max_columns"] = *settings.max_columns;
  return JsonResponse(200, body);
}

Response Create(storage::Store& store, const AdminCall& call) {
  auto configuration = ParseConfiguration(call.body);
  if (!configuration.ok()) return ToResponse(configuration.status());
  call.IsAbout(configuration->name.text());
  storage::DatabaseSettings settings;
  configuration->ApplyTo(settings);
  auto created = store.CreateDatabase(configuration->name, settings);
  if (!created.ok()) return ToResponse(created.status());
  return Show(*created);
}

Response Update(storage::Store& store, const AdminCall& call) {
  auto configuration = ParseConfiguration(call.body);
  if (!configuration.ok()) return ToResponse(configuration.status());
  call.IsAbout(configuration->name.text());
  auto updated = store.UpdateDatabase(
      configuration->name,
      [&](storage::DatabaseSettings& settings) { configuration->ApplyTo(settings); });
  if (!updated.ok()) return ToResponse(updated.status());
  return Show(*updated);
}

Response List(const storage::Store& store, const AdminCall& call) {
  auto parameters = Parameters::Parse(call.query);
  if (!parameters.ok()) return ToResponse(parameters.status());
  auto format = ResultFormat::Create(parameters->Get("format"));
  if (!format.ok()) return ToResponse(format.status());
  auto databases = store.ListDatabases();
  if (!databases.ok()) return ToResponse(databases.status());
  Response response;
  response.status = 200;
  response.headers = {{"Content-Type", std::string((*format)->content_type())}};
  (*format)->PutColumns({{"iox::database", "string"}}, response.body);
  for (const storage::DatabaseRecord& record : *databases) {
    (*format)->PutRow({std::string_view(record.name)}, response.body);
  }
  (*format)->PutEnd(response.body);
  return response;
}

Response Drop(storage::Store& store, const AdminCall& call) {
  auto parameters = Parameters::Parse(call.query);
  if (!parameters.ok()) return ToResponse(parameters.status());
  auto name = storage::DatabaseName::Parse(parameters->Get("db"));
  if (!name.ok()) return ToResponse(name.status());
  call.IsAbout(name->text());
  absl::Status dropped = store.DropDatabase(*name);
  if (!dropped.ok()) return ToResponse(dropped);
  Response response;
  response.status = 200;
  return response;
}

}  // namespace

void AddDatabaseRoutes(Router& router, const server::Parts& parts) {
  storage::Store& store = parts.store;
  AddAdminRoute(router, parts, "GET", kPath,
                [&store](const AdminCall& call) { return List(store, call); });
  AddAdminRoute(router, parts, "POST", kPath,
                [&store](const AdminCall& call) { return Create(store, call); });
  AddAdminRoute(router, parts, "PUT", kPath,
                [&store](const AdminCall& call) { return Update(store, call); });
  AddAdminRoute(router, parts, "DELETE", kPath,
                [&store](const AdminCall& call) { return Drop(store, call); });
}

}  // namespace sluice::influx
