#include "server/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

// Asio 1.74 needs <utility> first.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/http/connection.h"

namespace sluice::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// How long to wait when no connection can be accepted, for want of file descriptors say.
constexpr std::chrono::milliseconds kAcceptPause(50);
// How long a client that is in the middle of sending or reading may still take when the server
// stops.
constexpr std::chrono::milliseconds kPatience(500);

class AsioServer : public Server {
 public:
  AsioServer(const ServerOptions& options, server::MemoryBudget& budget, Handler handler)
      : options_(options), budget_(budget), handler_(std::move(handler)), acceptor_(*context_) {}
  ~AsioServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen();
  void Serve();

  uint16_t port() const override { return acceptor_.local_endpoint().port(); }
  void Stop(std::chrono::milliseconds grace) override;

 private:
  asio::awaitable<void> Accept();
  asio::awaitable<void> AcceptOne();
  asio::awaitable<void> Serve(std::shared_ptr<Connection> connection);
  using Act = void (Connection::*)();
  // On the first `count` connections, which have been there longest. With mutex_ held.
  void OnOldest(size_t count, Act act);
  void OnAll(Act act);
  void MakeRoom();

  const ServerOptions options_;
  server::MemoryBudget& budget_;
  const Handler handler_;
  // A worker may be the last to let go of it.
  const std::shared_ptr<asio::io_context> context_ = std::make_shared<asio::io_context>();
  tcp::acceptor acceptor_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_ = false;

  struct Entry {
    asio::any_io_executor executor;
    std::weak_ptr<Connection> connection;
  };
  std::mutex mutex_;
  std::condition_variable left_;
  std::list<Entry> entries_;
};

absl::Status AsioServer::Listen() {
  error_code ec;
  tcp::endpoint endpoint(asio::ip::make_address(options_.host, ec), options_.port);
  if (!ec) acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("cannot listen for HTTP on {}:{}: {}", options_.host,
                                            options_.port, ec.message()));
}

void AsioServer::Serve() {
  asio::co_spawn(*context_, Accept(), asio::detached);
  for (size_t i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { context_->run(); });
  }
}

asio::awaitable<void> AsioServer::Accept() {
  while (!stopping_) {
    try {
      co_await AcceptOne();
    } catch (const std::exception&) {
      // For want of memory there was no room for this one.
    }
  }
}

asio::awaitable<void> AsioServer::AcceptOne() {
  {
    error_code ec;
    auto strand = asio::make_strand(*context_);
    tcp::socket socket(strand);
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
    if (stopping_) co_return;
    if (ec) {
      asio::steady_timer pause(*context_, kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      co_return;
    }
    MakeRoom();
    auto connection =
        std::make_shared<Connection>(std::move(socket), handler_, options_, budget_, context_);
    asio::co_spawn(strand, Serve(std::move(connection)), asio::detached);
  }
}

asio::awaitable<void> AsioServer::Serve(std::shared_ptr<Connection> connection) {
  std::list<Entry>::iterator entry;
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  {
    std::lock_guard lock(mutex_);
    entry = entries_.insert(entries_.end(), {executor, connection});
  }
  // Memory that cannot be had ends this connection and no other; a stop waits for the entry.
  try {
    if (!stopping_) co_await connection->Run();
  } catch (const std::exception&) {
    connection->Cut();
  }
  std::lock_guard lock(mutex_);
  entries_.erase(entry);
  left_.notify_all();
}

void AsioServer::OnOldest(size_t count, Act act) {
  for (auto entry = entries_.begin(); entry != entries_.end() && count > 0; ++entry, --count) {
    asio::post(entry->executor, [weak = entry->connection, act] {
      if (auto connection = weak.lock()) ((*connection).*act)();
    });
  }
}

void AsioServer::OnAll(Act act) {
  std::lock_guard lock(mutex_);
  OnOldest(entries_.size(), act);
}

// Where there are too many connections, closes the oldest that are idle, a tenth of all at once.
void AsioServer::MakeRoom() {
  std::lock_guard lock(mutex_);
  if (entries_.size() < options_.max_connections) return;
  size_t excess = entries_.size() - options_.max_connections;
  OnOldest(excess + options_.max_connections / 10 + 1, &Connection::CloseIfIdle);
}

void AsioServer::Stop(std::chrono::milliseconds grace) {
  if (stopping_.exchange(true)) return;
  asio::post(*context_, [this] {
    error_code ignored;
    acceptor_.close(ignored);
  });
  OnAll(&Connection::CloseWhenIdle);
  auto all_left = [this] { return entries_.empty(); };
  std::unique_lock lock(mutex_);
  // Nobody waits long for a client that sends or reads slowly.
  if (!left_.wait_for(lock, std::min<std::chrono::milliseconds>(grace, kPatience), all_left)) {
    lock.unlock();
    OnAll(&Connection::CutUnlessWorking);
    lock.lock();
  }
  if (!left_.wait_for(lock, grace, all_left)) {
    lock.unlock();
    OnAll(&Connection::Cut);
    lock.lock();
    // What is left waits for a worker, which refers to it.
    left_.wait(lock, all_left);
  }
  lock.unlock();
  context_->stop();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      server::MemoryBudget& budget,
                                                      Handler handler) {
  auto server = std::make_unique<AsioServer>(options, budget, std::move(handler));
  absl::Status listening = server->Listen();
  if (!listening.ok()) return listening;
  server->Serve();
  return server;
}

}  // namespace sluice::http
