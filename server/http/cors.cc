#include "server/http/cors.h"

#include <algorithm>
#include <utility>

namespace sluice::http {
namespace {

// How long a browser may remember the answer to OPTIONS.
constexpr char kMaxAgeSeconds[] = "7200";

// What is added to the answers for one origin.
class Permission {
 public:
  Permission(std::string origin, std::string exposed_headers, const Errors& errors)
      : origin_(std::move(origin)), exposed_headers_(std::move(exposed_headers)), errors_(errors) {}

  Response AddTo(absl::StatusOr<Response> response) const {
    Response with = response.ok() ? *std::move(response) : errors_.failed(response.status());
    with.headers.emplace_back("Access-Control-Allow-Origin", origin_);
    with.headers.emplace_back("Access-Control-Expose-Headers", exposed_headers_);
    with.headers.emplace_back("Vary", "Origin");
    return with;
  }

 private:
  const std::string origin_;
  const std::string exposed_headers_;
  const Errors errors_;
};

Response Preflight(const Permission& permission) {
  Response response = permission.AddTo(Response());
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                "Authorization, Content-Type, Content-Encoding, User-Agent");
  response.headers.emplace_back("Access-Control-Max-Age", kMaxAgeSeconds);
  return response;
}

Beginning Allowing(std::shared_ptr<const Permission> permission, Beginning beginning) {
  if (auto* response = std::get_if<Response>(&beginning)) {
    return permission->AddTo(std::move(*response));
  }
  Deferred& deferred = std::get<Deferred>(beginning);
  deferred.answer = [permission, answer = std::move(deferred.answer)](std::string_view body,
                                                                      Respond respond) mutable {
    answer(body,
           [permission, respond = std::move(respond)](absl::StatusOr<Response> response) mutable {
             respond(permission->AddTo(std::move(response)));
           });
  };
  deferred.refuse = [permission,
                     refuse = std::move(deferred.refuse)](const absl::Status& status) mutable {
    if (refuse) return permission->AddTo(refuse(status));
    return permission->AddTo(status);
  };
  return beginning;
}

}  // namespace

Handler WithCors(const CorsOptions& options, const Errors& errors, Handler handler) {
  const std::vector<std::string>& origins = options.origins;
  if (origins.empty()) return handler;
  const bool all = std::find(origins.begin(), origins.end(), "*") != origins.end();
  return
      [options, errors, all, handler = std::move(handler)](const RequestHead& head) -> Beginning {
        std::string origin(head.HeaderNamed("Origin"));
        const auto& known = options.origins;
        bool allowed = !origin.empty() &&
                       (all || std::find(known.begin(), known.end(), origin) != known.end());
        if (!allowed) return handler(head);
        auto permission =
            std::make_shared<const Permission>(std::move(origin), options.exposed_headers, errors);
        if (head.method == "OPTIONS") return Preflight(*permission);
        return Allowing(std::move(permission), handler(head));
      };
}

}  // namespace sluice::http
