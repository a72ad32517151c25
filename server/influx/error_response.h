#ifndef SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_
#define SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "absl/status/status.h"
#include "server/http/message.h"

namespace sluice::influx {

// The HTTP status for a canonical code: the switch of contract section 1.
int HttpStatusOf(absl::StatusCode code);

// A response with `body` and the headers of contract W-25; `message` is what the header tells. The
// answer to a 5xx tells it a second time, under the name that Telegraf reads.
http::Response ErrorResponse(int status, std::string_view message,
                             const nlohmann::ordered_json& body);

// {"code":…,"message":…} for a failed request.
http::Response ToResponse(const absl::Status& status);

// 400, for what is wrong with the request itself (W-4).
http::Response BadRequest(std::string_view message);
// 404 for a path that is no route, 405 with `allow` for a route without the method (W-10).
http::Response NoSuchRoute();
http::Response WrongMethod(std::string_view allow);

// All of these, for a server's and a router's own answers.
inline constexpr http::Errors kErrors = {ToResponse, NoSuchRoute, WrongMethod};

// What pages in browsers may read of the answers.
inline constexpr char kExposedHeaders[] =
    "X-Influxdb-Error, X-Influxdb-Version, X-Request-Id, Retry-After";

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_
