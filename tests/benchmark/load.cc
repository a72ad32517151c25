// A closed-loop load of writes: several connections with keep-alive, each sending its next request
// when the last is answered. See README.md in this folder.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/benchmark/workload.h"

namespace sluice::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint16_t port = 8181;
  std::string path = "/api/v2/write?bucket=demo";
  // Write over gRPC instead, to this database.
  std::string grpc_database;
  int connections = 4;
  int64_t points = 1'000'000;
  // How much is generated ahead at once.
  size_t ahead_bytes = size_t{4} << 30;
  WorkloadOptions workload;
};

// One connection to a server. For one thread.
class Writer {
 public:
  virtual ~Writer() = default;
  // Empty if the server took all of `body`, else what it said.
  virtual std::string Write(const std::string& body) = 0;
};

class HttpWriter : public Writer {
 public:
  explicit HttpWriter(const Options& options) : path_(options.path) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~HttpWriter() override { close(fd_); }

  std::string Write(const std::string& body) override {
    std::string head = fmt::format(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", path_, body.size());
    bool small = body.size() < 4096;
    if (small) head += body;
    if (!connected_ || !SendAll(head) || (!small && !SendAll(body))) return "cannot send";
    std::string answer;
    char buffer[4096];
    while (answer.find("\r\n\r\n") == std::string::npos) {
      ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got <= 0) return "no answer";
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer.starts_with("HTTP/1.1 204") ? "" : answer;
  }

 private:
  bool SendAll(std::string_view data) {
    while (!data.empty()) {
      ssize_t sent = send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  const std::string path_;
  int fd_;
  bool connected_ = false;
};

class GrpcWriter : public Writer {
 public:
  explicit GrpcWriter(const Options& options)
      : client_(client::Client::Connect(fmt::format("127.0.0.1:{}", options.port))),
        database_(options.grpc_database) {}

  std::string Write(const std::string& body) override {
    absl::StatusOr<client::WriteResult> result = client_->Write(database_, body);
    if (!result.ok()) return result.status().ToString();
    return result->rejected_lines == 0 ? "" : "lines rejected";
  }

 private:
  const std::unique_ptr<client::Client> client_;
  const std::string database_;
};

std::unique_ptr<Writer> Connect(const Options& options) {
  if (options.grpc_database.empty()) return std::make_unique<HttpWriter>(options);
  return std::make_unique<GrpcWriter>(options);
}

struct Result {
  double seconds = 0;
  size_t bytes = 0;
  int64_t points = 0;
  std::vector<double> latencies_ms;
  std::string failure;
};

// Sends all bodies, over all connections at once.
void Send(const std::vector<std::string>& bodies, std::vector<std::unique_ptr<Writer>>& writers,
          Result& result) {
  std::atomic<size_t> next = 0;
  std::vector<std::vector<double>> latencies(writers.size());
  std::vector<std::string> failures(writers.size());
  Clock::time_point start = Clock::now();
  std::vector<std::thread> threads;
  for (size_t w = 0; w < writers.size(); ++w) {
    threads.emplace_back([&, w] {
      for (size_t i = next++; i < bodies.size() && failures[w].empty(); i = next++) {
        Clock::time_point sent = Clock::now();
        failures[w] = writers[w]->Write(bodies[i]);
        latencies[w].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  result.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  for (size_t w = 0; w < writers.size(); ++w) {
    result.latencies_ms.insert(result.latencies_ms.end(), latencies[w].begin(), latencies[w].end());
    if (!failures[w].empty()) result.failure = failures[w];
  }
}

int Run(const Options& options) {
  std::unique_ptr<Workload> workload = MakeWorkload(options.workload);
  if (workload == nullptr) {
    fmt::print(stderr, "there is no shape '{}'\n", options.workload.shape);
    return 2;
  }
  std::vector<std::unique_ptr<Writer>> writers;
  for (int i = 0; i < options.connections; ++i) writers.push_back(Connect(options));
  Result result;
  std::vector<std::string> bodies;
  while (result.points < options.points && result.failure.empty()) {
    size_t bytes = 0;
    size_t count = 0;
    while (result.points < options.points && bytes < options.ahead_bytes) {
      if (count == bodies.size()) bodies.emplace_back();
      workload->Next(bodies[count]);
      bytes += bodies[count++].size();
      result.points += workload->lines_in_body();
    }
    bodies.resize(count);
    result.bytes += bytes;
    Send(bodies, writers, result);
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
