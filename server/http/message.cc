#include "server/http/message.h"

#include "absl/strings/match.h"
#include "storage/caught.h"

namespace sluice::http {

std::string_view RequestHead::HeaderNamed(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(absl::string_view(key.data(), key.size()),
                               absl::string_view(name.data(), name.size())))
      return value;
  }
  return {};
}

Answer OnWorker(server::Workers& workers,
                absl::AnyInvocable<absl::StatusOr<Response>(std::string_view body)> make) {
  return [&workers, make = std::move(make)](std::string_view body, Respond respond) mutable {
    workers.Post([make = std::move(make), body, respond = std::move(respond)]() mutable {
      respond(storage::Caught([&]() -> absl::StatusOr<Response> { return make(body); }));
    });
  };
}

}  // namespace sluice::http
