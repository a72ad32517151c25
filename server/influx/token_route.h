#ifndef SLUICE_SERVER_INFLUX_TOKEN_ROUTE_H_
#define SLUICE_SERVER_INFLUX_TOKEN_ROUTE_H_

#include "server/gate/parts.h"
#include "server/http/router.h"

namespace sluice::influx {

// Adds the routes by which InfluxDB 3 manages tokens, for admins: POST to
// /api/v3/configure/token/admin and /named_admin creates one for admin, POST to
// /api/v3/enterprise/configure/token one for databases, DELETE of /api/v3/configure/token deletes
// one. README.md in this folder shows the bodies. `parts` must outlive the router.
void AddTokenRoutes(http::Router& router, const server::Parts& parts);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_TOKEN_ROUTE_H_
