#include "server/http/server.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "server/http/connection.h"
#include "server/http/tls.h"

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

// How often to look for clients that have taken too long.
constexpr std::chrono::milliseconds kWatchPeriod(50);

// A thread and the connections that live on it.
struct Shard {
  // A worker may be the last to let go of it.
  std::shared_ptr<asio::io_context> context = std::make_shared<asio::io_context>(1);
  // For its thread alone.
  std::set<Connection*> connections;
  std::thread thread;
};

class AsioServer : public Server {
 public:
  AsioServer(const ServerOptions& options, server::MemoryBudget& budget, Handler handler)
      : options_(options),
        budget_(budget),
        handler_(std::move(handler)),
        shards_(std::max<size_t>(1, options.threads)),
        acceptor_(*shards_[0].context) {
    if (options.certificates != nullptr) tls_.emplace(*options.certificates, options.clients);
  }
  ~AsioServer() override { Stop(std::chrono::milliseconds(0)); }

  // Whether there is a certificate that can be used, if there is to be one.
  absl::Status CheckTls() { return tls_ ? tls_->Now().status() : absl::OkStatus(); }
  absl::Status Listen();
  void Serve();

  uint16_t port() const override { return acceptor_.local_endpoint().port(); }
  size_t connections() override {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }
  void Stop(std::chrono::milliseconds grace) override;

 private:
  using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;

  Awaitable<void> Accept();
  Awaitable<void> AcceptOne(Shard& shard);
  struct Entry {
    Executor executor;
    std::weak_ptr<Connection> connection;
  };
  using EntryIterator = std::list<Entry>::iterator;

  Awaitable<void> Serve(Shard& shard, std::shared_ptr<Connection> connection, EntryIterator entry);
  void Leave(EntryIterator entry);
  Awaitable<void> Watch(Shard& shard);
  using Act = void (Connection::*)();
  // On the first `count` connections, which have been there longest. With mutex_ held.
  void OnOldest(size_t count, Act act);
  void OnAll(Act act);
  bool MakeRoom();

  const ServerOptions options_;
  server::MemoryBudget& budget_;
  const Handler handler_;
  std::optional<TlsContexts> tls_;
  std::vector<Shard> shards_;
  Acceptor acceptor_;
  std::atomic<bool> stopping_ = false;

  std::mutex mutex_;
  std::condition_variable left_;
  // When MakeRoom may look again where it has found none.
  Clock::time_point next_way_;
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
  asio::co_spawn(shards_[0].context->get_executor(), Accept(), asio::detached);
  for (Shard& shard : shards_) {
    asio::co_spawn(shard.context->get_executor(), Watch(shard), asio::detached);
    shard.thread = std::thread([&shard] { shard.context->run(); });
    pthread_setname_np(shard.thread.native_handle(), "http");
  }
}

// One shard after the other gets a connection.
Awaitable<void> AsioServer::Accept() {
  for (size_t next = 0; !stopping_; next = (next + 1) % shards_.size()) {
    try {
      co_await AcceptOne(shards_[next]);
    } catch (const std::exception&) {
      // For want of memory there was no room for this one.
    }
  }
}

Awaitable<void> AsioServer::AcceptOne(Shard& shard) {
  error_code ec;
  Socket socket(*shard.context);
  co_await acceptor_.async_accept(socket, Await(ec));
  if (stopping_) co_return;
  if (ec) {
    Timer pause(*shards_[0].context, kAcceptPause);
    co_await pause.async_wait(Await(ec));
    co_return;
  }
  if (!MakeRoom()) co_return;
  std::shared_ptr<asio::ssl::context> tls;
  if (tls_) {
    auto now = tls_->Now();
    if (!now.ok()) co_return;
    tls = *std::move(now);
  }
  auto connection = std::make_shared<Connection>(std::move(socket), tls.get(), handler_, options_,
                                                 budget_, shard.context);
  EntryIterator entry;
  {
    // From here on a stop waits for it. What its thread would not come to any more would never be
    // freed: the connection keeps the context, and that the connection.
    std::lock_guard lock(mutex_);
    if (stopping_) co_return;
    entry = entries_.insert(entries_.end(), {shard.context->get_executor(), connection});
  }
  try {
    asio::co_spawn(shard.context->get_executor(), Serve(shard, std::move(connection), entry),
                   asio::detached);
  } catch (const std::exception&) {
    Leave(entry);
    throw;
  }
}

void AsioServer::Leave(EntryIterator entry) {
  std::lock_guard lock(mutex_);
  entries_.erase(entry);
  left_.notify_all();
}

Awaitable<void> AsioServer::Serve(Shard& shard, std::shared_ptr<Connection> connection,
                                  EntryIterator entry) {
  // Memory that cannot be had ends this connection and no other; a stop waits for the entry.
  try {
    shard.connections.insert(connection.get());
    if (!stopping_) co_await connection->Run();
  } catch (const std::exception&) {
    connection->Cut();
  }
  shard.connections.erase(connection.get());
  Leave(entry);
}

Awaitable<void> AsioServer::Watch(Shard& shard) {
  Timer timer(*shard.context);
  while (true) {
    error_code ec;
    timer.expires_after(kWatchPeriod);
    co_await timer.async_wait(Await(ec));
    const Clock::time_point now = Clock::now();
    for (Connection* connection : shard.connections) connection->CutIfExpired(now);
  }
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

// Where there are too many connections, closes those that are idle or slow among the older half.
// False where there is no room even so: the descriptors that are left are for others.
bool AsioServer::MakeRoom() {
  std::lock_guard lock(mutex_);
  if (entries_.size() < options_.max_connections) return true;
  const size_t tenth = options_.max_connections / 10 + 1;
  const size_t excess = entries_.size() - options_.max_connections;
  const Clock::time_point now = Clock::now();
  // Where that has brought nothing it is not tried again for each that comes.
  if (excess < tenth || now >= next_way_) {
    OnOldest(std::max(excess + tenth, entries_.size() / 2), &Connection::MakeWay);
    next_way_ = now + kWatchPeriod;
  }
  return excess < tenth;
}

void AsioServer::Stop(std::chrono::milliseconds grace) {
  if (stopping_.exchange(true)) return;
  asio::post(*shards_[0].context, [this] {
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
  for (Shard& shard : shards_) shard.context->stop();
  for (Shard& shard : shards_) {
    if (shard.thread.joinable()) shard.thread.join();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      server::MemoryBudget& budget,
                                                      Handler handler) {
  auto server = std::make_unique<AsioServer>(options, budget, std::move(handler));
  absl::Status listening = server->CheckTls();
  if (listening.ok()) listening = server->Listen();
  if (!listening.ok()) return listening;
  server->Serve();
  return server;
}

}  // namespace sluice::http
