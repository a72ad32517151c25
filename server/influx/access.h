#ifndef SLUICE_SERVER_INFLUX_ACCESS_H_
#define SLUICE_SERVER_INFLUX_ACCESS_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/auth/authority.h"
#include "server/http/message.h"
#include "server/http/router.h"
#include "server/parts.h"

namespace sluice::http {

// Who makes a request, by its Authorization header. Unauthenticated as Authority::Identify.
absl::StatusOr<auth::Principal> Identify(const auth::Authority& authority, const RequestHead& head);

// As above, and where the header gives no token by the parameter `p` of the query, whatever is
// wrong with the rest of that (contract section 3).
absl::StatusOr<auth::Principal> IdentifyByHeaderOrQuery(const auth::Authority& authority,
                                                        const RequestHead& head);

// What an admin asks for: the query of the request's target, and its body.
using AdminAct = std::function<Response(std::string_view query, std::string_view body)>;

// Adds a route that lets admins only (contract W-72) do `act`, on a worker. `parts` must outlive
// the router.
void AddAdminRoute(Router& router, const server::Parts& parts, const std::string& method,
                   const std::string& path, AdminAct act);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_INFLUX_ACCESS_H_
