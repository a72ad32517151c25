// A long run: see README.md in this folder.

#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "client/writer.h"
#include "tests/fixture/certificate_authority.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/https_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/shell.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Points of a request.
constexpr int64_t kBatch = 20;
constexpr int64_t kRequestsACheck = 5000;
constexpr char kServerNames[] = "DNS:localhost,IP:127.0.0.1";
constexpr char kSluice[] = "client/cli/sluice";
constexpr char kSluiced[] = "server/sluiced";

std::atomic<int> faults = 0;

template <typename... Arguments>
void Fault(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
  ++faults;
  fmt::print("FAULT: {}\n", fmt::format(text, std::forward<Arguments>(arguments)...));
  std::fflush(stdout);
}

// What one writer has sent, by the numbers of its requests.
class Model {
 public:
  // The number of the next request, which is going to be sent.
  int64_t Begin() {
    std::lock_guard lock(mutex_);
    acknowledged_.push_back(false);
    return static_cast<int64_t>(acknowledged_.size()) - 1;
  }
  void Acknowledge(int64_t request) {
    std::lock_guard lock(mutex_);
    acknowledged_[static_cast<size_t>(request)] = true;
  }
  std::vector<bool> Read() const {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<bool> acknowledged_;
};

// Where the server is, and its way from one life to the next.
class World {
 public:
  explicit World(bool own_disk) : own_disk_(own_disk) {
    if (own_disk_) {
      own_disk_ = mount("tmpfs", disk_.path().c_str(), "tmpfs", 0, "size=900m") == 0;
      if (!own_disk_) fmt::print("no file system can be mounted here: the disk is never full\n");
    }
    Rotate();
    Start();
  }
  ~World() {
    server_.reset();
    if (own_disk_) umount2(disk_.path().c_str(), MNT_DETACH);
  }

  bool own_disk() const { return own_disk_; }
  std::string data() const { return disk_.path() + "/data"; }
  std::string backups() const { return backups_.path() + "/all"; }
  std::string ca() const { return authority_.certificate(); }
  uint16_t http_port() const { return http_port_; }
  std::string grpc_address() const { return "127.0.0.1:" + std::to_string(grpc_port_); }
  client::Tls tls() const { return {.files = {.root_certificates = ca()}}; }
  std::unique_ptr<client::Client> Connect() const {
    return client::Client::Connect(grpc_address(), {.tls = tls(), .wait_for_server = false});
  }

  void Start() {
    std::vector<std::string> flags = {
        "--tls-cert-file=" + secret_.certificate(), "--tls-key-file=" + secret_.key(),
        "--backup-dir=" + backups(), "--min-free-disk-bytes=100000000", "--drain-seconds=0"};
    if (http_port_ != 0) {
      flags.push_back(fmt::format("--http-listen=127.0.0.1:{}", http_port_));
      flags.push_back(fmt::format("--grpc-listen=127.0.0.1:{}", grpc_port_));
    }
    server_ = std::make_unique<fixture::ServerProcess>(data(), flags);
    http_port_ = server_->http_port();
    const std::string address = server_->grpc_address();
    grpc_port_ = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  void Kill() { server_->Kill(); }
  void Terminate() {
    const int code = server_->Terminate();
    if (code != 0) Fault("a stop in order ended with {}", code);
  }
  bool IsAlive() { return server_->IsAlive(); }
  void Rotate() {
    secret_.Swap(authority_.Issue("server", kServerNames), authority_.certificate());
  }
  // Fills the disk but for some bytes, for a while.
  void FillDisk(milliseconds time) {
    const std::string file = disk_.path() + "/filler";
    {
      std::ofstream out(file, std::ios::binary);
      const std::string zeros(1 << 20, '\0');
      std::error_code error;
      while (std::filesystem::space(disk_.path(), error).available > (4 << 20) && out) {
        out.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
        out.flush();
      }
    }
    std::this_thread::sleep_for(time);
    std::filesystem::remove(file);
  }

 private:
  bool own_disk_;
  fixture::TempDir disk_;
  fixture::TempDir backups_;
  fixture::CertificateAuthority authority_;
  fixture::MountedSecret secret_;
  std::unique_ptr<fixture::ServerProcess> server_;
  uint16_t http_port_ = 0;
  uint16_t grpc_port_ = 0;
};

// The lines of a request. Each third has a line that is rejected among them.
std::string LinesOf(const std::string& table, int64_t request, bool with_bad) {
  std::string lines;
  for (int64_t i = 0; i < kBatch; ++i) {
    const int64_t n = request * kBatch + i;
    lines += fmt::format("{},k=k{} r={}i,n={}i,f={}.5,s=\"v{}\" {}\n", table, n % 7, request, n, n,
                         n, n + 1);
    if (with_bad && i == kBatch / 2) lines += fmt::format("{},k=k0 r=\"no number\" 1\n", table);
  }
  return lines;
}

// Writes until it is told to stop. `send` says whether a request was acknowledged; nothing where
// the answer is not known.
void WriteOn(const std::atomic<bool>& stop, Model& model,
             const std::function<std::optional<bool>(int64_t request)>& send) {
  std::mt19937 random(std::random_device{}());
  while (!stop) {
    const int64_t request = model.Begin();
    while (true) {
      const std::optional<bool> acknowledged = send(request);
      if (acknowledged == true) {
        model.Acknowledge(request);
        break;
      }
      if (stop) return;
      std::this_thread::sleep_for(milliseconds(20));
      // Some are sent again until they are in, others left as they are.
      if (random() % 2 == 0) break;
    }
  }
}

// Rows of a query; nothing where the server does not answer.
std::optional<nlohmann::json> Ask(fixture::HttpsClient& client, const std::string& sql) {
  const auto answer =
      client.Fetch("GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql));
  if (!answer || answer->status != 200) return std::nullopt;
  return nlohmann::json::parse(answer->body);
}

nlohmann::json MustAsk(fixture::HttpsClient& client, const std::string& sql) {
  std::optional<fixture::HttpsClient::Answer> answer;
  for (int i = 0; i < 120; ++i) {
    answer = client.Fetch("GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql));
    if (answer && answer->status == 200) return nlohmann::json::parse(answer->body);
    // What is not merged yet, a table that is not there yet.
    std::this_thread::sleep_for(milliseconds(500));
  }
  Fault("no answer to {}: {}", sql, answer ? answer->body : "no connection");
  return nlohmann::json::array();
}

// Whether the points of one writer's table are what its model says: all that is acknowledged in
// `at_least`, nothing that is not in `at_most` requests.
int64_t Compare(fixture::HttpsClient& client, const std::string& table,
                const std::vector<bool>& at_least, size_t at_most, const std::string& what) {
  int64_t found = 0;
  const auto requests = static_cast<int64_t>(std::max(at_least.size(), at_most));
  if (std::find(at_least.begin(), at_least.end(), true) == at_least.end()) return 0;
  for (int64_t begin = 0; begin < requests + kRequestsACheck; begin += kRequestsACheck) {
    const int64_t end = begin + kRequestsACheck;
    std::vector<int64_t> points(static_cast<size_t>(kRequestsACheck), 0);
    const nlohmann::json rows = MustAsk(
        client, fmt::format("SELECT r, count(*) AS c, min(n) AS a, max(n) AS z, sum(f - n) AS f, "
                            "sum(s = 'v' || n) AS s FROM {} WHERE time > {} AND time <= {} "
                            "GROUP BY r",
                            table, begin * kBatch, end * kBatch));
    for (const auto& row : rows) {
      const int64_t r = row["r"].get<int64_t>();
      const bool whole = row["c"] == kBatch && row["a"] == r * kBatch &&
                         row["z"] == r * kBatch + kBatch - 1 && row["f"] == kBatch * 0.5 &&
                         row["s"] == kBatch;
      if (!whole) Fault("{}: request {} of {} is there in part: {}", what, r, table, row.dump());
      if (r < begin || r >= end || r >= static_cast<int64_t>(at_most)) {
        Fault("{}: request {} of {} was sent by nobody", what, r, table);
        continue;
      }
      points[static_cast<size_t>(r - begin)] = row["c"].get<int64_t>();
      found += row["c"].get<int64_t>();
    }
    for (int64_t r = begin; r < std::min(end, static_cast<int64_t>(at_least.size())); ++r) {
      if (at_least[static_cast<size_t>(r)] && points[static_cast<size_t>(r - begin)] == 0) {
        Fault("{}: request {} of {} was acknowledged, and is not there", what, r, table);
      }
    }
  }
  return found;
}

struct Options {
  double minutes = 1;
  int kills = 0;
  uint64_t seed = std::random_device{}();
  std::vector<std::string> events = {"kill", "restart", "rotate", "full", "backup"};
};

class Soak {
 public:
  explicit Soak(const Options& options)
      : options_(options),
        random_(options.seed),
        world_(std::find(options.events.begin(), options.events.end(), "full") !=
               options.events.end()) {}

  void Run() {
    if (!world_.Connect()->CreateDatabase("demo").ok()) Fault("the database cannot be made");
    StartWriters();
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(options_.minutes * 60));
    while (Clock::now() < end || kills_ < options_.kills) {
      std::this_thread::sleep_for(milliseconds(300 + random_() % 1200));
      Happen();
      if (!world_.IsAlive()) {
        Fault("the server has ended by itself");
        world_.Start();
      }
    }
    stop_ = true;
    threads_.clear();
    Finish();
  }

 private:
  void StartWriters() {
    for (const char* table : {"http0", "http1"}) {
      threads_.emplace_back([this, table, &model = models_[table]] {
        fixture::HttpsClient client(world_.http_port(), world_.ca());
        WriteOn(stop_, model, [&](int64_t request) -> std::optional<bool> {
          const bool bad = request % 3 == 1;
          const auto answer =
              client.Fetch("POST", "/api/v2/write?bucket=demo", LinesOf(table, request, bad));
          if (!answer) return std::nullopt;
          if (answer->status == (bad ? 400 : 204)) return true;
          if (answer->status != 503) Fault("a write was answered {}", answer->status);
          return false;
        });
      });
    }
    for (const char* table : {"unary0", "unary1"}) {
      threads_.emplace_back([this, table, &model = models_[table]] {
        const auto client = world_.Connect();
        WriteOn(stop_, model, [&](int64_t request) -> std::optional<bool> {
          const auto result = client->Write("demo", LinesOf(table, request, request % 3 == 1));
          if (result.ok()) return result->ingested_points == kBatch;
          // What a server says that is killed is not its own.
          if (client::IsFromServer(result.status()) && !absl::IsUnavailable(result.status())) {
            Fault("a call ended with {}", result.status().ToString());
          }
          return std::nullopt;
        });
      });
    }
    threads_.emplace_back([this] { WriteStream(); });
    threads_.emplace_back([this] { MakeAndDrop(); });
    threads_.emplace_back([this] { Query(); });
  }

  // By the library: it carries on by itself, and in the end everything is in.
  void WriteStream() {
    client::WriterOptions options{.database = "demo", .tls = world_.tls()};
    options.delivery_timeout = absl::Minutes(10);
    options.on_rejected = [](const client::RejectedPoint& point) {
      Fault("a point of the stream was rejected: {}", std::string(point.message));
    };
    client::Writer writer(world_.grpc_address(), options);
    const auto series = writer.AddSeries("stream", {{"k", "k"}});
    int64_t n = 0;
    for (; !stop_; ++n) {
      const absl::Status added = writer.Add(*series, absl::FromUnixNanos(n + 1), {{"n", n}});
      if (!added.ok()) return Fault("the stream takes no more: {}", added.ToString());
      if (n % 200 == 0) std::this_thread::sleep_for(milliseconds(2));
    }
    const client::WriterReport report = writer.Close(absl::Minutes(2));
    if (!report.complete() || report.written != n) {
      Fault("of {} points of the stream {} are written: {}", n, report.written,
            report.last_error.ToString());
    }
    streamed_ = n;
  }

  // A name is used again and again, and what was under it before is gone.
  void MakeAndDrop() {
    fixture::HttpsClient client(world_.http_port(), world_.ca());
    for (int64_t life = 0; !stop_; ++life) {
      const auto made = client.Fetch("POST", "/api/v3/configure/database", R"({"db":"passing"})");
      const auto written = client.Fetch("POST", "/api/v2/write?bucket=passing",
                                        fmt::format("m life={}i {}\n", life, life + 1));
      const auto rows = client.Fetch("GET", "/api/v3/query_sql?db=passing&q=" +
                                                fixture::EncodeParameter("SELECT life FROM m"));
      // Only where nothing came between is it known what there has to be.
      if (made && made->status == 200 && written && written->status == 204 && rows &&
          rows->status == 200 && rows->body != fmt::format("[{{\"life\":{}}}]", life)) {
        Fault("a database that was made anew has {}", rows->body);
      }
      const auto dropped = client.Fetch("DELETE", "/api/v3/configure/database?db=passing");
      if (dropped && dropped->status == 200) ++drops_;
      std::this_thread::sleep_for(milliseconds(50));
    }
  }

  // What was acknowledged before a query began is in its answer.
  void Query() {
    fixture::HttpsClient client(world_.http_port(), world_.ca());
    while (!stop_) {
      for (auto& [table, model] : models_) {
        const std::vector<bool> before = model.Read();
        int64_t last = static_cast<int64_t>(before.size()) - 1;
        while (last >= 0 && !before[static_cast<size_t>(last)]) --last;
        if (last < 0) continue;
        const auto rows =
            Ask(client, fmt::format("SELECT count(*) AS c FROM {} WHERE time > {} AND "
                                    "time <= {}",
                                    table, last * kBatch, (last + 1) * kBatch));
        if (!rows) continue;
        ++queries_;
        if ((*rows)[0]["c"] != kBatch) {
          Fault("request {} of {} was acknowledged, and a query sees {}", last, table,
                rows->dump());
        }
      }
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  void Happen() {
    const std::string& event = options_.events[random_() % options_.events.size()];
    ++events_[event];
    if (event == "kill") {
      world_.Kill();
      ++kills_;
      world_.Start();
    } else if (event == "restart") {
      world_.Terminate();
      world_.Start();
    } else if (event == "rotate") {
      world_.Rotate();
    } else if (event == "full" && world_.own_disk()) {
      world_.FillDisk(milliseconds(500 + random_() % 1500));
      // A log that met the end of the disk ends the process, which whoever runs it starts again.
      std::this_thread::sleep_for(milliseconds(1500));
      if (!world_.IsAlive()) {
        ++ended_by_disk_;
        world_.Start();
      }
    } else if (event == "backup") {
      Backup();
    }
  }

  void Backup() {
    std::map<std::string, std::vector<bool>> before;
    for (const auto& [table, model] : models_) before[table] = model.Read();
    const auto made = world_.Connect()->CreateBackup(3, true);
    if (!made.ok()) {
      // Its place is on the machine's own disk, and the server is there.
      if (!absl::IsUnavailable(made.status())) Fault("a backup: {}", made.status().ToString());
      return;
    }
    last_backup_ = made->id;
    before_backup_ = std::move(before);
    for (const auto& [table, model] : models_) after_backup_[table] = model.Read().size();
  }

  void Finish() {
    world_.Terminate();
    const std::string checked =
        fixture::RunShell(fmt::format("{} check --data-dir {}", kSluiced, world_.data()));
    if (checked.find("faults\t0") == std::string::npos) Fault("the store: {}", checked);
    world_.Start();
    fixture::HttpsClient client(world_.http_port(), world_.ca());
    int64_t points = 0;
    int64_t requests = 0;
    for (const auto& [table, model] : models_) {
      const std::vector<bool> sent = model.Read();
      requests += static_cast<int64_t>(sent.size());
      points += Compare(client, table, sent, sent.size(), "at the end");
    }
    const auto streamed = MustAsk(client, "SELECT count(*) AS c, sum(n) AS s FROM stream");
    if (streamed.empty() || streamed[0]["c"] != streamed_ ||
        streamed[0]["s"] != streamed_ * (streamed_ - 1) / 2) {
      Fault("of {} points of the stream there are {}", streamed_, streamed.dump());
    }
    if (last_backup_ != 0) CompareBackup();
    fmt::print("{} requests, {} points of them; {} points of the stream; {} queries, {} drops\n",
               requests, points, streamed_, queries_.load(), drops_.load());
    for (const auto& [event, count] : events_) fmt::print("{} {}, ", count, event);
    fmt::print("{} ended by a full disk\n", ended_by_disk_);
    if (points == 0 || streamed_ == 0 || queries_ == 0) Fault("nothing has happened");
  }

  void CompareBackup() {
    const fixture::TempDir dir;
    const std::string to = dir.path() + "/data";
    int code = 0;
    const std::string told =
        fixture::RunShell(fmt::format("{} backup restore --backup-dir {} --data-dir {} {}", kSluice,
                                      world_.backups(), to, last_backup_),
                          &code);
    if (code != 0) return Fault("backup {} cannot be restored: {}", last_backup_, told);
    fixture::CertificateAuthority authority;
    fixture::MountedSecret secret;
    secret.Swap(authority.Issue("x", kServerNames), authority.certificate());
    const fixture::ServerProcess server(
        to, {"--tls-cert-file=" + secret.certificate(), "--tls-key-file=" + secret.key()});
    fixture::HttpsClient client(server.http_port(), authority.certificate());
    int64_t points = 0;
    for (const auto& [table, before] : before_backup_) {
      points += Compare(client, table, before, after_backup_[table], "in the backup");
    }
    fmt::print("backup {} has {} points\n", last_backup_, points);
  }

  const Options options_;
  std::mt19937_64 random_;
  World world_;
  std::map<std::string, Model> models_;
  std::atomic<bool> stop_ = false;
  // Written by its thread, read when that has ended.
  int64_t streamed_ = 0;
  std::atomic<int64_t> queries_ = 0;
  std::atomic<int64_t> drops_ = 0;
  int kills_ = 0;
  int ended_by_disk_ = 0;
  std::map<std::string, int> events_;
  int64_t last_backup_ = 0;
  std::map<std::string, std::vector<bool>> before_backup_;
  std::map<std::string, size_t> after_backup_;
  std::vector<std::jthread> threads_;
};

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  sluice::Options options;
  CLI::App app("Writes to a server that is killed, restarted and more, and compares.", "soak");
  app.add_option("--minutes", options.minutes, "how long")->capture_default_str();
  app.add_option("--kills", options.kills, "and not before so many SIGKILLs");
  app.add_option("--seed", options.seed, "of what happens when");
  app.add_option("--events", options.events, "what happens: kill, restart, rotate, full, backup")
      ->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  fmt::print("--seed {}\n", options.seed);
  sluice::Soak(options).Run();
  fmt::print("{} faults\n", sluice::faults.load());
  // As GoogleTest says it, for who counts.
  if (sluice::faults == 0) fmt::print("[  PASSED  ] 1 test.\n");
  return sluice::faults == 0 ? 0 : 1;
}
