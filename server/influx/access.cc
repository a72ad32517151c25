#include "server/influx/access.h"

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

auth::Credential CredentialIn(const RequestHead& head) {
  const std::string_view given = head.HeaderNamed("Authorization");
  auth::Credential credential{.token = auth::TokenIn(given)};
  // What is given goes before a certificate, whatever is wrong with it.
  if (given.empty()) {
    credential.certificate_names.assign(head.certificate_names.begin(),
                                        head.certificate_names.end());
  }
  return credential;
}

auth::Credential CredentialInHeaderOrQuery(const RequestHead& head) {
  auth::Credential credential = CredentialIn(head);
  if (!credential.token) credential.token = FirstValue(QueryOf(head.target), "p");
  return credential;
}

void AdminCall::IsAbout(std::string_view name) const {
  if (request != nullptr) request->SetTarget(name, body);
}

void AddAdminRoute(Router& router, const server::Parts& parts, const std::string& method,
                   const std::string& path, AdminAct act) {
  router.Add(method, path, [&parts, act = std::move(act)](const RequestHead& head) -> Beginning {
    const absl::Status admitted = parts.gate
                                      .Admit({.act = server::Act::kAdminister,
                                              .credential = CredentialIn(head),
                                              .request = head.request})
                                      .status();
    if (!admitted.ok()) return ToResponse(admitted);
    return Deferred{
        .answer = OnWorker(parts.write_workers,
                           [act, query = std::string(QueryOf(head.target)),
                            request = head.request](std::string_view body) {
                             return act({query, body, request.get()});
                           }),
        .max_body_bytes = kMaxJsonBytes,
    };
  });
}

}  // namespace sluice::influx
