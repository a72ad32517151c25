// Any bytes as what a client sends over HTTP: the server answers or closes, and goes on. Heads,
// chunked bodies, pipelining; and what handlers do with a head: its path, its query, its token.

#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "server/auth/credential.h"
#include "server/http/parameters.h"
#include "server/http/server.h"
#include "tests/fixture/http_client.h"

namespace {

using sluice::http::Beginning;
using sluice::http::Deferred;
using sluice::http::RequestHead;
using sluice::http::Respond;
using sluice::http::Response;

Response Failed(const absl::Status& status) {
  Response response;
  response.status = 400;
  response.body = std::string(status.message());
  return response;
}

// Says what it understood.
Beginning Answer(const RequestHead& head) {
  auto response = std::make_shared<Response>();
  response->status = 200;
  response->body = sluice::http::PathOf(head.target);
  const std::string_view query = sluice::http::QueryOf(head.target);
  const auto parameters = sluice::http::Parameters::Parse(query);
  if (parameters.ok()) response->body += parameters->Get("db");
  response->body += sluice::http::FirstValue(query, "p");
  const auto token = sluice::auth::TokenIn(head.HeaderNamed("Authorization"));
  if (token) response->body += *token;
  return Deferred{[response](std::string_view body, Respond respond) {
    response->body += body;
    respond(std::move(*response));
  }};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const budget = new sluice::server::MemoryBudget(size_t{1} << 20);
  static auto* const server =
      sluice::http::Server::Start(
          {.port = 0,
           .threads = 1,
           .max_body_bytes = 10'000,
           .errors = {.failed = Failed, .no_such_route = nullptr, .wrong_method = nullptr}},
          *budget, Answer)
          .value()
          .release();
  sluice::fixture::HttpConnection connection(server->port());
  connection.Send({reinterpret_cast<const char*>(data), size});
  connection.ShutDownSending();
  for (int answers = 0; answers < 10 && connection.Receive(); ++answers) {
  }
  if (budget->used_bytes() > (size_t{1} << 20)) std::abort();
  return 0;
}
