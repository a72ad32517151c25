#include "server/influx/token_route.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "server/http/parameters.h"
#include "server/influx/access.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"
#include "storage/timestamp.h"

namespace sluice::influx {

using http::Parameters;
using http::Response;
using http::Router;
namespace {

constexpr char kPath[] = "/api/v3/configure/token";
constexpr int64_t kNsPerSecond = 1'000'000'000;

// The strings of an array; nothing where the key holds something else.
std::optional<std::vector<std::string>> Texts(const nlohmann::json& json, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || !found->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const auto& item : *found) {
    if (!item.is_string()) return std::nullopt;
    texts.push_back(item);
  }
  return texts;
}

absl::Status BadPermission() {
  return absl::InvalidArgumentError(
      "a permission is {\"resource_type\":\"db\",\"resource_names\":[names of databases, or "
      "\"*\"],\"actions\":[\"read\" and \"write\", or one of them]}");
}

absl::Status AddGrants(const nlohmann::json& permission, std::vector<storage::Grant>& grants) {
  if (!permission.is_object() || permission.value("resource_type", nlohmann::json()) != "db") {
    return BadPermission();
  }
  auto databases = Texts(permission, "resource_names");
  auto actions = Texts(permission, "actions");
  if (!databases || !actions) return BadPermission();
  storage::Grant grant;
  for (const std::string& action : *actions) {
    if (action != "read" && action != "write") return BadPermission();
    (action == "read" ? grant.read : grant.write) = true;
  }
  for (const std::string& database : *databases) {
    grant.database = database;
    grants.push_back(grant);
  }
  return absl::OkStatus();
}

// `expiry_secs` counts from now.
absl::Status ReadExpiry(const JsonBody& body, int64_t now_ns, std::optional<int64_t>& expiry_ns) {
  auto seconds = body.Number("expiry_secs");
  if (!seconds.ok() || !*seconds) return seconds.status();
  int64_t expiry = 0;
  if (**seconds > static_cast<uint64_t>(INT64_MAX) ||
      __builtin_mul_overflow(static_cast<int64_t>(**seconds), kNsPerSecond, &expiry) ||
      __builtin_add_overflow(expiry, now_ns, &expiry)) {
    return absl::InvalidArgumentError("'expiry_secs' is too far ahead");
  }
  expiry_ns = expiry;
  return absl::OkStatus();
}

absl::StatusOr<auth::NewToken> ParseToken(std::string_view text, bool admin, int64_t now_ns) {
  auto body = JsonBody::Parse(text, R"({"token_name":"NAME","expiry_secs":86400})");
  if (!body.ok()) return body.status();
  auto name = body->Text("token_name");
  if (!name.ok()) return name.status();
  auth::NewToken token = {.name = name->value_or(""), .admin = admin};
  absl::Status read = ReadExpiry(*body, now_ns, token.expiry_ns);
  if (!read.ok()) return read;
  if (admin) return token;
  auto permissions = body->json().find("permissions");
  if (permissions == body->json().end() || !permissions->is_array()) return BadPermission();
  for (const auto& permission : *permissions) {
    absl::Status added = AddGrants(permission, token.grants);
    if (!added.ok()) return added;
  }
  return token;
}

nlohmann::ordered_json TimeOrNull(std::optional<int64_t> time_ns) {
  if (!time_ns) return nullptr;
  return storage::FormatTimestamp(*time_ns);
}

Response Create(auth::Authority& authority, const AdminCall& call,
                const absl::StatusOr<auth::NewToken>& token, int64_t now_ns) {
  if (!token.ok()) return ToResponse(token.status());
  call.IsAbout(token->name);
  auto created = authority.Create(*token, now_ns);
  if (!created.ok()) return ToResponse(created.status());
  const storage::TokenRecord& record = created->record;
  std::string hash(record.hash.begin(), record.hash.end());
  return JsonResponse(201, {{"name", record.name},
                            {"token", created->text},
                            {"hash", absl::BytesToHexString(hash)},
                            {"created_at", TimeOrNull(record.create_time_ns)},
                            {"expiry", TimeOrNull(record.expiry_ns)}});
}

Response Delete(auth::Authority& authority, const AdminCall& call) {
  auto parameters = Parameters::Parse(call.query);
  if (!parameters.ok()) return ToResponse(parameters.status());
  std::string name(parameters->Get("token_name"));
  if (name.empty()) return BadRequest("the query parameter 'token_name' is missing");
  call.IsAbout(name);
  absl::Status deleted = authority.Delete(name);
  if (!deleted.ok()) return ToResponse(deleted);
  Response response;
  response.status = 200;
  return response;
}

}  // namespace

void AddTokenRoutes(Router& router, const server::Parts& parts) {
  auth::Authority& authority = parts.authority;
  auto create = [&authority](bool admin) {
    return [&authority, admin](const AdminCall& call) {
      int64_t now_ns = storage::NowNs();
      return Create(authority, call, ParseToken(call.body, admin, now_ns), now_ns);
    };
  };
  AddAdminRoute(router, parts, "POST", "/api/v3/enterprise/configure/token", create(false));
  AddAdminRoute(router, parts, "POST", fmt::format("{}/named_admin", kPath), create(true));
  AddAdminRoute(router, parts, "POST", fmt::format("{}/admin", kPath),
                [&authority](const AdminCall& call) {
                  auth::NewToken first = {.name = auth::kFirstAdminName, .admin = true};
                  return Create(authority, call, first, storage::NowNs());
                });
  AddAdminRoute(router, parts, "DELETE", kPath,
                [&authority](const AdminCall& call) { return Delete(authority, call); });
}

}  // namespace sluice::influx
