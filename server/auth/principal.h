#ifndef SLUICE_SERVER_AUTH_PRINCIPAL_H_
#define SLUICE_SERVER_AUTH_PRINCIPAL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "server/auth/rate_limit.h"
#include "storage/token_record.h"

namespace sluice::auth {

// What a request wants to do.
enum class Action { kRead, kWrite, kAdminister };

// A token, and how much it has brought of what it may.
struct KnownToken {
  explicit KnownToken(storage::TokenRecord r)
      : record(std::move(r)), rate(record.max_requests_per_second, record.max_bytes_per_second) {}

  const storage::TokenRecord record;
  mutable RateLimit rate;
};

// Who makes a request: a token that was valid when the request came, or everyone where the server
// asks for none. Cheap to copy.
class Principal {
 public:
  // May do everything; its name is "anonymous".
  static Principal Anonymous();
  explicit Principal(std::shared_ptr<const KnownToken> token) : token_(std::move(token)) {}

  // The token's.
  const std::string& name() const { return token_->record.name; }

  // PermissionDenied where the principal may not read or write that database, whether or not it
  // exists (contract W-5), or may not administer (W-72).
  absl::Status MayRead(std::string_view database) const { return May(Action::kRead, database); }
  absl::Status MayWrite(std::string_view database) const { return May(Action::kWrite, database); }
  absl::Status MayAdminister() const { return May(Action::kAdminister, ""); }

  // Counts one request, or the bytes of one, against what the token may bring a second: Unavailable
  // (contract W-9) where that was too much.
  absl::Status TakeRequest(int64_t now_ns) const { return token_->rate.TakeRequest(now_ns); }
  void TakeBytes(size_t bytes, int64_t now_ns) const { token_->rate.TakeBytes(bytes, now_ns); }

 private:
  absl::Status May(Action action, std::string_view database) const;

  // Never null.
  std::shared_ptr<const KnownToken> token_;
};

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_PRINCIPAL_H_
