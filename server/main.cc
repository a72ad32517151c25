// Constructs everything, and waits for a signal to take it down again.

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "server/auth/authority.h"
#include "server/auth/first_admin.h"
#include "server/config.h"
#include "server/gate/parts.h"
#include "server/gate/readiness.h"
#include "server/gauges.h"
#include "server/grpc/log.h"
#include "server/grpc/server.h"
#include "server/http/cors.h"
#include "server/http/router.h"
#include "server/http/server.h"
#include "server/influx/database_route.h"
#include "server/influx/error_response.h"
#include "server/influx/health_route.h"
#include "server/influx/observed.h"
#include "server/influx/query_route.h"
#include "server/influx/token_route.h"
#include "server/influx/write_route.h"
#include "server/ingest/pipeline.h"
#include "server/observability/log.h"
#include "server/observability/metrics.h"
#include "server/observability/requests.h"
#include "server/query/query.h"
#include "server/resources/allocation_meter.h"
#include "server/resources/container.h"
#include "server/resources/memory_budget.h"
#include "server/resources/memory_plan.h"
#include "server/resources/workers.h"
#include "server/tls/certificates.h"
#include "server/version.h"
#include "storage/caught.h"
#include "storage/rocksdb/check.h"
#include "storage/rocksdb/store.h"
#include "storage/timestamp.h"

namespace sluice::server {
namespace {

// For each processor: they judge, and now and then wait for the disk where something is managed.
constexpr size_t kWriteWorkersACpu = 2;
constexpr size_t kMinWriteWorkers = 4;
// With less memory than this, what the allocator keeps for later would be too much of it.
constexpr uint64_t kScarceBytes = uint64_t{4} << 30;
constexpr size_t kQueryWorkers = 4;
// What the merging keeps of one.
constexpr size_t kBytesAPartition = 1024;
// One thread merges what three or four others write.
constexpr unsigned kCoresAMerge = 4;
constexpr std::chrono::seconds kGrace(10);
constexpr std::chrono::milliseconds kLastWords(100);
// Of answers that are not read yet: a few of the largest.
constexpr size_t kMinAnswerBytes = size_t{16} << 20;
// What an idle HTTP connection takes, measured; and how much of the memory all of them may.
constexpr size_t kConnectionBytes = 9 << 10;
constexpr size_t kTlsConnectionBytes = 77 << 10;
constexpr size_t kConnectionsPart = 10;
constexpr size_t kMinConnections = 100;
constexpr size_t kAdminConnections = 100;
constexpr size_t kMaxAdminBodyBytes = size_t{64} << 10;

// Descriptors that are not for HTTP connections: the store's files, gRPC, SQLite's temporary files.
constexpr size_t kReservedFiles = 2048;
constexpr size_t kMaxStoreFiles = 1024;
// With less nothing would get its share.
constexpr size_t kMinFiles = 256;

struct FileLimits {
  size_t http_connections;
  size_t store_files;
};

// A connection is a file descriptor, and the default limit is low.
absl::StatusOr<FileLimits> AllowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return FileLimits{kReservedFiles, kMaxStoreFiles};
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const size_t files = limit.rlim_cur;
  if (files < kMinFiles) {
    return absl::UnavailableError(
        fmt::format("the process may open {} files, of which it needs {} at least; raise the hard "
                    "limit (ulimit -Hn, LimitNOFILE)",
                    files, kMinFiles));
  }
  return FileLimits{files > 2 * kReservedFiles ? files - kReservedFiles : files / 4,
                    std::min(kMaxStoreFiles, files / 4)};
}

// Signals that end the server wait for WaitForSignal; threads started later inherit this.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // What a terminal that closes sends, unless whoever started this wants it to be ignored (nohup).
  struct sigaction hangup = {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A file that may not grow is an error of that write and not the end of the process.
  signal(SIGXFSZ, SIG_IGN);
  return signals;
}

// Returns on a signal. Ends the process where the store is no longer usable: opening it again,
// which whatever runs the server does, is all that helps, and closing it is no longer possible.
void WaitForSignal(const sigset_t& signals, const storage::Store& store) {
  constexpr timespec kPeriod = {.tv_sec = 0, .tv_nsec = 500'000'000};
  int number = 0;
  bool writable = true;
  while ((number = sigtimedwait(&signals, nullptr, &kPeriod)) < 0) {
    const absl::Status taken = store.CheckWritable();
    if (taken.ok() != std::exchange(writable, taken.ok())) {
      if (taken.ok()) {
        spdlog::info("writes are taken again");
      } else {
        spdlog::warn("writes are refused: {}", std::string(taken.message()));
      }
    }
    absl::Status usable = store.CheckUsable();
    if (usable.ok()) continue;
    spdlog::critical("{}; ending, to be started again", std::string(usable.message()));
    // Answers under way still go out.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::_Exit(1);
  }
  spdlog::info("stopping on {}", strsignal(number));
}

// Ends the process if it has not ended by itself by then: SQLite may be in a function that nothing
// can stop. What was acknowledged is with the system by now.
void EndWithin(std::chrono::seconds time) {
  std::thread([time] {
    std::this_thread::sleep_for(time);
    spdlog::warn("not everything has stopped; ending all the same");
    std::_Exit(0);
  }).detach();
}

std::string Join(const Address& address) {
  bool v6 = address.host.find(':') != std::string::npos;
  std::string host = v6 ? fmt::format("[{}]", address.host) : address.host;
  return fmt::format("{}:{}", host, address.port);
}

// One that a write has made, where writes may.
void TellOfDatabase(const storage::DatabaseName& name, const ingest::Origin& origin) {
  const observability::LogField fields[] = {{"door", origin.door},
                                            {"method", "a write that made its database"},
                                            {"principal", origin.principal},
                                            {"database", name.text()},
                                            {"peer", origin.peer}};
  observability::Log(observability::LogLevel::kInfo, "audit", fields);
}

// Owns what the doors are made of.
class Core {
 public:
  Core(std::unique_ptr<storage::Store> store, std::unique_ptr<auth::Authority> authority,
       std::unique_ptr<query::Governor> governor, MemoryBudget& bodies, const MemoryPlan& plan,
       unsigned cpus, const Config& config, const tls::Certificates* certificates)
      : store_(std::move(store)),
        authority_(std::move(authority)),
        governor_(std::move(governor)),
        judging_(plan.judging_bytes),
        answers_(std::max(plan.body_bytes / 2, kMinAnswerBytes)),
        requests_(metrics_, std::chrono::seconds(config.slow_request_seconds)),
        backups_(*store_, readiness_, config.backup_dir, config.min_free_disk_bytes, metrics_),
        write_workers_(std::max(kMinWriteWorkers, kWriteWorkersACpu * cpus)),
        pipeline_(*store_, rejections_, write_workers_,
                  {.limits = {.max_tables = config.max_tables, .max_columns = config.max_columns},
                   .create_databases = config.create_databases,
                   .created = &TellOfDatabase}),
        gate_(*authority_, *store_, pipeline_, readiness_),
        parts_{*store_,  pipeline_,      rejections_,    *authority_, gate_,    readiness_,
               bodies,   judging_,       answers_,       *governor_,  metrics_, requests_,
               backups_, write_workers_, query_workers_, certificates} {
    AddGauges(parts_, std::string(kVersion));
  }

  const Parts& parts() const { return parts_; }
  void Drain() { readiness_.Drain(); }

 private:
  const std::unique_ptr<storage::Store> store_;
  const std::unique_ptr<auth::Authority> authority_;
  const std::unique_ptr<query::Governor> governor_;
  MemoryBudget judging_;
  MemoryBudget answers_;
  Readiness readiness_{*store_};
  ingest::RejectionLog rejections_{{}, storage::NowNs() / 1000};
  observability::Metrics metrics_;
  observability::Requests requests_;
  Backups backups_;
  Workers write_workers_;
  Workers query_workers_{kQueryWorkers};
  ingest::Pipeline pipeline_;
  const Gate gate_;
  const Parts parts_;
};

// A file that is there while a server has the store. To be made once the store is opened, which one
// process at a time can do.
class RunMark {
 public:
  explicit RunMark(const std::string& data_dir) : path_(data_dir + "/running") {
    std::error_code error;
    was_unclean_ = std::filesystem::exists(path_, error);
    // Where it cannot be made the next start looks like one in order.
    std::ofstream(path_).flush();
  }
  // Whether the one before has left its.
  bool was_unclean() const { return was_unclean_; }
  void Remove() const {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

 private:
  const std::string path_;
  bool was_unclean_ = false;
};

// By what the flags say and the container has.
absl::StatusOr<MemoryPlan> MakeMemoryPlan(const Config& config, const ContainerLimits& limits) {
  const uint64_t available = AvailableMemory(limits);
  if (config.max_memory_bytes > available) {
    return absl::InvalidArgumentError(
        fmt::format("--max-memory-bytes is {}, and there are {} bytes of memory",
                    config.max_memory_bytes, available));
  }
  return PlanMemory(config.max_memory_bytes > 0 ? config.max_memory_bytes : available,
                    config.max_body_bytes);
}

absl::StatusOr<std::unique_ptr<Core>> OpenCore(const Config& config, const MemoryPlan& plan,
                                               size_t max_open_files, unsigned cpus,
                                               MemoryBudget& bodies,
                                               const tls::Certificates* certificates) {
  const size_t merge_threads = std::max(1u, cpus / kCoresAMerge);
  auto store = storage::OpenRocksDbStore(
      config.data_dir, {.min_free_disk_bytes = config.min_free_disk_bytes,
                        .block_cache_bytes = plan.block_cache_bytes,
                        .write_buffer_bytes = plan.write_buffer_bytes,
                        .max_open_files = max_open_files,
                        .compaction = {.threads = merge_threads,
                                       .max_merge_bytes = plan.merge_bytes,
                                       .max_partitions = plan.merge_bytes / kBytesAPartition},
                        .cut_damaged_log = config.cut_damaged_log,
                        .log = [](const std::string& line) { spdlog::error("{}", line); }});
  if (!store.ok()) return store.status();
  for (const storage::Damage& damage : (*store)->Damages()) {
    spdlog::error("database '{}' is damaged, and served as far as it can be read: {}",
                  damage.database, std::string(damage.found.message()));
  }
  auto authority = config.without_auth ? auth::Authority::OpenWithoutAuth(**store)
                                       : auth::Authority::Open(**store);
  if (!authority.ok()) return authority.status();
  if (config.without_auth) {
    spdlog::warn("NO AUTHENTICATION: everyone who can connect may do everything");
  } else {
    auto made = auth::EnsureFirstAdmin(
        **authority, {config.admin_token, config.admin_token_file, config.data_dir},
        storage::NowNs());
    if (!made.ok()) return made.status();
    bool given = !config.admin_token.empty() || !config.admin_token_file.empty();
    if (!made->empty()) spdlog::warn("made an admin token; it is in {}", *made);
    if (given) spdlog::info("the token given is valid for admin; one made before is not any more");
  }
  auto governor = query::Governor::Create({.memory_bytes = plan.query_bytes,
                                           .temporary_dir = config.data_dir + "/tmp",
                                           .min_free_disk_bytes = config.min_free_disk_bytes});
  if (!governor.ok()) return governor.status();
  return std::make_unique<Core>(*std::move(store), *std::move(authority), *std::move(governor),
                                bodies, plan, cpus, config, certificates);
}

// Null where there is to be none.
absl::StatusOr<std::unique_ptr<tls::Certificates>> OpenCertificates(const Config& config) {
  if (!config.tls.given()) {
    if (!IsLoopback(config.http_listen) || !IsLoopback(config.grpc_listen)) {
      spdlog::warn("tokens and points travel in plain text: --tls-cert-file is not given");
    }
    return nullptr;
  }
  return tls::Certificates::Open(config.tls,
                                 [](const std::string& line) { spdlog::warn("{}", line); });
}

void AddGauges(const tls::Certificates& certificates, observability::Metrics& metrics) {
  metrics.AddGauge("sluice_tls_certificate_expiry_timestamp_seconds",
                   "When the certificate that the server shows ceases to be valid.",
                   [&] { return static_cast<double>(certificates.Now()->expiry_ns) / 1e9; });
  metrics.AddCounter("sluice_tls_reloads_total", "Certificates taken in place of another.",
                     [&] { return static_cast<double>(certificates.reloads()); });
  metrics.AddCounter("sluice_tls_reload_failures_total",
                     "Changes of the certificate's files that could not be taken.",
                     [&] { return static_cast<double>(certificates.failures()); });
  metrics.AddGauge("sluice_tls_files_ok",
                   "0 while the certificate's files are of no use, and an older one is shown.",
                   [&] { return certificates.files_ok() ? 1.0 : 0.0; });
}

void AddRoutes(const Parts& parts, const Config& config, http::Router& router) {
  influx::AddHealthRoutes(router, parts, kVersion);
  if (!config.admin_listen) influx::AddMetricsRoute(router, parts);
  influx::AddWriteRoutes(router, parts, config.max_body_bytes);
  influx::AddQueryRoutes(router, parts, std::chrono::seconds(config.query_timeout_seconds));
  influx::AddDatabaseRoutes(router, parts);
  influx::AddTokenRoutes(router, parts);
  influx::AddDebugRoutes(router, parts);
}

void AddAdminRoutes(const Parts& parts, const Config& config, http::Router& router) {
  influx::AddHealthRoutes(router, parts, kVersion);
  influx::AddMetricsRoute(router, parts);
  // This port asks nobody for a certificate, and without tokens not for anything.
  if (!config.without_auth) influx::AddDebugRoutes(router, parts);
}

// The ports for HTTP: the one that everybody uses, and that of the administration if it has one.
// They answer, if only that the server is starting, while the store is opened.
class HttpDoors {
 public:
  static absl::StatusOr<std::unique_ptr<HttpDoors>> Open(const Config& config,
                                                         const tls::Certificates* certificates,
                                                         size_t max_connections,
                                                         MemoryBudget& bodies) {
    std::unique_ptr<HttpDoors> doors(new HttpDoors());
    http::ServerOptions options = {.host = config.http_listen.host,
                                   .port = config.http_listen.port,
                                   .max_connections = max_connections,
                                   .max_body_bytes = config.max_body_bytes,
                                   .errors = influx::kErrors,
                                   .certificates = certificates,
                                   .clients = config.tls_clients};
    const http::CorsOptions cors = {config.cors_origins, influx::kExposedHeaders};
    auto server = http::Server::Start(
        options, bodies, http::WithCors(cors, influx::kErrors, doors->HandlerOf(doors->handler_)));
    if (!server.ok()) return server.status();
    doors->server_ = *std::move(server);
    if (!config.admin_listen) return doors;
    auto admin = http::Server::Start({.host = config.admin_listen->host,
                                      .port = config.admin_listen->port,
                                      .threads = 1,
                                      .max_connections = kAdminConnections,
                                      .max_body_bytes = kMaxAdminBodyBytes,
                                      .errors = influx::kErrors},
                                     bodies, doors->HandlerOf(doors->admin_handler_));
    if (!admin.ok()) return admin.status();
    doors->admin_ = *std::move(admin);
    return doors;
  }

  // From here on they answer by `parts`, which must outlive them.
  void Serve(const Parts& parts, const Config& config) {
    AddRoutes(parts, config, router_);
    AddAdminRoutes(parts, config, admin_router_);
    parts.metrics.AddGauge("sluice_http_connections", "Clients that are connected for HTTP.",
                           [this] { return static_cast<double>(server_->connections()); });
    handler_ = influx::Observed(parts, router_);
    admin_handler_ = influx::Observed(parts, admin_router_);
    started_ = true;
  }

  uint16_t port() const { return server_->port(); }
  // Zero where there is none.
  uint16_t admin_port() const { return admin_ == nullptr ? 0 : admin_->port(); }

  // Probes are answered until the end.
  void Stop(std::chrono::milliseconds grace) { server_->Stop(grace); }

 private:
  HttpDoors() = default;

  http::Handler HandlerOf(const http::Handler& handler) {
    return [this, &handler](const http::RequestHead& head) {
      return started_ ? handler(head) : influx::AnswerWhileStarting(head, kVersion);
    };
  }

  http::Router router_{influx::kErrors};
  http::Router admin_router_{influx::kErrors};
  http::Handler handler_;
  http::Handler admin_handler_;
  std::atomic<bool> started_ = false;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> admin_;
};

// Takes the server down in order: first it says that it stops, to balancers and to writers, who
// come back later; then it ends what is under way.
//
// The store is synced and not closed: its threads may be in the middle of something, of which the
// next start makes no more than of a crash, and nobody is to wait for them.
absl::Status TakeDown(Core& core, HttpDoors& http, grpc_door::Server& grpc_server,
                      const Config& config) {
  core.Drain();
  // Streams end before anything else does, so that what they have read is acknowledged.
  grpc_server.Drain(std::chrono::milliseconds(750) * config.drain_seconds);
  std::this_thread::sleep_for(std::chrono::seconds(config.drain_seconds));
  query::StopQueries();
  EndWithin(2 * kGrace);
  std::jthread http_stop([&http] { http.Stop(kGrace); });
  if (!grpc_server.WaitForCalls(kGrace)) spdlog::warn("some gRPC calls have not ended");
  http_stop.join();
  absl::Status synced = core.parts().store.Sync();
  // What gRPC has been given to send goes out.
  std::this_thread::sleep_for(kLastWords);
  return synced;
}

// Ends the process without taking anything apart.
[[noreturn]] void End(const absl::Status& status) {
  if (status.ok()) {
    spdlog::info("stopped");
  } else {
    spdlog::critical("stopped: {}", std::string(status.message()));
  }
  // Other threads may still have something to say.
  spdlog::default_logger_raw()->flush();
  std::_Exit(status.ok() ? 0 : 1);
}

absl::Status Run(const Config& config) {
  observability::SetUpLog(config.log_format);
  grpc_door::SetUpLog();
  sigset_t signals = BlockSignals();
  for (const std::string& name : config.unknown_variables) {
    spdlog::warn("the environment has {}, which is no setting; see --help", name);
  }
  absl::StatusOr<FileLimits> files = AllowManyFiles();
  if (!files.ok()) return files.status();
  const ContainerLimits limits = ReadContainerLimits();
  absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(config, limits);
  if (!plan.ok()) return plan.status();
  const unsigned cpus = AvailableCpus(limits);
  spdlog::info("{}; {} CPUs", ToString(*plan), cpus);
  if (plan->total_bytes < kScarceBytes) ReturnFreePagesAtOnce();
  MemoryBudget bodies(plan->body_bytes);
  auto certificates = OpenCertificates(config);
  if (!certificates.ok()) return certificates.status();
  // Nobody else counts what they take.
  const size_t connections = std::min<size_t>(
      files->http_connections,
      std::max<size_t>(kMinConnections,
                       plan->total_bytes / kConnectionsPart /
                           (config.tls.given() ? kTlsConnectionBytes : kConnectionBytes)));
  std::unique_ptr<Core> core;
  auto http = HttpDoors::Open(config, certificates->get(), connections, bodies);
  if (!http.ok()) return http.status();
  const grpc_door::ServerOptions grpc_options = {
      .version = std::string(kVersion),
      .address = Join(config.grpc_listen),
      .max_body_bytes = config.max_body_bytes,
      .query_timeout = std::chrono::seconds(config.query_timeout_seconds),
      .max_connection_age = std::chrono::seconds(config.max_connection_age_seconds),
      .certificates = certificates->get(),
      .clients = config.tls_clients};
  auto starting = grpc_door::StartingServer::Start(grpc_options);
  if (!starting.ok()) return starting.status();
  auto opened = OpenCore(config, *plan, files->store_files, cpus, bodies, certificates->get());
  if (!opened.ok()) return opened.status();
  core = *std::move(opened);
  if (*certificates != nullptr) AddGauges(**certificates, core->parts().metrics);
  const RunMark run_mark(config.data_dir);
  if (run_mark.was_unclean()) {
    spdlog::warn(
        "the server that had {} before did not end in order: it was killed, or a fault "
        "ended it",
        config.data_dir);
  }
  core->parts().metrics.AddGauge(
      "sluice_unclean_start",
      "1 where the server that had the store before was killed, or ended by a fault.",
      [&run_mark] { return run_mark.was_unclean() ? 1.0 : 0.0; });
  starting->reset();
  auto grpc_server = grpc_door::Server::Start(grpc_options, core->parts());
  if (!grpc_server.ok()) return grpc_server.status();
  (*http)->Serve(core->parts(), config);
  if (config.admin_listen) {
    spdlog::info("probes and metrics on {}, in plain text",
                 Join({config.admin_listen->host, (*http)->admin_port()}));
  }
  spdlog::info("Sluice {} serves HTTP on {} and gRPC on {}, {}data in {}", kVersion,
               Join({config.http_listen.host, (*http)->port()}),
               Join({config.grpc_listen.host, static_cast<uint16_t>((*grpc_server)->port())}),
               config.tls.given() ? "over TLS, " : "", config.data_dir);
  WaitForSignal(signals, core->parts().store);
  const absl::Status stopped = TakeDown(*core, **http, **grpc_server, config);
  if (stopped.ok()) run_mark.Remove();
  End(stopped);
}

}  // namespace
}  // namespace sluice::server

namespace {

// Looks over a store that no server has open, and says what there is and what is wrong.
int Check(const sluice::server::CheckCommand& command) {
  const auto report = sluice::storage::CheckStore(command.data_dir, [](size_t blocks) {
    if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r{} blocks", blocks);
  });
  if (!report.ok()) {
    fmt::print(stderr, "error: {}\n", std::string(report.status().message()));
    return 1;
  }
  fmt::print("databases\t{}\ntables\t{}\ntokens\t{}\nblocks\t{}\nrows\t{}\nfaults\t{}\n",
             report->databases, report->tables, report->tokens, report->blocks, report->rows,
             report->faults.size());
  for (const std::string& fault : report->faults) fmt::print("fault\t{}\n", fault);
  return report->faults.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  auto parsed = sluice::server::ParseConfig(argc, argv);
  if (auto* exit = std::get_if<sluice::server::Exit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  if (auto* check = std::get_if<sluice::server::CheckCommand>(&parsed)) return Check(*check);
  absl::Status status = sluice::storage::Caught(
      [&] { return sluice::server::Run(std::get<sluice::server::Config>(parsed)); });
  if (!status.ok()) spdlog::critical("{}", std::string(status.message()));
  return status.ok() ? 0 : 1;
}
