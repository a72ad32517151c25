#ifndef SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_
#define SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_

#include "server/http/router.h"
#include "storage/store.h"

namespace sluice::http {

// Adds POST /api/v3/configure/database, which creates a database: {"db": name} with an optional
// "retention_period" (storage/retention.h). 200 when it is there, 409 when it was there before.
// `store` and `workers` must outlive the router.
void AddDatabaseRoutes(Router& router, storage::Store& store, server::Workers& workers);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_DATABASE_ROUTE_H_
