#ifndef SLUICE_SERVER_INFLUX_ACCESS_H_
#define SLUICE_SERVER_INFLUX_ACCESS_H_

#include <functional>
#include <string>
#include <string_view>

#include "server/auth/credential.h"
#include "server/gate/parts.h"
#include "server/http/message.h"
#include "server/http/router.h"
#include "server/observability/requests.h"

namespace sluice::influx {

// The token of the header Authorization, and without one the names in the client's certificate.
auth::Credential CredentialIn(const http::RequestHead& head);

// As above, and where the header gives no token that of the parameter `p` of the query, whatever is
// wrong with the rest of that (contract section 3).
auth::Credential CredentialInHeaderOrQuery(const http::RequestHead& head);

// What an admin asks for.
struct AdminCall {
  // Of the request's target.
  std::string_view query;
  std::string_view body;
  // Null where nobody watches.
  observability::Request* request = nullptr;

  // Says for the audit log what it is about, such as a database.
  void IsAbout(std::string_view name) const;
};
using AdminAct = std::function<http::Response(const AdminCall& call)>;

// Adds a route that lets admins only (contract W-72) do `act`, on a worker. `parts` must outlive
// the router.
void AddAdminRoute(http::Router& router, const server::Parts& parts, const std::string& method,
                   const std::string& path, AdminAct act);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_ACCESS_H_
