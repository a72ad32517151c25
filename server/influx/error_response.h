#ifndef SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_
#define SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "absl/status/status.h"
#include "server/http/message.h"

namespace sluice::http {

// The HTTP status for a canonical code: the switch of contract section 1.
int HttpStatusOf(absl::StatusCode code);

// A response with `body` and the headers of contract W-25; `message` is what the header tells. The
// answer to a 5xx tells it a second time, under the name that Telegraf reads.
Response ErrorResponse(int status, std::string_view message, const nlohmann::ordered_json& body);

// {"code":…,"message":…} for a failed request.
Response ToResponse(const absl::Status& status);

// 400, for what is wrong with the request itself (W-4).
Response BadRequest(std::string_view message);
// 404 for a path that is no route, 405 with `allow` for a route without the method (W-10).
Response NoSuchRoute();
Response WrongMethod(std::string_view allow);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_INFLUX_ERROR_RESPONSE_H_
