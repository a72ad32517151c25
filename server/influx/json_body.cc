#include "server/influx/json_body.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::influx {

using http::Response;

JsonBody::JsonBody(std::unique_ptr<nlohmann::json> json) : json_(std::move(json)) {}
JsonBody::~JsonBody() = default;
JsonBody::JsonBody(JsonBody&&) = default;

absl::StatusOr<JsonBody> JsonBody::Parse(std::string_view body, std::string_view example) {
  auto json = std::make_unique<nlohmann::json>(nlohmann::json::parse(body, nullptr, false));
  if (json->is_object()) return JsonBody(std::move(json));
  return absl::InvalidArgumentError(
      fmt::format("the body is not a JSON object such as {}", example));
}

absl::StatusOr<std::optional<std::string>> JsonBody::Text(const char* key) const {
  auto found = json_->find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  return absl::InvalidArgumentError(fmt::format("'{}' is not a string", key));
}

absl::StatusOr<std::optional<uint64_t>> JsonBody::Number(const char* key) const {
  auto found = json_->find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  if (found->is_number_unsigned()) return found->get<uint64_t>();
  return absl::InvalidArgumentError(fmt::format("'{}' is not a whole number from 0", key));
}

Response JsonResponse(int status, const nlohmann::ordered_json& body) {
  Response response;
  response.status = status;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

}  // namespace sluice::influx
