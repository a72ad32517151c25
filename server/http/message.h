#ifndef SLUICE_SERVER_HTTP_MESSAGE_H_
#define SLUICE_SERVER_HTTP_MESSAGE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/resources/workers.h"

namespace sluice::observability {
class Request;
}

namespace sluice::http {

using Header = std::pair<std::string, std::string>;

// A request up to its body. Good until the handler returns.
struct RequestHead {
  std::string_view method;
  // Path and query, as sent.
  std::string_view target;
  std::vector<std::pair<std::string_view, std::string_view>> headers = {};
  // The client's address and port.
  std::string_view peer = {};
  // In the client's certificate, where it has brought one and it is believed: the URI and DNS names
  // of its subjectAltName, or without any its common name.
  std::span<const std::string> certificate_names = {};
  // As whoever watches requests sees it; null where nobody does.
  std::shared_ptr<observability::Request> request = nullptr;

  // The first header of that name, in any case; empty if there is none.
  std::string_view HeaderNamed(std::string_view name) const;
};

// A body that is made while it is sent. For one thread at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece; empty at the end. After an error the connection is reset, so that nobody takes
  // the body for a whole one.
  virtual absl::StatusOr<std::string> Next() = 0;
};

struct Response {
  int status = 204;
  std::vector<Header> headers;
  std::string body;
  // Why it is an error, for who counts them, as storage::Reason has it; empty where it is none.
  std::string reason;
  // Sent after `body`, where there is one.
  std::unique_ptr<BodySource> rest;
};

// Takes the answer: once, from any thread. An error is told as the server tells its own.
using Respond = absl::AnyInvocable<void(absl::StatusOr<Response> response)>;
using Answer = absl::AnyInvocable<void(std::string_view body, Respond respond)>;

// Who answers a request when its body is there.
struct Deferred {
  // Called once, or `refuse` is. Must not block; the body is there until it has responded.
  Answer answer;
  // Makes the response where the body is too large (ResourceExhausted), is not encoded as its
  // headers say (InvalidArgument) or finds no memory (Unavailable). Must not block. None means the
  // plain one.
  absl::AnyInvocable<Response(const absl::Status& status)> refuse = nullptr;
  // Where the rest of a long body is made; null where there is none.
  server::Workers* workers = nullptr;
  // Of the body, where that is less than the server's limit.
  size_t max_body_bytes = std::numeric_limits<size_t>::max();
  // Set when the client has gone before it has its answer; null where nobody wants to know.
  std::shared_ptr<std::atomic<bool>> abandoned = nullptr;
};

// An answer that takes its time, which a worker makes. What it throws is an error.
Answer OnWorker(server::Workers& workers,
                absl::AnyInvocable<absl::StatusOr<Response>(std::string_view body)> make);

// What can be said by the head alone: an answer, then the body is not read; or who answers later.
using Beginning = std::variant<Response, Deferred>;

// Must not block. For many threads at once.
using Handler = std::function<Beginning(const RequestHead& head)>;

// The answers that belong to no route, in the words of whoever the routes are for.
struct Errors {
  // To what is no HTTP request (InvalidArgument), and to what failed.
  Response (*failed)(const absl::Status& status);
  // To a path that is no route, and to a route's other methods than `allow`.
  Response (*no_such_route)();
  Response (*wrong_method)(std::string_view allow);
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_MESSAGE_H_
