// A closed-loop load of writes: several connections with keep-alive, each sending its next request
// when the last is answered. See README.md in this folder.

#include <absl/types/span.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/benchmark/stream_connection.h"
#include "tests/benchmark/workload.h"

namespace sluice::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint16_t port = 8181;
  std::string path = "/api/v2/write?bucket=demo";
  // Write over gRPC instead, to this database.
  std::string grpc_database;
  // In one stream a connection, in the form of that name; empty: unary.
  std::string stream;
  int connections = 4;
  // Batches of a stream that are not acknowledged.
  size_t under_way = 8;
  int64_t points = 1'000'000;
  // How much is generated ahead at once.
  size_t ahead_bytes = size_t{4} << 30;
  WorkloadOptions workload;
};

struct Result {
  double seconds = 0;
  size_t bytes = 0;
  int64_t points = 0;
  std::vector<double> latencies_ms;
  std::string failure;
};

// What the threads of a load share, and what each hands in when it is done.
class Load {
 public:
  Load(const std::vector<std::string>& bodies, Result& result) : bodies_(bodies), result_(result) {}

  // The next body to send; null if there is none.
  const std::string* Next() {
    size_t i = next_++;
    return i < bodies_.size() ? &bodies_[i] : nullptr;
  }
  void HandIn(const std::vector<double>& latencies_ms, const std::string& failure) {
    std::lock_guard lock(mutex_);
    result_.latencies_ms.insert(result_.latencies_ms.end(), latencies_ms.begin(),
                                latencies_ms.end());
    if (!failure.empty()) result_.failure = failure;
  }

 private:
  const std::vector<std::string>& bodies_;
  Result& result_;
  std::atomic<size_t> next_ = 0;
  std::mutex mutex_;
};

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A connection over HTTP, with one request at a time under way. Never waits: `GoOn` does what can
// be done now.
class HttpConnection {
 public:
  explicit HttpConnection(const Options& options) : path_(options.path) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      failure_ = "cannot connect";
    }
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  }
  ~HttpConnection() { close(fd_); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // `body` must stay until the answer is there.
  void Begin(const std::string& body) {
    head_ = fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", path_,
                        body.size());
    body_ = body;
    // One packet for what is small.
    if (body_.size() < 4096) {
      head_ += body_;
      body_ = {};
    }
    head_rest_ = head_;
    answer_.clear();
    under_way_ = true;
    begun_ = Clock::now();
    SendWhatGoes();
  }
  // Whether the request under way has been answered just now. Otherwise it goes on when epoll says
  // that more can be sent or read, which it also says where nothing is under way.
  bool GoOn() {
    if (!under_way_) return false;
    SendWhatGoes();
    char buffer[4096];
    while (answer_.find("\r\n\r\n") == std::string::npos) {
      ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) failure_ = "no answer";
      if (got <= 0) return false;
      answer_.append(buffer, static_cast<size_t>(got));
    }
    under_way_ = false;
    if (!answer_.starts_with("HTTP/1.1 204")) failure_ = answer_;
    return true;
  }

  int fd() const { return fd_; }
  Clock::time_point begun() const { return begun_; }
  // Empty while all is well.
  const std::string& failure() const { return failure_; }

 private:
  void SendWhatGoes() {
    for (std::string_view* rest : {&head_rest_, &body_}) {
      while (!rest->empty()) {
        ssize_t sent = send(fd_, rest->data(), rest->size(), MSG_NOSIGNAL);
        if (sent < 0) {
          if (errno != EAGAIN) failure_ = "cannot send";
          return;
        }
        rest->remove_prefix(static_cast<size_t>(sent));
      }
    }
  }

  const std::string path_;
  int fd_;
  std::string head_;
  std::string_view head_rest_;
  std::string_view body_;
  std::string answer_;
  bool under_way_ = false;
  std::string failure_;
  Clock::time_point begun_;
};

// Sends over some of the connections, on one thread: a thread for each would measure how fast a
// server can wake threads.
void SendOverHttp(absl::Span<const std::unique_ptr<HttpConnection>> connections, Load& load) {
  std::vector<double> latencies_ms;
  std::string failure;
  int epoll = epoll_create1(0);
  size_t under_way = 0;
  for (const std::unique_ptr<HttpConnection>& connection : connections) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = connection.get();
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd(), &event);
    if (const std::string* body = load.Next()) {
      connection->Begin(*body);
      ++under_way;
    }
    if (!connection->failure().empty()) failure = connection->failure();
  }
  if (epoll < 0) failure = "no descriptor for epoll";
  epoll_event events[64];
  while (under_way > 0 && failure.empty()) {
    int ready = epoll_wait(epoll, events, std::size(events), -1);
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<HttpConnection*>(events[i].data.ptr);
      if (connection->GoOn()) {
        latencies_ms.push_back(MillisecondsSince(connection->begun()));
        --under_way;
        if (const std::string* body = load.Next()) {
          connection->Begin(*body);
          ++under_way;
        }
      }
      if (!connection->failure().empty()) failure = connection->failure();
    }
  }
  close(epoll);
  load.HandIn(latencies_ms, failure);
}

// Sends over one connection of gRPC.
void SendOverGrpc(client::Client& client, const std::string& database, Load& load) {
  std::vector<double> latencies_ms;
  std::string failure;
  while (const std::string* body = failure.empty() ? load.Next() : nullptr) {
    Clock::time_point begun = Clock::now();
    absl::StatusOr<client::WriteResult> result = client.Write(database, *body);
    latencies_ms.push_back(MillisecondsSince(begun));
    if (!result.ok()) {
      failure = result.status().ToString();
    } else if (result->rejected_points != 0) {
      failure = "lines rejected";
    }
  }
  load.HandIn(latencies_ms, failure);
}

const std::map<std::string, StreamForm> kForms = {{"lines", StreamForm::kLines},
                                                  {"rows", StreamForm::kRows},
                                                  {"columns", StreamForm::kColumns},
                                                  {"compact", StreamForm::kCompactColumns}};

// All connections of a load.
class Connections {
 public:
  explicit Connections(const Options& options)
      : database_(options.grpc_database), under_way_(options.under_way) {
    for (int i = 0; i < options.connections; ++i) {
      if (!options.stream.empty()) {
        streams_.push_back(std::make_unique<StreamConnection>(
            fmt::format("127.0.0.1:{}", options.port), database_));
      } else if (database_.empty()) {
        http_.push_back(std::make_unique<HttpConnection>(options));
      } else {
        grpc_.push_back(client::Client::Connect(fmt::format("127.0.0.1:{}", options.port)));
      }
    }
  }

  // Sends all bodies, over all connections at once.
  void Send(const std::vector<std::string>& bodies, Result& result) {
    Load load(bodies, result);
    Clock::time_point start = Clock::now();
    std::vector<std::thread> threads;
    size_t each = (http_.size() + kHttpThreads - 1) / kHttpThreads;
    for (size_t first = 0; first < http_.size(); first += each) {
      threads.emplace_back(
          [&, first] { SendOverHttp(absl::MakeConstSpan(http_).subspan(first, each), load); });
    }
    for (size_t i = 0; i < streams_.size(); ++i) {
      threads.emplace_back([&, i] {
        std::vector<const std::string*> batches;
        for (size_t j = i; j < bodies.size(); j += streams_.size()) batches.push_back(&bodies[j]);
        std::vector<double> latencies_ms;
        const std::string failure = streams_[i]->Send(batches, under_way_, latencies_ms);
        load.HandIn(latencies_ms, failure);
      });
    }
    for (const std::unique_ptr<client::Client>& client : grpc_) {
      threads.emplace_back([&] { SendOverGrpc(*client, database_, load); });
    }
    for (std::thread& thread : threads) thread.join();
    result.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  static constexpr size_t kHttpThreads = 2;

  const std::string database_;
  const size_t under_way_;
  std::vector<std::unique_ptr<StreamConnection>> streams_;
  std::vector<std::unique_ptr<HttpConnection>> http_;
  std::vector<std::unique_ptr<client::Client>> grpc_;
};

int Run(const Options& options) {
  std::unique_ptr<Workload> workload = MakeWorkload(options.workload);
  if (workload == nullptr) {
    fmt::print(stderr, "there is no shape '{}'\n", options.workload.shape);
    return 2;
  }
  Connections connections(options);
  Result result;
  std::vector<std::string> bodies;
  while (result.points < options.points && result.failure.empty()) {
    size_t bytes = 0;
    size_t count = 0;
    while (result.points < options.points && bytes < options.ahead_bytes) {
      if (count == bodies.size()) bodies.emplace_back();
      workload->Next(bodies[count]);
      if (!options.stream.empty()) {
        bodies[count] = MakeBatch(bodies[count], kForms.find(options.stream)->second);
      }
      bytes += bodies[count++].size();
      result.points += workload->lines_in_body();
    }
    bodies.resize(count);
    result.bytes += bytes;
    connections.Send(bodies, result);
  }
  if (!result.failure.empty()) {
    fmt::print(stderr, "a write failed: {}\n", result.failure);
    return 1;
  }
  std::vector<double>& all = result.latencies_ms;
  std::sort(all.begin(), all.end());
  fmt::print(
      "{{\"points\": {}, \"bytes\": {}, \"seconds\": {:.3f}, \"points_per_second\": {:.0f}, "
      "\"p50_ms\": {:.2f}, \"p99_ms\": {:.2f}}}\n",
      result.points, result.bytes, result.seconds,
      static_cast<double>(result.points) / result.seconds, all[all.size() / 2],
      all[all.size() * 99 / 100]);
  return 0;
}

// Prints bodies instead of sending them.
int Print(const Options& options) {
  std::unique_ptr<Workload> workload = MakeWorkload(options.workload);
  if (workload == nullptr) return 2;
  std::string body;
  for (int64_t points = 0; points < options.points; points += workload->lines_in_body()) {
    workload->Next(body);
    fmt::print("{}", body);
  }
  return 0;
}

}  // namespace

int Main(int argc, char** argv) {
  Options options;
  bool print = false;
  std::string shapes = "\n";
  for (const Shape& shape : Shapes()) shapes += fmt::format("  {}: {}\n", shape.name, shape.about);
  CLI::App app("Loads a server with writes and measures it; prints a line of JSON.", "load");
  app.add_option("--port", options.port, "on 127.0.0.1")->capture_default_str();
  app.add_option("--path", options.path, "path and query")->capture_default_str();
  app.add_option("--grpc", options.grpc_database, "write over gRPC, to this database");
  app.add_option("--stream", options.stream,
                 "with --grpc: in streams, as lines, rows, columns, or compact columns")
      ->check(CLI::IsMember({"lines", "rows", "columns", "compact"}));
  app.add_option("--under-way", options.under_way, "batches of a stream")->capture_default_str();
  app.add_option("--connections", options.connections, "at once")->capture_default_str();
  app.add_option("--points", options.points, "in all")->capture_default_str();
  app.add_option("--shape", options.workload.shape, "one of:" + shapes)->capture_default_str();
  app.add_option("--series", options.workload.series, "in place of the shape's own number");
  app.add_option("--lines", options.workload.lines,
                 "a request, in place of the shape's own number");
  app.add_option("--start", options.workload.start_s, "first timestamp, in seconds")
      ->capture_default_str();
  app.add_option("--ahead-bytes", options.ahead_bytes, "generated before they are sent")
      ->capture_default_str();
  app.add_flag("--print", print, "print the bodies instead of sending them");
  CLI11_PARSE(app, argc, argv);
  return print ? Print(options) : Run(options);
}

}  // namespace sluice::benchmark

int main(int argc, char** argv) { return sluice::benchmark::Main(argc, argv); }
