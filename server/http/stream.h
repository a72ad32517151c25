#ifndef SLUICE_SERVER_HTTP_STREAM_H_
#define SLUICE_SERVER_HTTP_STREAM_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

// Asio 1.74 uses std::exchange, and needs <utility> first.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::http {

// A connection lives on the one thread of its context, so that nothing about it needs a lock; and
// the executor is named by its type, for one that is not costs an allocation at every turn.
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;
template <typename T>
using Awaitable = boost::asio::awaitable<T, Executor>;

// Completes an operation with an error code in `ec` instead of an exception.
inline auto Await(boost::system::error_code& ec) {
  return boost::asio::redirect_error(boost::asio::use_awaitable_t<Executor>(), ec);
}

// The bytes of one client's connection, as they are or over TLS. A stream as Asio and Beast know
// them. For the thread of its executor.
//
// Time limits are no timers: each would be set and cancelled at every turn. Instead one watch looks
// at all streams of a thread now and then, so that a limit may be exceeded by as long.
class Stream {
 public:
  using executor_type = Executor;

  // Speaks TLS where `tls` is not null; after Handshake.
  Stream(Socket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) tls_.emplace(socket_, *tls);
  }

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }

  Awaitable<void> Handshake(boost::system::error_code& ec) {
    if (tls_) co_await tls_->async_handshake(boost::asio::ssl::stream_base::server, Await(ec));
  }

  // Null for plain text.
  SSL* secured() { return tls_ ? tls_->native_handle() : nullptr; }

  // Tells the client that nothing was cut off.
  Awaitable<void> SayGoodbye() {
    boost::system::error_code ignored;
    if (tls_ && socket_.is_open()) co_await tls_->async_shutdown(Await(ignored));
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return tls_ ? tls_->async_read_some(buffers, std::forward<Token>(token))
                : socket_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return tls_ ? tls_->async_write_some(buffers, std::forward<Token>(token))
                : socket_.async_write_some(buffers, std::forward<Token>(token));
  }
  // Writes what there is room for at once, and returns how much that was: mostly all, and then
  // nothing has to be waited for.
  size_t WriteNow(std::string_view bytes) {
    if (tls_) return 0;
    boost::system::error_code ec;
    const size_t written = socket_.write_some(boost::asio::buffer(bytes), ec);
    // What is wrong shows again when it is waited for.
    return ec ? 0 : written;
  }

  void ExpireAt(Clock::time_point time) { expiry_ = time; }
  void ExpireAfter(Clock::duration time) { expiry_ = Clock::now() + time; }
  void ExpireNever() { expiry_ = Clock::time_point::max(); }
  // For the watch.
  void CloseIfExpired(Clock::time_point now) {
    if (expiry_ <= now) Close();
  }

  void Close() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_both, ignored);
    socket_.close(ignored);
  }
  // So that the client sees that it was cut.
  void Reset() {
    boost::system::error_code ignored;
    socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

 private:
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  Clock::time_point expiry_ = Clock::time_point::max();
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_STREAM_H_
