#include "server/influx/access.h"

#include <optional>
#include <utility>

#include "server/auth/credential.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"
#include "server/http/parameters.h"
#include "storage/timestamp.h"

namespace sluice::http {

absl::StatusOr<auth::Principal> Identify(const auth::Authority& authority,
                                         const RequestHead& head) {
  return authority.Identify(auth::TokenIn(head.HeaderNamed("Authorization")), storage::NowNs());
}

absl::StatusOr<auth::Principal> IdentifyByHeaderOrQuery(const auth::Authority& authority,
                                                        const RequestHead& head) {
  std::optional<std::string> token = auth::TokenIn(head.HeaderNamed("Authorization"));
  if (!token) token = FirstValue(QueryOf(head.target), "p");
  return authority.Identify(token, storage::NowNs());
}

void AddAdminRoute(Router& router, const server::Parts& parts, const std::string& method,
                   const std::string& path, AdminAct act) {
  router.Add(method, path, [&parts, act = std::move(act)](const RequestHead& head) -> Beginning {
    absl::StatusOr<auth::Principal> principal = Identify(parts.authority, head);
    absl::Status may = principal.ok() ? principal->MayAdminister() : principal.status();
    if (!may.ok()) return ToResponse(may);
    return Deferred{
        .workers = &parts.write_workers,
        .answer = [act, query = std::string(QueryOf(head.target))](
                      std::string_view body) { return act(query, body); },
        .max_body_bytes = kMaxJsonBytes,
    };
  });
}

}  // namespace sluice::http
