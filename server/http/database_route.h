#ifndef SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_
#define SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_

#include "server/auth/authority.h"
#include "server/http/router.h"
#include "storage/store.h"

namespace sluice::http {

// Adds /api/v3/configure/database as InfluxDB 3 has it, for admins: GET lists the databases, POST
// creates one, PUT changes one, DELETE drops one. README.md in this folder shows the bodies. All
// references must outlive the router.
void AddDatabaseRoutes(Router& router, storage::Store& store, const auth::Authority& authority,
                       server::Workers& workers);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_
