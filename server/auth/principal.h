#ifndef SLUICE_SERVER_AUTH_PRINCIPAL_H_
#define SLUICE_SERVER_AUTH_PRINCIPAL_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "storage/token_record.h"

namespace sluice::auth {

// What a request wants to do.
enum class Action { kRead, kWrite, kAdminister };

// Who makes a request: a token that was valid when the request came, or everyone where the server
// asks for none. Cheap to copy.
class Principal {
 public:
  // May do everything; its name is "anonymous".
  static Principal Anonymous();
  explicit Principal(std::shared_ptr<const storage::TokenRecord> token)
      : token_(std::move(token)) {}

  // The token's.
  const std::string& name() const { return token_->name; }

  // PermissionDenied where the principal may not read or write that database, whether or not it
  // exists (contract W-5), or may not administer (W-72).
  absl::Status MayRead(std::string_view database) const { return May(Action::kRead, database); }
  absl::Status MayWrite(std::string_view database) const { return May(Action::kWrite, database); }
  absl::Status MayAdminister() const { return May(Action::kAdminister, ""); }

 private:
  absl::Status May(Action action, std::string_view database) const;

  // Never null.
  std::shared_ptr<const storage::TokenRecord> token_;
};

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_PRINCIPAL_H_
