#ifndef SLUICE_SERVER_AUTH_FIRST_ADMIN_H_
#define SLUICE_SERVER_AUTH_FIRST_ADMIN_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/auth/authority.h"

namespace sluice::auth {

// Where the first admin token comes from (contract W-71).
struct FirstAdminSource {
  // The token itself, from the environment; empty if it was not given. It goes first.
  std::string token;
  // A file that holds it; empty if none was named.
  std::string file;
  // Where a token that the server makes is left: the file `admin-token`.
  std::string data_dir;
};

// Sees to it that there is an admin token: the one given, or where none is given and no admin token
// is valid, a new one, which it leaves in `data_dir`, mode 0600, before it is valid. Returns the
// path of that file, or nothing where none was made.
absl::StatusOr<std::string> EnsureFirstAdmin(Authority& authority, const FirstAdminSource& source,
                                             int64_t now_ns);

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_FIRST_ADMIN_H_
