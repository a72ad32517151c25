#include "server/http/message.h"

#include "absl/strings/match.h"

namespace sluice::http {

std::string_view RequestHead::HeaderNamed(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, absl::string_view(name.data(), name.size()))) return value;
  }
  return {};
}

}  // namespace sluice::http
