#ifndef SLUICE_SERVER_HTTP_HEALTH_ROUTE_H_
#define SLUICE_SERVER_HTTP_HEALTH_ROUTE_H_

#include <string_view>

#include "server/http/router.h"

namespace sluice::http {

// Adds GET and HEAD /ping and /health (contract W-40).
void AddHealthRoutes(Router& router, std::string_view version);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_HEALTH_ROUTE_H_
