#include "server/influx/error_response.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "server/influx/json_body.h"
#include "server/ingest/outcome.h"
#include "storage/reason.h"

namespace sluice::influx {

using http::Response;
namespace {

constexpr size_t kMaxHeaderBytes = 1024;
constexpr std::string_view kRetryAfterSeconds = "1";

// The word in "code", as InfluxDB has them.
std::string_view CodeWord(int status) {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
      return "not found";
    case 405:
      return "method not allowed";
    case 409:
      return "conflict";
    case 413:
      return "request too large";
    case 500:
      return "internal error";
    case 503:
      return "unavailable";
    default:
      return "invalid";
  }
}

// The first line, short enough, and without what a header may not hold.
std::string HeaderText(std::string_view message) {
  std::string text(message.substr(0, std::min(message.find('\n'), kMaxHeaderBytes)));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

Response Plain(int status, std::string_view text) {
  const std::string message = ingest::Disarm(std::string(text));
  return ErrorResponse(status, message, {{"code", CodeWord(status)}, {"message", message}});
}

}  // namespace

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return 400;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return 401;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 413;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
      return 503;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
    default:
      return 500;
  }
}

Response ErrorResponse(int status, std::string_view message, const nlohmann::ordered_json& body) {
  const std::string told = HeaderText(message);
  Response response = JsonResponse(status, body);
  response.headers.emplace_back("X-Influxdb-Error", told);
  if (status >= 500) response.headers.emplace_back("X-Influx-Error", told);
  if (status == 503) response.headers.emplace_back("Retry-After", kRetryAfterSeconds);
  return response;
}

Response ToResponse(const absl::Status& status) {
  const int http_status = HttpStatusOf(status.code());
  // Who may not is told no more than who is not known (W-5).
  Response response = Plain(
      http_status, http_status == 401 ? "unauthorized access" : std::string(status.message()));
  if (std::optional<storage::Reason> reason = storage::ReasonOf(status)) {
    response.reason = std::move(reason->name);
  }
  return response;
}

Response BadRequest(std::string_view message) { return Plain(400, message); }

Response NoSuchRoute() { return Plain(404, "not found"); }

Response WrongMethod(std::string_view allow) {
  Response response = Plain(405, fmt::format("method not allowed; allowed: {}", allow));
  response.headers.emplace_back("Allow", std::string(allow));
  return response;
}

}  // namespace sluice::influx
