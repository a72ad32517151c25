#ifndef SLUICE_SERVER_HTTP_MESSAGE_H_
#define SLUICE_SERVER_HTTP_MESSAGE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/workers.h"

namespace sluice::http {

using Header = std::pair<std::string, std::string>;

// A request up to its body.
struct RequestHead {
  std::string method;
  // Path and query, as sent.
  std::string target;
  std::vector<Header> headers;
  // The client's address and port.
  std::string peer = {};

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
  // Sent after `body`, where there is one.
  std::unique_ptr<BodySource> rest;
};

// Who answers a request when its body is there.
struct Deferred {
  // Run `answer`, and what is left of its response's body, where work may take time.
  server::Workers* workers;
  // Called once, or `refuse` is.
  std::function<Response(std::string_view body)> answer;
  // Makes the response where the body is too large (ResourceExhausted), is not encoded as its
  // headers say (InvalidArgument) or finds no memory (Unavailable). Must not block. None means the
  // plain one.
  std::function<Response(const absl::Status& status)> refuse = nullptr;
  // Of the body, where that is less than the server's limit.
  size_t max_body_bytes = std::numeric_limits<size_t>::max();
  // Set when the client has gone before it has its answer; null where nobody wants to know.
  std::shared_ptr<std::atomic<bool>> abandoned = nullptr;
};

// What can be said by the head alone: an answer, then the body is not read; or who answers later.
using Beginning = std::variant<Response, Deferred>;

// Must not block. For many threads at once.
using Handler = std::function<Beginning(const RequestHead& head)>;

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_MESSAGE_H_
