#ifndef SLUICE_SERVER_HTTP_CONNECTION_H_
#define SLUICE_SERVER_HTTP_CONNECTION_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// First, for Asio's sake.
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "server/http/message.h"
#include "server/http/server.h"
#include "server/http/stream.h"
#include "server/resources/memory_budget.h"

namespace sluice::http {

// Memory for a body, which is neither cleared nor, where the size is known, moved. What has come is
// counted in a budget, and somewhat ahead of it.
class BodyBuffer {
 public:
  // The budget must outlive it.
  explicit BodyBuffer(server::MemoryBudget& budget) : share_(budget) {}

  std::string_view text() const { return {bytes_.get(), size_}; }
  size_t size() const { return size_; }

  // How large the body is going to be. That much is allocated at once: it takes address space, and
  // no memory before it is written to.
  void Expect(size_t size) { expected_ = size; }

  // Room for some more bytes, at most `limit`, none where the budget is used up; Commit says how
  // many were written there.
  std::pair<char*, size_t> Prepare(size_t limit);
  void Commit(size_t bytes) { size_ += bytes; }
  void Clear();

 private:
  void Allocate(size_t size);

  server::MemoryBudget::Share share_;
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  // How much of what is allocated has been counted.
  size_t counted_ = 0;
  size_t allocated_ = 0;
  size_t expected_ = 0;
};

// One client's connection, from its first request to its last. It runs on its socket's executor.
class Connection {
 public:
  // Speaks TLS where `tls` is not null. `context` is what the socket runs on; work elsewhere keeps
  // it until it has come back.
  Connection(Socket socket, boost::asio::ssl::context* tls, const Handler& handler,
             const ServerOptions& options, server::MemoryBudget& budget,
             std::shared_ptr<const void> context);

  // Serves until the client leaves or the connection is cut.
  Awaitable<void> Run();

  // Ends the connection when the request under way, if any, is answered; at once where the answer
  // is a long result.
  void CloseWhenIdle();
  // Ends it unless a worker is busy with its request.
  void CutUnlessWorking();
  // Ends the connection if no request is under way.
  void CloseIfIdle();
  // Makes room for others: ends it if it is idle, or has been sending its request for long.
  void MakeWay();
  void Cut() { stream_.Close(); }
  // Cuts it where the client has taken too long.
  void CutIfExpired(Clock::time_point now) { stream_.CloseIfExpired(now); }

 private:
  static constexpr size_t kMaxBufferedBytes = size_t{32} << 10;

  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

  // What reading a body came to.
  enum class BodyEnd { kComplete, kTooLarge, kMalformed, kNoMemory, kCut };

  Beginning Handle(const Parser& parser) const;
  absl::Status StatusOf(BodyEnd end) const;
  Awaitable<bool> ServeOne();
  Awaitable<bool> ReadHead(Parser& parser);
  Awaitable<void> SkipEmptyLines(boost::beast::error_code& ec);
  Awaitable<BodyEnd> ReadBody(Parser& parser);
  Awaitable<BodyEnd> ReadSized(size_t size);
  Awaitable<BodyEnd> ReadChunked(Parser& parser);
  Awaitable<bool> Continue(const Parser& parser);
  Awaitable<bool> Answer(const Parser& parser, Response response, bool body_read,
                         server::Workers* workers = nullptr);
  Awaitable<bool> Send(const Parser& parser, Response response, bool keep_alive);
  Awaitable<void> Write(std::string_view bytes, boost::beast::error_code& ec);
  Awaitable<bool> SendStream(const Parser& parser, Response response, server::Workers& workers,
                             bool keep_alive);
  Awaitable<void> Drain();
  Awaitable<Response> Later(Deferred& deferred);
  Awaitable<absl::StatusOr<std::string>> NextPiece(BodySource& source, server::Workers& workers);
  std::shared_ptr<class Lookout> LookOut();
  void ExpectMore(Clock::time_point start);

  const std::shared_ptr<const void> context_;
  Stream stream_;
  const Handler& handler_;
  const Errors errors_;
  const size_t server_max_body_bytes_;
  // Of the request under way.
  size_t max_body_bytes_ = 0;
  const std::chrono::milliseconds silence_;
  // Bounds what a head, a chunk's extensions or trailers may take.
  boost::beast::flat_buffer buffer_{kMaxBufferedBytes};
  BodyBuffer body_;
  const std::string peer_;
  // Of the client, where it has brought a certificate.
  std::vector<std::string> certificate_names_;
  enum class Phase { kIdle, kTransfer, kWorking, kStreaming };
  Phase phase_ = Phase::kIdle;
  // The request under way, if any.
  Clock::time_point begun_;
  bool closing_ = false;
  // See Deferred; of the request under way.
  std::shared_ptr<std::atomic<bool>> abandoned_;
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_CONNECTION_H_
