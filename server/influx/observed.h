#ifndef SLUICE_SERVER_INFLUX_OBSERVED_H_
#define SLUICE_SERVER_INFLUX_OBSERVED_H_

#include "server/gate/parts.h"
#include "server/http/message.h"
#include "server/http/router.h"

namespace sluice::influx {

// What `router` answers, which has all its routes by then, each request of it counted, seen as long
// as it lasts, and logged where there is something to be said (server/observability/requests.h).
// Answers that are errors tell the request's id in the header X-Request-Id. Both must outlive the
// handler.
http::Handler Observed(const server::Parts& parts, const http::Router& router);

// Adds GET /debug/requests: what is under way, for admins.
void AddDebugRoutes(http::Router& router, const server::Parts& parts);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_OBSERVED_H_
