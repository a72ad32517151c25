#include "server/http/access.h"

#include <optional>
#include <utility>

#include "server/auth/credential.h"
#include "server/http/error_response.h"
#include "server/http/json_body.h"
#include "server/http/parameters.h"
#include "storage/timestamp.h"

namespace sluice::http {

absl::StatusOr<auth::Principal> Identify(const auth::Authority& authority, const RequestHead& head,
                                         std::string_view token_otherwise) {
  std::optional<std::string> token = auth::TokenIn(head.HeaderNamed("Authorization"));
  if (!token && !token_otherwise.empty()) token = token_otherwise;
  return authority.Identify(token, storage::NowNs());
}

Handler ForAdmins(const auth::Authority& authority, server::Workers& workers, AdminAct act) {
  return [&authority, &workers, act = std::move(act)](const RequestHead& head) -> Beginning {
    absl::StatusOr<auth::Principal> principal = Identify(authority, head);
    absl::Status may = principal.ok() ? principal->MayAdminister() : principal.status();
    if (!may.ok()) return ToResponse(may);
    return Deferred{
        .workers = &workers,
        .answer = [act, query = std::string(QueryOf(head.target))](
                      std::string_view body) { return act(query, body); },
        .max_body_bytes = kMaxJsonBytes,
    };
  };
}

}  // namespace sluice::http
