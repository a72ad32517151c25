#ifndef SLUICE_SERVER_GATE_GATE_H_
#define SLUICE_SERVER_GATE_GATE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/authority.h"
#include "server/auth/credential.h"
#include "server/auth/principal.h"
#include "server/gate/readiness.h"
#include "server/ingest/pipeline.h"
#include "server/observability/requests.h"
#include "storage/names.h"

namespace sluice::server {

// What a request wants to do: write; write on, in a stream that was let in before; be told what a
// write would come to; read points; read what there is besides points; manage.
enum class Act { kWrite, kWriteOn, kValidate, kRead, kDescribe, kAdminister };

// What a request says of itself before its body, as its door has read it.
struct Claim {
  Act act;
  auth::Credential credential = {};
  // The first thing that is wrong with its parameters, told only to who has a valid token.
  absl::Status parameters = absl::OkStatus();
  // There where `parameters` are OK, but for kAdminister.
  std::optional<storage::DatabaseName> database = std::nullopt;
  // What it has brought already, for the token's limit; 0 where that is told later.
  size_t bytes = 0;
  // Whether it counts as a request: what opens a stream does not, since its batches do.
  bool counts = true;
  // As whoever watches requests sees it; null where nobody does.
  std::shared_ptr<observability::Request> request = nullptr;
};

// Whom every request has to pass, at every door, in the order of contract W-14: who makes it, what
// have had enough for now, what is wrong with its parameters, whether there is that database,
// whether they may, whether the server can now. Nothing of that takes time. What lasts, such as a
// stream, keeps its claim and asks again for each message (W-89).
//
// Errors: Unauthenticated (W-5); that of the parameters (W-4); NotFound for the database (W-6);
// PermissionDenied (W-5); Unavailable (W-9). Safe for use by many threads.
class Gate {
 public:
  // All must outlive it.
  Gate(const auth::Authority& authority, const storage::Store& store,
       const ingest::Pipeline& pipeline, const Readiness& readiness)
      : authority_(authority), store_(store), pipeline_(pipeline), readiness_(readiness) {}

  absl::StatusOr<auth::Principal> Admit(const Claim& claim) const;

  // The same in two steps, where the parameters come with the body.
  absl::StatusOr<auth::Principal> Identify(const auth::Credential& credential) const;
  absl::Status Check(const auth::Principal& principal, const Claim& claim) const;

 private:
  absl::Status CheckDatabase(const Claim& claim) const;
  absl::Status CheckRight(const auth::Principal& principal, const Claim& claim) const;
  absl::Status CheckReady(Act act) const;

  const auth::Authority& authority_;
  const storage::Store& store_;
  const ingest::Pipeline& pipeline_;
  const Readiness& readiness_;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_GATE_GATE_H_
