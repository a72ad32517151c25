#include "server/auth/credential.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace sluice::auth {
namespace {

std::string_view Trim(std::string_view text) {
  absl::string_view trimmed =
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {trimmed.data(), trimmed.size()};
}

// The password of Basic (RFC 7617): what follows the first colon.
std::optional<std::string> PasswordIn(std::string_view encoded) {
  std::string pair;
  if (!absl::Base64Unescape(absl::string_view(encoded.data(), encoded.size()), &pair)) {
    return std::nullopt;
  }
  size_t colon = pair.find(':');
  if (colon == std::string::npos) return std::nullopt;
  return pair.substr(colon + 1);
}

}  // namespace

std::optional<std::string> TokenIn(std::string_view authorization) {
  authorization = Trim(authorization);
  size_t space = authorization.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::string scheme = absl::AsciiStrToLower(absl::string_view(authorization.data(), space));
  std::string_view credential = Trim(authorization.substr(space));
  if (scheme == "basic") return PasswordIn(credential);
  if (scheme != "token" && scheme != "bearer") return std::nullopt;
  return std::string(credential);
}

}  // namespace sluice::auth
