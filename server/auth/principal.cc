#include "server/auth/principal.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/reason.h"

namespace sluice::auth {

Principal Principal::Anonymous() {
  static const auto kEveryone = [] {
    auto token = std::make_shared<storage::TokenRecord>();
    token->name = "anonymous";
    token->admin = true;
    return std::shared_ptr<const storage::TokenRecord>(std::move(token));
  }();
  return Principal(kEveryone);
}

absl::Status Principal::May(Action action, std::string_view database) const {
  if (token_->admin) return absl::OkStatus();
  auto allows = [&](const storage::Grant& grant) {
    bool right =
        (action == Action::kRead && grant.read) || (action == Action::kWrite && grant.write);
    return right && (grant.database == "*" || grant.database == database);
  };
  if (std::any_of(token_->grants.begin(), token_->grants.end(), allows)) return absl::OkStatus();
  std::string what = action == Action::kAdminister
                         ? "is not an admin token"
                         : fmt::format("may not {} database \"{}\"",
                                       action == Action::kRead ? "read" : "write to", database);
  return storage::WithReason(
      absl::PermissionDeniedError(fmt::format("the token '{}' {}", name(), what)),
      "TOKEN_WITHOUT_RIGHT", {{"token", name()}});
}

}  // namespace sluice::auth
