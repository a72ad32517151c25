// The same transport over TLS.

#include <gtest/gtest.h>

#include <memory>
#include <string>
// First, for Asio's sake.
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "server/http/server.h"
#include "tests/fixture/certificate_authority.h"
#include "tests/fixture/http_client.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;

Response Failed(const absl::Status& status) {
  Response response;
  response.status = 500;
  response.body = std::string(status.message());
  return response;
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    // Says what it is told.
    server_ = Server::Start(
                  {.port = 0,
                   .silence = std::chrono::milliseconds(500),
                   .errors = {.failed = Failed, .no_such_route = nullptr, .wrong_method = nullptr},
                   .certificates = certificates_.get()},
                  budget_,
                  [](const RequestHead&) {
                    return Deferred{[](std::string_view body, Respond respond) {
                      Response response;
                      response.status = 200;
                      response.body = std::string(body);
                      respond(std::move(response));
                    }};
                  })
                  .value();
  }

  fixture::CertificateAuthority authority_;
  const fixture::CertificateAuthority::Pair pair_ = authority_.Issue("localhost", "DNS:localhost");
  const std::unique_ptr<tls::Certificates> certificates_ =
      tls::Certificates::Open({pair_.certificate, pair_.key}, [](const std::string&) {}).value();
  server::MemoryBudget budget_{size_t{64} << 20};
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, RequestsOfAnySizeAreAnsweredOverOneConnection) {
  asio::io_context context;
  asio::ssl::context tls(asio::ssl::context::tls_client);
  asio::ssl::stream<asio::ip::tcp::socket> stream(context, tls);
  stream.next_layer().connect({asio::ip::address_v4::loopback(), server_->port()});
  stream.handshake(asio::ssl::stream_base::client);
  for (size_t size : {size_t{0}, size_t{1}, size_t{20'000}, size_t{5'000'000}}) {
    std::string body(size, 'x');
    for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i % 23);
    asio::write(stream, asio::buffer("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                                     std::to_string(size) + "\r\n\r\n" + body));
    std::string answer;
    const size_t head = asio::read_until(stream, asio::dynamic_buffer(answer), "\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    answer.erase(0, head);
    if (answer.size() < size) {
      asio::read(stream, asio::dynamic_buffer(answer),
                 asio::transfer_exactly(size - answer.size()));
    }
    EXPECT_EQ(answer == body, true) << size;
  }
}

TEST_F(TlsTest, PlainTextIsNotAnsweredAndWhoDoesNotShakeHandsIsCutOff) {
  EXPECT_FALSE(fixture::Fetch(server_->port(), "GET", "/"));
  fixture::HttpConnection silent(server_->port());
  EXPECT_TRUE(silent.AtEnd());
}

}  // namespace
}  // namespace sluice::http
