#ifndef SLUICE_SERVER_CONFIG_H_
#define SLUICE_SERVER_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/observability/log.h"
#include "server/tls/certificates.h"

namespace sluice::server {

// A host, as a numeric address, and a port; port 0 takes a free one.
struct Address {
  std::string host;
  uint16_t port = 0;
};

// HOST:PORT, [HOST]:PORT for IPv6, or :PORT for all interfaces. InvalidArgument for anything else.
absl::StatusOr<Address> ParseAddress(const std::string& text);
// Whether nobody but this machine can connect there.
bool IsLoopback(const Address& address);

// What the server was told. Every flag --some-thing is also SLUICE_SOME_THING in the environment;
// the flag goes first.
struct Config {
  std::string data_dir = "./data";
  // Where backups are made; none are where it is empty.
  std::string backup_dir;
  Address http_listen = {"127.0.0.1", 8181};
  Address grpc_listen = {"127.0.0.1", 8182};
  // For probes and metrics, in plain text; none where there is no such port.
  std::optional<Address> admin_listen;
  bool without_auth = false;
  // Whether others than this machine may connect though nobody is asked who they are.
  bool open_to_network = false;
  // With a certificate both ports speak TLS, and nothing else.
  tls::Files tls;
  tls::Clients tls_clients = tls::Clients::kMust;
  // Where the first admin token is given (contract W-71): a file, or the environment's
  // SLUICE_ADMIN_TOKEN, which is no flag since everyone can see those.
  std::string admin_token_file;
  std::string admin_token;
  bool create_databases = false;
  size_t max_body_bytes = size_t{10} << 20;
  // Of the whole server; 0 for what its container or machine has.
  size_t max_memory_bytes = 0;
  size_t min_free_disk_bytes = size_t{256} << 20;
  // Whether to open a store of which the log is damaged, without what comes behind.
  bool cut_damaged_log = false;
  size_t max_tables = 500;
  size_t max_columns = 250;
  int query_timeout_seconds = 300;
  // Of gRPC connections, and of streams of writes; 0 for as long as they like.
  int max_connection_age_seconds = 0;
  // How long the server, told to stop, still answers that it is stopping.
  int drain_seconds = 1;
  observability::LogFormat log_format = observability::LogFormat::kText;
  // What takes longer is logged; 0: nothing is for that.
  int slow_request_seconds = 5;
  // Of web pages that may use the HTTP API.
  std::vector<std::string> cors_origins;
  // Names in the environment that begin as ours do and are none.
  std::vector<std::string> unknown_variables;
};

// What to print, and the exit code, instead of running: after --help or a bad flag.
struct Exit {
  int code = 0;
  std::string text;
};

// `sluiced check`: look over the store in a directory instead of serving it.
struct CheckCommand {
  std::string data_dir;
};

std::variant<Config, CheckCommand, Exit> ParseConfig(int argc, const char* const* argv);

}  // namespace sluice::server

#endif  // SLUICE_SERVER_CONFIG_H_
