// A closed-loop load of writes over HTTP: TSBS "cpu-only"-like lines, several connections with
// keep-alive, the next request when the last is answered. See README.md in this folder.

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
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint16_t port = 8181;
  std::string path = "/api/v2/write?bucket=demo";
  int connections = 4;
  int hosts = 1000;
  int lines = 5000;
  int64_t points = 1'000'000;
  int64_t start_s = 1'700'000'000;
  int server_pid = 0;
};

constexpr const char* kFields[] = {
    "usage_user", "usage_system",  "usage_idle",  "usage_nice",  "usage_iowait",
    "usage_irq",  "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"};

// The tags of one host.
std::string SeriesOf(int host) {
  static constexpr const char* kRegions[] = {"us-east-1",    "us-west-1",  "eu-west-1",
                                             "eu-central-1", "ap-south-1", "ap-northeast-1",
                                             "sa-east-1"};
  const char* region = kRegions[host % 7];
  return fmt::format(
      "cpu,hostname=host_{},region={},datacenter={}{},rack={},os=Ubuntu{},arch={},team={},service={"
      "},"
      "service_version={},service_environment={}",
      host, region, region, "abc"[host % 3], host % 100, host % 2 == 0 ? "16.04LTS" : "15.10",
      host % 3 == 0 ? "x64" : "x86", host % 2 == 0 ? "SF" : "NYC", host % 20, host % 2,
      host % 3 == 0 ? "production" : "staging");
}

// Makes the requests' bodies: point n is host n % hosts at ten-second intervals.
class Generator {
 public:
  explicit Generator(const Options& options) : options_(options) {
    for (int host = 0; host < options.hosts; ++host) series_.push_back(SeriesOf(host));
  }

  std::string Body(int64_t first_point) {
    std::string body;
    for (int64_t n = first_point; n < first_point + options_.lines; ++n) {
      body += series_[static_cast<size_t>(n % options_.hosts)];
      char separator = ' ';
      for (const char* field : kFields) {
        fmt::format_to(std::back_inserter(body), "{}{}={}i", separator, field, random_() % 101);
        separator = ',';
      }
      int64_t seconds = options_.start_s + n / options_.hosts * 10;
      fmt::format_to(std::back_inserter(body), " {}000000000\n", seconds);
    }
    return body;
  }

 private:
  const Options& options_;
  std::vector<std::string> series_;
  std::minstd_rand random_;
};

int Connect(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

bool SendAll(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t sent = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Sends one write; true if it was answered with 204.
bool Write(int fd, const Options& options, const std::string& body) {
  std::string head =
      fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", options.path,
                  body.size());
  if (!SendAll(fd, head) || !SendAll(fd, body)) return false;
  std::string answer;
  char buffer[4096];
  while (answer.find("\r\n\r\n") == std::string::npos) {
    ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    answer.append(buffer, static_cast<size_t>(got));
  }
  return answer.starts_with("HTTP/1.1 204");
}

// User and system time of a process, in seconds.
double CpuSeconds(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string stat{std::istreambuf_iterator<char>(file), {}};
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
  constexpr size_t kUser = 11;
  constexpr size_t kSystem = 12;
  if (values.size() <= kSystem) return 0;
  return (std::stod(values[kUser]) + std::stod(values[kSystem])) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}

int Run(const Options& options) {
  std::vector<std::string> bodies;
  Generator generator(options);
  size_t bytes = 0;
  for (int64_t n = 0; n < options.points; n += options.lines) {
    bodies.push_back(generator.Body(n));
    bytes += bodies.back().size();
  }
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> failed = 0;
  std::vector<std::vector<double>> latencies(static_cast<size_t>(options.connections));
  double cpu = CpuSeconds(options.server_pid);
  Clock::time_point start = Clock::now();
  std::vector<std::thread> threads;
  for (auto& mine : latencies) {
    threads.emplace_back([&] {
      int fd = Connect(options.port);
      for (size_t i = next++; i < bodies.size(); i = next++) {
        Clock::time_point sent = Clock::now();
        if (fd < 0 || !Write(fd, options, bodies[i])) ++failed;
        mine.push_back(std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
      }
      if (fd >= 0) close(fd);
    });
  }
  for (std::thread& thread : threads) thread.join();
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  cpu = CpuSeconds(options.server_pid) - cpu;
  std::vector<double> all;
  for (const auto& mine : latencies) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  double points = static_cast<double>(bodies.size()) * options.lines;
  fmt::print("{:.0f} points, {:.0f} MB, {} requests failed\n", points, bytes / 1e6, failed.load());
  fmt::print("{:.0f} points/s, {:.0f} MB/s\n", points / seconds, bytes / 1e6 / seconds);
  fmt::print("latency of a request: p50 {:.1f} ms, p99 {:.1f} ms\n", all[all.size() / 2],
             all[all.size() * 99 / 100]);
  if (options.server_pid > 0) {
    fmt::print("server: {:.2f} CPU-seconds per million points\n", cpu / points * 1e6);
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Loads a server with writes over HTTP, and measures it.", "write_load");
  app.add_option("--port", options.port, "on 127.0.0.1")->capture_default_str();
  app.add_option("--path", options.path, "path and query")->capture_default_str();
  app.add_option("--connections", options.connections, "at once")->capture_default_str();
  app.add_option("--hosts", options.hosts, "series")->capture_default_str();
  app.add_option("--lines", options.lines, "a request")->capture_default_str();
  app.add_option("--points", options.points, "in all")->capture_default_str();
  app.add_option("--start", options.start_s, "first timestamp, in seconds")->capture_default_str();
  app.add_option("--server-pid", options.server_pid, "process whose CPU time to count");
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
