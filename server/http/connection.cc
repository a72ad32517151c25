#include "server/http/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <cstring>
#include <limits>

#include "server/http/tls.h"
#include "storage/caught.h"
#include "storage/reason.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using std::chrono::seconds;

constexpr uint32_t kMaxHeadBytes = 16 << 10;
constexpr size_t kFirstReadBytes = 4 << 10;
constexpr size_t kUsualHeaders = 8;
constexpr size_t kFirstBodyBytes = 16 << 10;
// How much of a body that nobody wants is read so that the client gets to read the answer
// (contract W-14), and how long that may take.
constexpr size_t kMaxDrainBytes = size_t{64} << 20;
constexpr seconds kDrainTime(10);
// Who takes longer to send a request gives way where there are too many connections.
constexpr seconds kSlowTime(5);
// How long a client has to say that it has seen the end.
constexpr seconds kGoodbyeTime(1);
// How long a client may be silent between requests.
constexpr seconds kIdleTime(300);
// Who sends a byte now and then only holds on to a connection and memory.
constexpr size_t kMinBytesPerSecond = 1024;
// How often to look whether a client still waits for what takes its time.
constexpr std::chrono::milliseconds kLookPeriod(100);

// Whether what was received is at fault, rather than the connection.
bool IsHttpError(const beast::error_code& ec) {
  return ec.category() == beast::http::make_error_code(beast::http::error::bad_method).category();
}

// Clients of this name read Retry-After as milliseconds, use up their attempts at once and lose the
// batch (contract W-16).
bool MisreadsRetryAfter(beast::string_view user_agent) {
  return user_agent.starts_with("influxdb-client-js/");
}

bool IsGone(int socket) {
  pollfd looked = {.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&looked, 1, 0) > 0;
}

std::string Show(const Socket& socket) {
  beast::error_code ec;
  asio::ip::tcp::endpoint peer = socket.remote_endpoint(ec);
  if (ec) return "";
  std::string address = peer.address().to_string();
  if (peer.address().is_v6()) address = fmt::format("[{}]", address);
  return fmt::format("{}:{}", address, peer.port());
}

// Waits for what somebody else makes, and comes back to the caller's executor. `start` is given
// who takes it: called once, from any thread; one that is dropped uncalled brings an error, so that
// nobody waits for ever.
//
// Who calls it lets go of the executor, which refers to the context, when the caller may have come
// back, and gone, long since: so it holds the context too.
template <typename T, typename Start>
Awaitable<absl::StatusOr<T>> Receive(std::shared_ptr<const void> context, Start start) {
  absl::StatusOr<T> received = absl::InternalError("the request was not answered");
  const auto initiate = [&](auto handler) {
    class Taker {
     public:
      Taker(std::shared_ptr<const void> kept, absl::StatusOr<T>& into, decltype(handler) resume)
          : context_(std::move(kept)), received_(&into), resume_(std::move(resume)) {}
      Taker(Taker&& other) noexcept
          : context_(std::move(other.context_)),
            received_(std::exchange(other.received_, nullptr)),
            resume_(std::move(other.resume_)) {}
      Taker& operator=(Taker&&) = delete;
      ~Taker() {
        if (received_ != nullptr) Resume();
      }
      void operator()(absl::StatusOr<T> made) {
        *received_ = std::move(made);
        Resume();
      }

     private:
      void Resume() {
        received_ = nullptr;
        auto executor = asio::get_associated_executor(resume_);
        asio::post(executor, std::move(resume_));
      }

      std::shared_ptr<const void> context_;
      absl::StatusOr<T>* received_;
      decltype(handler) resume_;
    };
    // One that is dropped on the way out answers too.
    storage::Caught([&] { start(Taker(context, received, std::move(handler))); }).IgnoreError();
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
      initiate, asio::use_awaitable_t<Executor>());
  co_return received;
}

// The path and query of a target in absolute form, which is what a proxy is sent (RFC 9112, section
// 3.2.2); any other target as it is.
std::string_view OriginForm(std::string_view target) {
  size_t scheme = 0;
  for (std::string_view known : {"http://", "https://"}) {
    if (beast::iequals(beast::string_view(target.data(), std::min(target.size(), known.size())),
                       beast::string_view(known.data(), known.size()))) {
      scheme = known.size();
    }
  }
  if (scheme == 0) return target;
  const size_t path = target.find_first_of("/?", scheme);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace

// Looks now and then, while somebody works for a client, whether the client is still there. One
// that has shut down its side is taken for gone: it cannot be told from one that is.
class Lookout {
 public:
  // The socket stays open as long as the work lasts, and so its descriptor is its own.
  Lookout(Socket& socket, std::shared_ptr<std::atomic<bool>> abandoned)
      : timer_(socket.get_executor()),
        socket_(socket.native_handle()),
        abandoned_(std::move(abandoned)) {}

  // Keeps itself until it ends.
  Awaitable<void> Run(std::shared_ptr<Lookout> self) {
    beast::error_code ec;
    while (!self->ended_ && !ec && !IsGone(socket_)) {
      timer_.expires_after(kLookPeriod);
      co_await timer_.async_wait(Await(ec));
    }
    if (!ended_ && !ec) *abandoned_ = true;
  }
  // The timer may be about to call when it is cancelled, and then hears nothing of it.
  void End() {
    ended_ = true;
    timer_.cancel();
  }

 private:
  Timer timer_;
  const int socket_;
  const std::shared_ptr<std::atomic<bool>> abandoned_;
  bool ended_ = false;
};

std::pair<char*, size_t> BodyBuffer::Prepare(size_t limit) {
  if (size_ == counted_) {
    const size_t counted = std::min(std::max(kFirstBodyBytes, 2 * counted_), size_ + limit);
    if (!share_.GrowBody(counted - counted_).ok()) return {nullptr, 0};
    if (counted > allocated_) Allocate(std::max(counted, expected_));
    counted_ = counted;
  }
  return {bytes_.get() + size_, std::min(limit, counted_ - size_)};
}

void BodyBuffer::Allocate(size_t size) {
  auto bytes = std::make_unique_for_overwrite<char[]>(size);
  if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
  bytes_ = std::move(bytes);
  allocated_ = size;
}

void BodyBuffer::Clear() {
  bytes_.reset();
  size_ = counted_ = allocated_ = expected_ = 0;
  share_.Clear();
}

Connection::Connection(Socket socket, asio::ssl::context* tls, const Handler& handler,
                       const ServerOptions& options, server::MemoryBudget& budget,
                       std::shared_ptr<const void> context)
    : context_(std::move(context)),
      stream_(std::move(socket), tls),
      handler_(handler),
      errors_(options.errors),
      server_max_body_bytes_(options.max_body_bytes),
      silence_(options.silence),
      body_(budget),
      peer_(Show(stream_.socket())) {}

Awaitable<void> Connection::Run() {
  beast::error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  stream_.socket().non_blocking(true, ignored);
  stream_.ExpireAfter(silence_);
  beast::error_code ec;
  co_await stream_.Handshake(ec);
  if (ec) co_return Cut();
  if (SSL* const secured = stream_.secured()) certificate_names_ = NamesOfPeer(secured);
  while (co_await ServeOne()) {
  }
  phase_ = Phase::kIdle;
  stream_.ExpireAfter(kGoodbyeTime);
  co_await stream_.SayGoodbye();
  Cut();
}

void Connection::CloseWhenIdle() {
  closing_ = true;
  CloseIfIdle();
  // The rest of the result is not going to be made.
  if (phase_ == Phase::kStreaming) stream_.Reset();
}

void Connection::CutUnlessWorking() {
  if (phase_ != Phase::kWorking) Cut();
}

void Connection::MakeWay() {
  const bool slow = phase_ == Phase::kTransfer && Clock::now() > begun_ + kSlowTime;
  if (phase_ == Phase::kIdle || slow) Cut();
}

void Connection::CloseIfIdle() {
  if (phase_ == Phase::kIdle) Cut();
}

Beginning Connection::Handle(const Parser& parser) const {
  const auto& request = parser.get();
  RequestHead head;
  head.method = {request.method_string().data(), request.method_string().size()};
  std::string rooted;
  head.target = OriginForm({request.target().data(), request.target().size()});
  if (head.target.starts_with('?')) head.target = rooted = "/" + std::string(head.target);
  head.headers.reserve(kUsualHeaders);
  for (const auto& field : request) {
    head.headers.emplace_back(
        std::string_view(field.name_string().data(), field.name_string().size()),
        std::string_view(field.value().data(), field.value().size()));
  }
  head.peer = peer_;
  head.certificate_names = certificate_names_;
  return handler_(head);
}

// False when the connection is at its end.
Awaitable<bool> Connection::ServeOne() {
  Parser parser;
  parser.header_limit(kMaxHeadBytes);
  // Bodies are limited where they are read.
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  // There may be thousands of idle connections: none keeps memory.
  body_.Clear();
  abandoned_.reset();
  if (buffer_.size() == 0) buffer_.shrink_to_fit();
  phase_ = Phase::kIdle;
  if (!co_await ReadHead(parser)) co_return false;
  phase_ = Phase::kTransfer;
  begun_ = Clock::now();
  Beginning beginning = Handle(parser);
  if (auto* response = std::get_if<Response>(&beginning)) {
    co_return co_await Answer(parser, std::move(*response), false);
  }
  Deferred& deferred = std::get<Deferred>(beginning);
  abandoned_ = deferred.abandoned;
  max_body_bytes_ = std::min(server_max_body_bytes_, deferred.max_body_bytes);
  const BodyEnd end = co_await ReadBody(parser);
  if (end == BodyEnd::kCut) co_return false;
  if (end != BodyEnd::kComplete) {
    // A client that is sent away holds nothing while it reads that.
    body_.Clear();
    const absl::Status why = StatusOf(end);
    Response refusal = deferred.refuse ? deferred.refuse(why) : errors_.failed(why);
    co_return co_await Answer(parser, std::move(refusal), false);
  }
  Response response = co_await Later(deferred);
  body_.Clear();
  co_return co_await Answer(parser, std::move(response), true, deferred.workers);
}

absl::Status Connection::StatusOf(BodyEnd end) const {
  switch (end) {
    case BodyEnd::kTooLarge:
      return server::BodyTooLarge(max_body_bytes_);
    case BodyEnd::kMalformed:
      return absl::InvalidArgumentError("the body is not encoded as its headers say");
    case BodyEnd::kNoMemory:
      return storage::WithReason(
          absl::UnavailableError("the memory for the bodies of requests under way is used up"),
          "MEMORY_BUDGET");
    case BodyEnd::kComplete:
    case BodyEnd::kCut:
      break;
  }
  return absl::OkStatus();
}

// False when there is no further request.
Awaitable<bool> Connection::ReadHead(Parser& parser) {
  beast::error_code ec;
  // Between requests there is time; a head that has begun is to be sent.
  stream_.ExpireAfter(kIdleTime);
  co_await SkipEmptyLines(ec);
  stream_.ExpireAfter(silence_);
  // Mostly it is there as a whole.
  if (!ec) buffer_.consume(parser.put(buffer_.data(), ec));
  if (ec == beast::http::error::need_more) ec = {};
  if (!ec && !parser.is_header_done()) {
    co_await beast::http::async_read_header(stream_, buffer_, parser, Await(ec));
  }
  if (!ec) co_return true;
  if (IsHttpError(ec) && ec != beast::http::error::end_of_stream &&
      ec != beast::http::error::partial_message) {
    const absl::Status why = absl::InvalidArgumentError("not an HTTP request: " + ec.message());
    co_await Send(parser, errors_.failed(why), false);
    co_await Drain();
  }
  co_return false;
}

// Waits for the first byte of a head. Some clients send an empty line behind a body, which is none
// (RFC 9112, section 2.2).
Awaitable<void> Connection::SkipEmptyLines(beast::error_code& ec) {
  const auto front = [&] { return *static_cast<const char*>(buffer_.data().data()); };
  while (!ec) {
    while (buffer_.size() > 0 && (front() == '\r' || front() == '\n')) buffer_.consume(1);
    if (buffer_.size() > 0) co_return;
    const size_t read =
        co_await stream_.async_read_some(buffer_.prepare(kFirstReadBytes), Await(ec));
    buffer_.commit(read);
  }
}

Awaitable<Connection::BodyEnd> Connection::ReadBody(Parser& parser) {
  // With any other coding it could not be told where the body ends.
  constexpr auto kField = beast::http::field::transfer_encoding;
  size_t codings = parser.get().count(kField);
  if (codings > 1 || (codings == 1 && !beast::iequals(parser.get()[kField], "chunked"))) {
    co_return BodyEnd::kMalformed;
  }
  boost::optional<uint64_t> size = parser.content_length();
  if (size && *size > max_body_bytes_) co_return BodyEnd::kTooLarge;
  if (!co_await Continue(parser)) co_return BodyEnd::kCut;
  if (parser.chunked()) co_return co_await ReadChunked(parser);
  co_return co_await ReadSized(size ? static_cast<size_t>(*size) : 0);
}

// Bodies of known length bypass the parser: one copy less, and reads as long as the socket has.
Awaitable<Connection::BodyEnd> Connection::ReadSized(size_t size) {
  const auto start = Clock::now();
  body_.Expect(size);
  while (body_.size() < size) {
    auto [to, room] = body_.Prepare(size - body_.size());
    if (room == 0) co_return BodyEnd::kNoMemory;
    if (buffer_.size() > 0) {
      size_t taken = asio::buffer_copy(asio::buffer(to, room), buffer_.data());
      buffer_.consume(taken);
      body_.Commit(taken);
      continue;
    }
    beast::error_code ec;
    ExpectMore(start);
    size_t read = co_await stream_.async_read_some(asio::buffer(to, room), Await(ec));
    if (ec) co_return BodyEnd::kCut;
    body_.Commit(read);
  }
  co_return BodyEnd::kComplete;
}

Awaitable<Connection::BodyEnd> Connection::ReadChunked(Parser& parser) {
  const auto start = Clock::now();
  while (!parser.is_done()) {
    // One byte more than allowed shows that there are too many.
    if (body_.size() > max_body_bytes_) co_return BodyEnd::kTooLarge;
    auto [to, room] = body_.Prepare(max_body_bytes_ + 1 - body_.size());
    if (room == 0) co_return BodyEnd::kNoMemory;
    parser.get().body().data = to;
    parser.get().body().size = room;
    beast::error_code ec;
    ExpectMore(start);
    co_await beast::http::async_read_some(stream_, buffer_, parser, Await(ec));
    body_.Commit(room - parser.get().body().size);
    if (ec == beast::http::error::partial_message) co_return BodyEnd::kCut;
    if (ec && ec != beast::http::error::need_buffer) {
      co_return IsHttpError(ec) ? BodyEnd::kMalformed : BodyEnd::kCut;
    }
  }
  co_return body_.size() > max_body_bytes_ ? BodyEnd::kTooLarge : BodyEnd::kComplete;
}

// Gives the next read of the body that began at `start` the time that it may take.
void Connection::ExpectMore(Clock::time_point start) {
  auto by_rate = start + silence_ + seconds(body_.size() / kMinBytesPerSecond);
  stream_.ExpireAt(std::min(by_rate, Clock::now() + silence_));
}

// Tells a client that asked first to send its body.
Awaitable<bool> Connection::Continue(const Parser& parser) {
  bool asked = beast::iequals(parser.get()[beast::http::field::expect], "100-continue");
  if (!asked || parser.get().version() < 11) co_return true;
  beast::error_code ec;
  co_await Write("HTTP/1.1 100 Continue\r\n\r\n", ec);
  co_return !ec;
}

// True if another request may follow.
Awaitable<bool> Connection::Answer(const Parser& parser, Response response, bool body_read,
                                   server::Workers* workers) {
  const auto& request = parser.get();
  bool has_body = parser.content_length().value_or(0) > 0 ||
                  request.count(beast::http::field::transfer_encoding) > 0;
  // After an unread body the next request could not be found.
  bool keep_alive = request.keep_alive() && (body_read || !has_body) && !closing_;
  bool sent = response.rest == nullptr
                  ? co_await Send(parser, std::move(response), keep_alive)
                  : co_await SendStream(parser, std::move(response), *workers, keep_alive);
  if (sent && !body_read && has_body) co_await Drain();
  const bool another = sent && keep_alive && !closing_;
  co_return another;
}

Awaitable<bool> Connection::Send(const Parser& parser, Response response, bool keep_alive) {
  const auto& request = parser.get();
  const bool no_retry_after = MisreadsRetryAfter(request[beast::http::field::user_agent]);
  const bool http10 = request.version() == 10;
  const unsigned status = static_cast<unsigned>(response.status);
  const beast::string_view reason =
      beast::http::obsolete_reason(beast::http::int_to_status(status));
  std::string text = fmt::format("HTTP/1.{} {} {}\r\n", http10 ? 0 : 1, status,
                                 std::string_view(reason.data(), reason.size()));
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  for (const auto& [name, value] : response.headers) {
    if (no_retry_after && beast::iequals(name, "Retry-After")) continue;
    add(name, value);
  }
  if (keep_alive == http10) add("Connection", keep_alive ? "keep-alive" : "close");
  // A 204 has no length (RFC 9110, section 8.6).
  if (response.status != 204) add("Content-Length", fmt::format("{}", response.body.size()));
  text.append("\r\n");
  if (request.method() != beast::http::verb::head) text.append(response.body);
  beast::error_code ec;
  stream_.ExpireAfter(silence_);
  co_await Write(text, ec);
  co_return !ec;
}

Awaitable<void> Connection::Write(std::string_view bytes, beast::error_code& ec) {
  bytes.remove_prefix(stream_.WriteNow(bytes));
  if (!bytes.empty()) co_await asio::async_write(stream_, asio::buffer(bytes), Await(ec));
}

Awaitable<bool> Connection::SendStream(const Parser& parser, Response response,
                                       server::Workers& workers, bool keep_alive) {
  // HTTP/1.0 has no chunks; there the end of the connection is the end of the body.
  const unsigned version = parser.get().version();
  const bool chunked = version > 10;
  beast::http::response<beast::http::empty_body> message(
      static_cast<beast::http::status>(response.status), version);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(keep_alive && chunked);
  message.chunked(chunked);
  beast::http::response_serializer<beast::http::empty_body> serializer(message);
  beast::error_code ec;
  stream_.ExpireAfter(silence_);
  co_await beast::http::async_write_header(stream_, serializer, Await(ec));
  absl::StatusOr<std::string> piece = std::move(response.body);
  phase_ = Phase::kStreaming;
  while (!ec && stream_.socket().is_open()) {
    if (piece->empty()) piece = co_await NextPiece(*response.rest, workers);
    if (!piece.ok()) {
      stream_.Reset();
      co_return false;
    }
    if (piece->empty()) break;
    stream_.ExpireAfter(silence_);
    if (chunked) {
      co_await asio::async_write(stream_, beast::http::make_chunk(asio::buffer(*piece)), Await(ec));
    } else {
      co_await asio::async_write(stream_, asio::buffer(*piece), Await(ec));
    }
    piece->clear();
  }
  if (!ec && chunked) {
    stream_.ExpireAfter(silence_);
    co_await asio::async_write(stream_, beast::http::make_chunk_last(), Await(ec));
  }
  co_return !ec && keep_alive && chunked;
}

// Reads and forgets what the client still sends, until it has read the answer and leaves.
Awaitable<void> Connection::Drain() {
  beast::error_code ec;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ec);
  std::array<char, 4096> forgotten;
  stream_.ExpireAfter(kDrainTime);
  for (size_t drained = 0; !ec && drained < kMaxDrainBytes;) {
    drained += co_await stream_.async_read_some(asio::buffer(forgotten), Await(ec));
  }
}

Awaitable<Response> Connection::Later(Deferred& deferred) {
  stream_.ExpireNever();
  phase_ = Phase::kWorking;
  const std::shared_ptr<Lookout> lookout = LookOut();
  absl::StatusOr<Response> response = co_await Receive<Response>(
      context_, [&](Respond respond) { deferred.answer(body_.text(), std::move(respond)); });
  if (lookout != nullptr) lookout->End();
  phase_ = Phase::kTransfer;
  if (!response.ok()) co_return errors_.failed(response.status());
  co_return *std::move(response);
}

Awaitable<absl::StatusOr<std::string>> Connection::NextPiece(BodySource& source,
                                                             server::Workers& workers) {
  stream_.ExpireNever();
  const std::shared_ptr<Lookout> lookout = LookOut();
  absl::StatusOr<std::string> piece = co_await Receive<std::string>(context_, [&](auto take) {
    workers.Post([&source, take = std::move(take)]() mutable {
      take(storage::Caught([&] { return source.Next(); }));
    });
  });
  if (lookout != nullptr) lookout->End();
  co_return piece;
}

// Null where nobody wants to know.
std::shared_ptr<Lookout> Connection::LookOut() {
  if (abandoned_ == nullptr) return nullptr;
  auto lookout = std::make_shared<Lookout>(stream_.socket(), abandoned_);
  asio::co_spawn(stream_.get_executor(), lookout->Run(lookout), asio::detached);
  return lookout;
}

}  // namespace sluice::http
