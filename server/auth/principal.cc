#include "server/auth/principal.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/reason.h"

namespace sluice::auth {

Principal Principal::Anonymous() {
  static const auto kEveryone = [] {
    return std::make_shared<const KnownToken>(
        storage::TokenRecord{.name = "anonymous", .admin = true});
  }();
  return Principal(kEveryone);
}

absl::Status Principal::May(Action action, std::string_view database) const {
  if (token_->record.admin) return absl::OkStatus();
  auto allows = [&](const storage::Grant& grant) {
    bool right =
        (action == Action::kRead && grant.read) || (action == Action::kWrite && grant.write);
    return right && (grant.database == "*" || grant.database == database);
  };
  const std::vector<storage::Grant>& grants = token_->record.grants;
  if (std::any_of(grants.begin(), grants.end(), allows)) return absl::OkStatus();
  std::string what = action == Action::kAdminister
                         ? "is not an admin token"
                         : fmt::format("may not {} database \"{}\"",
                                       action == Action::kRead ? "read" : "write to", database);
  return storage::WithReason(
      absl::PermissionDeniedError(fmt::format("the token '{}' {}", name(), what)),
      "TOKEN_WITHOUT_RIGHT", {{"token", name()}});
}

}  // namespace sluice::auth
