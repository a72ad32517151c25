#include "server/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <set>
#include <string_view>

#include "server/version.h"
#include "storage/settings.h"

namespace sluice::server {
namespace {

std::string EnvironmentName(std::string flag) {
  for (char& c : flag) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return "SLUICE_" + flag;
}

constexpr int kUsage = 2;

// Kubernetes describes a service named "sluice" to the containers of its namespace this way.
bool IsFromKubernetes(std::string_view name) {
  return name.starts_with("SLUICE_SERVICE_") || name == "SLUICE_PORT" ||
         name.starts_with("SLUICE_PORT_");
}

// Variables that look like ours and are not: what is misspelt would otherwise be silently ignored.
std::vector<std::string> UnknownVariables(const CLI::App& app) {
  std::set<std::string, std::less<>> known = {"SLUICE_ADMIN_TOKEN",
                                              // The client's.
                                              "SLUICE_TOKEN", "SLUICE_SERVER", "SLUICE_CONFIG",
                                              "SLUICE_TLS", "SLUICE_CA_FILE", "SLUICE_CERT_FILE",
                                              "SLUICE_KEY_FILE"};
  for (const CLI::Option* option : app.get_options()) known.insert(option->get_envname());
  std::vector<std::string> unknown;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (name.starts_with("SLUICE_") && !known.contains(name) && !IsFromKubernetes(name)) {
      unknown.emplace_back(name);
    }
  }
  return unknown;
}

// Whether what is said about who may connect makes sense, and lets in nobody by mistake.
absl::Status CheckAccess(const Config& config, bool client_cert_optional) {
  if (config.tls.certificate.empty() != config.tls.key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert-file and --tls-key-file go together; only one is given");
  }
  if (!config.tls.client_ca.empty() && !config.tls.given()) {
    return absl::InvalidArgumentError("--tls-client-ca-file needs --tls-cert-file");
  }
  if (client_cert_optional && config.tls.client_ca.empty()) {
    return absl::InvalidArgumentError("--tls-client-cert-optional needs --tls-client-ca-file");
  }
  const bool asks = !config.without_auth ||
                    (!config.tls.client_ca.empty() && config.tls_clients == tls::Clients::kMust);
  const bool local = IsLoopback(config.http_listen) && IsLoopback(config.grpc_listen);
  if (asks || local || config.open_to_network) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--without-auth would let everyone in the network do everything: leave it out, listen on "
      "127.0.0.1, ask clients for certificates (--tls-client-ca-file), or say that it is meant "
      "with --open-to-network");
}

class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}

  template <typename T>
  CLI::Option* Add(const std::string& name, T& value, const std::string& help) {
    return app_.add_option("--" + name, value, help)
        ->envname(EnvironmentName(name))
        ->capture_default_str();
  }
  void AddSwitch(const std::string& name, bool& value, const std::string& help) {
    app_.add_flag("--" + name, value, help)->envname(EnvironmentName(name));
  }

 private:
  CLI::App& app_;
};

}  // namespace

absl::StatusOr<Address> ParseAddress(const std::string& text) {
  size_t colon = text.rfind(':');
  Address address;
  bool valid = colon != std::string::npos;
  if (valid) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    auto parsed = std::from_chars(text.data() + colon + 1, end, address.port);
    valid = parsed.ec == std::errc() && parsed.ptr == end;
  }
  if (!valid) return absl::InvalidArgumentError(fmt::format("'{}' is not HOST:PORT", text));
  if (address.host.empty()) address.host = "0.0.0.0";
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  return address;
}

bool IsLoopback(const Address& address) {
  return address.host == "::1" || address.host.starts_with("127.");
}

std::variant<Config, CheckCommand, Exit> ParseConfig(int argc, const char* const* argv) {
  Config config;
  std::string http_listen = "127.0.0.1:8181";
  std::string grpc_listen = "127.0.0.1:8182";
  std::string admin_listen;
  std::string log_format = "text";
  bool client_cert_optional = false;
  CLI::App app(
      "Sluice takes time-series points over gRPC and InfluxDB's HTTP API, says line by line "
      "what it rejected, and answers SQL.",
      "sluiced");
  app.set_version_flag("--version", std::string(kVersion));
  Flags flags(app);
  flags.Add("data-dir", config.data_dir, "where the data is; made if it is not there");
  flags.Add("backup-dir", config.backup_dir,
            "where backups are made when an admin asks for one (sluice backup create); on a disk "
            "of its own, if they are to outlive that of the data");
  flags.Add("http-listen", http_listen, "HOST:PORT for HTTP");
  flags.Add("grpc-listen", grpc_listen, "HOST:PORT for gRPC");
  flags.Add("admin-listen", admin_listen,
            "HOST:PORT of a second port for HTTP, in plain text, for probes, metrics and what is "
            "under way; /metrics is only there then");
  flags.AddSwitch("without-auth", config.without_auth,
                  "let everyone who can connect do everything, without tokens");
  flags.AddSwitch("open-to-network", config.open_to_network,
                  "with --without-auth, listen on other addresses than loopback though nobody is "
                  "asked who they are");
  flags.Add("tls-cert-file", config.tls.certificate,
            "certificate of the server in PEM, with those between it and its authority's; with it "
            "both ports speak TLS. Read anew when it changes, as are the next two");
  flags.Add("tls-key-file", config.tls.key, "its private key, in PEM");
  flags.Add("tls-client-ca-file", config.tls.client_ca,
            "certificates of the authorities that clients must have theirs from, in PEM");
  flags.AddSwitch("tls-client-cert-optional", client_cert_optional,
                  "let in clients that bring no certificate too; what they bring must be valid");
  flags.Add("admin-token-file", config.admin_token_file,
            "file with the first admin token; it can also be given in the environment as "
            "SLUICE_ADMIN_TOKEN. With neither, one is made at the first start and left in the data "
            "directory, in the file admin-token");
  flags.AddSwitch("create-databases", config.create_databases,
                  "let a write create the database that it names");
  flags
      .Add("max-body-bytes", config.max_body_bytes,
           "largest body of a write, as sent and decompressed")
      ->check(CLI::Range(size_t{1024}, size_t{1} << 30));
  flags
      .Add("max-memory-bytes", config.max_memory_bytes,
           "memory for the whole server, of which writes, queries and the store get their shares; "
           "0 for what its container, or else the machine, has")
      ->check(CLI::Range(size_t{0}, size_t{1} << 50));
  flags
      .Add("min-free-disk-bytes", config.min_free_disk_bytes,
           "with less of the disk free, writes get 503")
      ->check(CLI::Range(size_t{0}, size_t{1} << 50));
  flags.AddSwitch("cut-damaged-log", config.cut_damaged_log,
                  "start in spite of a log that is damaged, without what was written from the "
                  "damage on, which is lost; for one start");
  flags
      .Add("max-tables", config.max_tables,
           "most tables in a database, where it has no limit of its own")
      ->check(CLI::Range(size_t{1}, size_t{storage::kMaxTableLimit}));
  flags
      .Add("max-columns", config.max_columns,
           "most columns in a table, time included, where its database has no limit of its own")
      ->check(CLI::Range(size_t{2}, size_t{storage::kMaxColumnLimit}));
  flags.Add("query-timeout-seconds", config.query_timeout_seconds, "how long a query may run")
      ->check(CLI::Range(1, 86400));
  flags
      .Add("max-connection-age-seconds", config.max_connection_age_seconds,
           "after which gRPC clients are to connect anew, so that they spread over the servers; 0: "
           "never")
      ->check(CLI::Range(0, 1'000'000));
  flags
      .Add("drain-seconds", config.drain_seconds,
           "how long, when told to stop, to refuse writes with 503 before closing")
      ->check(CLI::Range(0, 3600));
  flags.Add("log-format", log_format, "text, or json: one object a line")
      ->check(CLI::IsMember({"text", "json"}));
  flags
      .Add("slow-request-seconds", config.slow_request_seconds,
           "log requests that take longer; 0: none for that")
      ->check(CLI::Range(0, 86400));
  flags.Add("cors-origin", config.cors_origins,
            "origin of web pages that may use the HTTP API, such as https://example.org, or *; "
            "may be repeated");
  CLI::App* check = app.add_subcommand(
      "check",
      "read all of the store in --data-dir, which no server may have open, and say what "
      "is wrong with it; exit code 1 where something is");
  check->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    // CLI11 has a code for each kind of mistake, which nobody knows.
    const int code = app.exit(error, text, text) == 0 ? 0 : kUsage;
    return Exit{code, text.str()};
  }
  if (check->parsed()) return CheckCommand{config.data_dir};
  config.unknown_variables = UnknownVariables(app);
  if (const char* token = std::getenv("SLUICE_ADMIN_TOKEN")) config.admin_token = token;
  if (!config.admin_token.empty() && !config.admin_token_file.empty()) {
    return Exit{kUsage, "SLUICE_ADMIN_TOKEN and --admin-token-file are both given; give one\n"};
  }
  auto http = ParseAddress(http_listen);
  auto grpc = ParseAddress(grpc_listen);
  if (!http.ok())
    return Exit{kUsage, "--http-listen: " + std::string(http.status().message()) + "\n"};
  if (!grpc.ok())
    return Exit{kUsage, "--grpc-listen: " + std::string(grpc.status().message()) + "\n"};
  config.http_listen = *http;
  config.grpc_listen = *grpc;
  if (!admin_listen.empty()) {
    auto admin = ParseAddress(admin_listen);
    if (!admin.ok())
      return Exit{kUsage, "--admin-listen: " + std::string(admin.status().message()) + "\n"};
    config.admin_listen = *admin;
  }
  if (log_format == "json") config.log_format = observability::LogFormat::kJson;
  if (client_cert_optional) config.tls_clients = tls::Clients::kMay;
  const absl::Status safe = CheckAccess(config, client_cert_optional);
  if (!safe.ok()) return Exit{kUsage, std::string(safe.message()) + "\n"};
  return config;
}

}  // namespace sluice::server
