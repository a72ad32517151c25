#include "server/influx/access.h"

#include <optional>
#include <utility>

#include "server/auth/credential.h"
#include "server/http/parameters.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"
#include "storage/timestamp.h"

namespace sluice::influx {

using http::Beginning;
using http::Deferred;
using http::FirstValue;
using http::OnWorker;
using http::QueryOf;
using http::RequestHead;
using http::Router;

std::optional<std::string> TokenInHeader(const RequestHead& head) {
  return auth::TokenIn(head.HeaderNamed("Authorization"));
}

std::optional<std::string> TokenInHeaderOrQuery(const RequestHead& head) {
  std::optional<std::string> token = TokenInHeader(head);
  return token ? token : FirstValue(QueryOf(head.target), "p");
}

void AddAdminRoute(Router& router, const server::Parts& parts, const std::string& method,
                   const std::string& path, AdminAct act) {
  router.Add(method, path, [&parts, act = std::move(act)](const RequestHead& head) -> Beginning {
    const absl::Status admitted =
        parts.gate.Admit({.act = server::Act::kAdminister, .token = TokenInHeader(head)}).status();
    if (!admitted.ok()) return ToResponse(admitted);
    return Deferred{
        .answer =
            OnWorker(parts.write_workers, [act, query = std::string(QueryOf(head.target))](
                                              std::string_view body) { return act(query, body); }),
        .max_body_bytes = kMaxJsonBytes,
    };
  });
}

}  // namespace sluice::influx
