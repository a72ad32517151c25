#include "server/gate/gate.h"

#include "storage/timestamp.h"

namespace sluice::server {

absl::StatusOr<auth::Principal> Gate::Admit(const Claim& claim) const {
  absl::StatusOr<auth::Principal> principal = Identify(claim.credential);
  if (!principal.ok()) return principal;
  absl::Status checked = Check(*principal, claim);
  if (!checked.ok()) return checked;
  return principal;
}

absl::StatusOr<auth::Principal> Gate::Identify(const auth::Credential& credential) const {
  return authority_.Identify(credential, storage::NowNs());
}

absl::Status Gate::Check(const auth::Principal& principal, const Claim& claim) const {
  if (claim.request != nullptr) {
    claim.request->LetIn(principal.name(), claim.database ? claim.database->text() : "");
  }
  // What is refused for another reason counts too.
  const int64_t now_ns = storage::NowNs();
  const absl::Status taken = claim.counts ? principal.TakeRequest(now_ns) : absl::OkStatus();
  if (!taken.ok()) return taken;
  principal.TakeBytes(claim.bytes, now_ns);
  if (!claim.parameters.ok()) return claim.parameters;
  absl::Status status = CheckDatabase(claim);
  if (status.ok()) status = CheckRight(principal, claim);
  if (status.ok()) status = CheckReady(claim.act);
  return status;
}

absl::Status Gate::CheckDatabase(const Claim& claim) const {
  switch (claim.act) {
    case Act::kWrite:
    case Act::kWriteOn:
    case Act::kValidate:
      return pipeline_.CheckDatabase(*claim.database);
    case Act::kRead:
    case Act::kDescribe:
      return store_.FindDatabase(*claim.database).status();
    case Act::kAdminister:
      break;
  }
  return absl::OkStatus();
}

absl::Status Gate::CheckRight(const auth::Principal& principal, const Claim& claim) const {
  switch (claim.act) {
    case Act::kWrite:
    case Act::kWriteOn:
    case Act::kValidate:
      return principal.MayWrite(claim.database->text());
    case Act::kRead:
    case Act::kDescribe:
      return principal.MayRead(claim.database->text());
    case Act::kAdminister:
      break;
  }
  return principal.MayAdminister();
}

// Queries run while the server drains; what would change something, or comes with it, does not.
absl::Status Gate::CheckReady(Act act) const {
  switch (act) {
    case Act::kWrite:
      return readiness_.Check();
    case Act::kWriteOn:
      return store_.CheckWritable();
    case Act::kDescribe:
    case Act::kAdminister:
      return readiness_.CheckServing();
    case Act::kValidate:
    case Act::kRead:
      break;
  }
  return absl::OkStatus();
}

}  // namespace sluice::server
