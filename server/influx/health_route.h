#ifndef SLUICE_SERVER_INFLUX_HEALTH_ROUTE_H_
#define SLUICE_SERVER_INFLUX_HEALTH_ROUTE_H_

#include <string_view>

#include "server/gate/parts.h"
#include "server/http/router.h"

namespace sluice::influx {

inline constexpr char kReadyPath[] = "/ready";

// Adds GET and HEAD for /ping and /health, which answer as long as the server lives; for /ready,
// 503 and why while it takes no writes (contract W-40), or with ?service=sluice.v1.QueryService no
// queries. All without a credential. `parts` must outlive the router.
void AddHealthRoutes(http::Router& router, const server::Parts& parts, std::string_view version);
// Adds /metrics, for Prometheus, without a credential as well.
void AddMetricsRoute(http::Router& router, const server::Parts& parts);

// What a server that is still starting answers: /ping and /health as above, 503 to all else.
http::Beginning AnswerWhileStarting(const http::RequestHead& head, std::string_view version);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_HEALTH_ROUTE_H_
