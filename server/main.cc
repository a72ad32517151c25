// Constructs everything, and waits for a signal to take it down again.

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "server/config.h"
#include "server/grpc/server.h"
#include "server/http/database_route.h"
#include "server/http/health_route.h"
#include "server/http/query_route.h"
#include "server/http/router.h"
#include "server/http/server.h"
#include "server/http/write_route.h"
#include "server/ingest/pipeline.h"
#include "server/query/query.h"
#include "server/version.h"
#include "server/workers.h"
#include "storage/rocksdb_store.h"

namespace sluice::server {
namespace {

// Enough that concurrent commits share a sync of the write-ahead log.
constexpr size_t kWriteWorkers = 32;
constexpr size_t kQueryWorkers = 4;
constexpr std::chrono::seconds kGrace(10);

// Descriptors that are not for HTTP connections: the store's files, gRPC, SQLite's temporary files.
constexpr size_t kReservedFiles = 2048;

// A connection is a file descriptor, and the default limit is low. Returns how many connections the
// limit leaves room for.
size_t AllowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kReservedFiles;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  size_t files = limit.rlim_cur;
  return files > 2 * kReservedFiles ? files - kReservedFiles : files / 2;
}

// Signals that end the server wait for WaitForSignal; threads started later inherit this.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

void WaitForSignal(const sigset_t& signals) {
  int number = 0;
  sigwait(&signals, &number);
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

absl::Status Run(const Config& config) {
  sigset_t signals = BlockSignals();
  const size_t max_connections = AllowManyFiles();
  auto store = storage::OpenRocksDbStore(config.data_dir);
  if (!store.ok()) return store.status();
  ingest::Pipeline pipeline(**store,
                            {.max_tables = config.max_tables, .max_columns = config.max_columns});
  Workers write_workers(kWriteWorkers);
  Workers query_workers(kQueryWorkers);
  const std::chrono::seconds query_timeout(config.query_timeout_seconds);

  http::Router router;
  http::AddHealthRoutes(router, kVersion);
  http::AddWriteRoutes(router, pipeline, **store, write_workers, config.max_body_bytes);
  http::AddQueryRoutes(router, **store, query_workers, query_timeout);
  http::AddDatabaseRoutes(router, **store, write_workers);
  auto http_server =
      http::Server::Start({.host = config.http_listen.host,
                           .port = config.http_listen.port,
                           .max_connections = max_connections,
                           .max_body_bytes = config.max_body_bytes},
                          [&router](const http::RequestHead& head) { return router.Begin(head); });
  if (!http_server.ok()) return http_server.status();

  auto grpc_server = grpc_door::Server::Start({.address = Join(config.grpc_listen),
                                               .max_body_bytes = config.max_body_bytes,
                                               .query_timeout = query_timeout},
                                              {**store, pipeline, write_workers, query_workers});
  if (!grpc_server.ok()) return grpc_server.status();

  if (!config.without_auth) spdlog::warn("this version has no tokens yet");
  spdlog::warn("NO AUTHENTICATION: everyone who can connect may do everything");
  spdlog::info("Sluice {} serves HTTP on {} and gRPC on {}, data in {}", kVersion,
               Join({config.http_listen.host, (*http_server)->port()}),
               Join({config.grpc_listen.host, static_cast<uint16_t>((*grpc_server)->port())}),
               config.data_dir);
  WaitForSignal(signals);
  query::StopQueries();
  EndWithin(2 * kGrace);
  (*http_server)->Stop(kGrace);
  (*grpc_server)->Stop(kGrace);
  return absl::OkStatus();
}

}  // namespace
}  // namespace sluice::server

int main(int argc, char** argv) {
  auto parsed = sluice::server::ParseConfig(argc, argv);
  if (auto* exit = std::get_if<sluice::server::Exit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  absl::Status status = sluice::server::Run(std::get<sluice::server::Config>(parsed));
  if (status.ok()) return 0;
  spdlog::critical("{}", std::string(status.message()));
  return 1;
}
