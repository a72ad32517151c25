#ifndef SLUICE_SERVER_INFLUX_DATABASE_ROUTE_H_
#define SLUICE_SERVER_INFLUX_DATABASE_ROUTE_H_

#include "server/gate/parts.h"
#include "server/http/router.h"

namespace sluice::influx {

// Adds /api/v3/configure/database as InfluxDB 3 has it, for admins: GET lists the databases, POST
// creates one, PUT changes one, DELETE drops one. README.md in this folder shows the bodies.
// `parts` must outlive the router.
void AddDatabaseRoutes(http::Router& router, const server::Parts& parts);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_DATABASE_ROUTE_H_
