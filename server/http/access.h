#ifndef SLUICE_SERVER_HTTP_ACCESS_H_
#define SLUICE_SERVER_HTTP_ACCESS_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/auth/authority.h"
#include "server/http/message.h"

namespace sluice::http {

// Who makes a request, by its Authorization header, or where that gives no token by
// `token_otherwise`, unless it is empty (contract section 3). Unauthenticated as
// Authority::Identify.
absl::StatusOr<auth::Principal> Identify(const auth::Authority& authority, const RequestHead& head,
                                         std::string_view token_otherwise = "");

// What an admin asks for: the query of the request's target, and its body.
using AdminAct = std::function<Response(std::string_view query, std::string_view body)>;

// A handler that lets admins only (contract W-72) do `act`, on a worker. The references must
// outlive it.
Handler ForAdmins(const auth::Authority& authority, server::Workers& workers, AdminAct act);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_ACCESS_H_
