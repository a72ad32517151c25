// The command line client: `sluice --help`.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "client/cli/completion.h"
#include "client/cli/format.h"
#include "client/cli/print.h"
#include "client/cli/write.h"
#include "client/client.h"
#include "client/writer.h"
#include "server/auth/token.h"
#include "server/version.h"
#include "storage/retention.h"
#include "storage/rocksdb/backup.h"

namespace sluice::client {
namespace {

// How often `rejections tail --follow` asks, and for how many at once.
constexpr absl::Duration kFollowPeriod = absl::Seconds(1);
constexpr uint32_t kMaxFollowed = 1000;

struct Options {
  std::string server = "127.0.0.1:8182";
  std::string token;
  std::string token_file;
  TlsFiles tls_files;
  bool tls_always = false;
  std::string tls_server_name;
  // What the above come to.
  std::optional<Tls> tls;
  std::string database;
  std::string table;
  std::string file = "-";
  std::string sql;
  // Empty where they were not given.
  std::string retention;
  std::string max_tables;
  std::string max_columns;
  std::string precision = "ns";
  bool accept_partial = true;
  bool no_sync = false;
  bool dry_run = false;
  std::string resume_id;
  std::string csv_table;
  std::vector<std::string> csv_tags;
  std::string csv_time = "time";
  std::string csv_separator = ",";
  std::vector<std::string> csv_nulls;
  std::string format;
  int64_t points = 10'000'000;
  uint32_t count = 20;
  bool follow = false;
  std::string token_name;
  bool admin = false;
  std::vector<std::string> read;
  std::vector<std::string> written;
  std::string expires_in;
  std::string certificate_name;
  uint64_t max_requests_per_second = 0;
  uint64_t max_bytes_per_second = 0;
  // Of backups, on this machine.
  std::string backup_dir;
  std::string data_dir;
  // The newest where it is not given.
  std::optional<uint32_t> backup_id;
  int32_t keep = 0;
  bool verify = true;
};

std::string Hint(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return ReasonOf(status) == "DATABASE_NOT_FOUND"
                 ? "sluice database list shows those that there are; sluice database create makes "
                   "one."
                 : "";
    case absl::StatusCode::kUnavailable:
      return IsFromServer(status)
                 ? "Try again later."
                 : "Does a server serve gRPC there? --server HOST:PORT names another.";
    case absl::StatusCode::kResourceExhausted:
      return "A body has at most 10 MiB, or the server's --max-body-bytes: send less at once.";
    case absl::StatusCode::kUnauthenticated:
      return "Give a valid token: --token, --token-file, or SLUICE_TOKEN in the environment.";
    default:
      return "";
  }
}

// Exit codes. That for a command that is none is as sysexits.h has it.
constexpr int kFailed = 1;
constexpr int kRejected = 2;
constexpr int kUsage = 64;
// As a shell says it of SIGINT.
constexpr int kInterrupted = 130;

// `hints` at what a server or its flags would do about it.
int Fail(const absl::Status& status, bool hints = true) {
  std::string message(status.message());
  fmt::print(stderr, "error: {}\n", message);
  for (const auto& [field, description] : ViolationsOf(status)) {
    if (description != message) fmt::print(stderr, "  {}: {}\n", field, description);
  }
  if (std::string hint = Hint(status); hints && !hint.empty()) fmt::print(stderr, "{}\n", hint);
  return kFailed;
}

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("cannot read the file " + path);
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::optional<absl::Duration>> DurationOf(const std::string& text) {
  auto ns = storage::ParseRetention(text);
  if (!ns.ok()) return ns.status();
  std::optional<absl::Duration> duration;
  if (*ns) duration = absl::Nanoseconds(**ns);
  return duration;
}

absl::StatusOr<std::optional<uint32_t>> LimitOf(const std::string& text) {
  if (text == "none") return std::nullopt;
  uint32_t limit = 0;
  if (absl::SimpleAtoi(text, &limit)) return limit;
  return absl::InvalidArgumentError(fmt::format("'{}' is not a number, or none", text));
}

// Reads one of the settings, if it was given.
template <typename T>
absl::Status Read(const std::string& text,
                  absl::StatusOr<std::optional<T>> (*parse)(const std::string&),
                  std::optional<std::optional<T>>& to) {
  if (text.empty()) return absl::OkStatus();
  auto parsed = parse(text);
  if (parsed.ok()) to = *parsed;
  return parsed.status();
}

absl::StatusOr<DatabaseChange> ChangeOf(const Options& options) {
  DatabaseChange change;
  absl::Status read = Read(options.retention, DurationOf, change.retention_period);
  if (read.ok()) read = Read(options.max_tables, LimitOf, change.max_tables);
  if (read.ok()) read = Read(options.max_columns, LimitOf, change.max_columns);
  if (!read.ok()) return read;
  return change;
}

std::string Show(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string Show(const PointError& error) {
  const std::string place = error.line ? fmt::format("line {}", error.line->number)
                                       : fmt::format("point {}", error.index);
  return fmt::format("{}: {}: {}\n  {}", place, error.reason, error.message, error.excerpt);
}

Precision PrecisionOf(const std::string& unit) {
  if (unit == "us") return Precision::kMicrosecond;
  if (unit == "ms") return Precision::kMillisecond;
  if (unit == "s") return Precision::kSecond;
  return unit == "auto" ? Precision::kAuto : Precision::kNanosecond;
}

std::atomic<bool> stop_wanted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// The first signal asks to come to an end, the second ends the process.
void StopOnSignals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_wanted = true; };
  action.sa_flags = SA_RESETHAND;
  for (int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

int WriteLines(Client& client, const Options& options, bool dry_run) {
  WriteCommand command;
  command.server = options.server;
  command.database = options.database;
  command.file = options.file;
  command.precision = PrecisionOf(options.precision);
  command.no_sync = options.no_sync;
  command.accept_partial = options.accept_partial;
  command.resume_id = options.resume_id;
  command.dry_run = dry_run;
  command.token = options.token;
  command.tls = options.tls;
  if (!options.token_file.empty()) command.token_source = TokenFromFile(options.token_file);
  if (!options.csv_table.empty()) {
    command.csv = CsvFormat{
        .table = options.csv_table,
        .tags = options.csv_tags,
        .time = options.csv_time,
        .precision = command.precision,
        .separator = options.csv_separator == "\\t" ? '\t' : options.csv_separator.front(),
        .nulls = options.csv_nulls};
  }
  // One that is not there is known now, and not after a minute of patience.
  auto known = client.GetServerInfo();
  for (int i = 0; i < 4 && absl::IsUnavailable(known.status()); ++i) {
    absl::SleepFor(absl::Milliseconds(250));
    known = client.GetServerInfo();
  }
  if (!known.ok()) return Fail(known.status());
  StopOnSignals();
  command.stop = &stop_wanted;
  int64_t rejected = 0;
  const absl::Status status = WriteFile(command, client, rejected);
  if (absl::IsCancelled(status) && stop_wanted) {
    Fail(status);
    return kInterrupted;
  }
  if (!status.ok()) return Fail(status);
  return rejected > 0 ? kRejected : 0;
}

int Write(Client& client, const Options& options) {
  return WriteLines(client, options, options.dry_run);
}

int Validate(Client& client, const Options& options) { return WriteLines(client, options, true); }

int Query(Client& client, const Options& options) {
  std::string format = options.format;
  if (format.empty()) format = isatty(STDOUT_FILENO) == 1 ? "table" : "tsv";
  const std::unique_ptr<RowPrinter> printer = RowPrinter::Make(format);
  const absl::Status status = client.Query(
      options.database, options.sql,
      {.on_columns = [&](const std::vector<Column>& columns) { printer->Columns(columns); },
       .on_row = [&](const std::vector<Value>& row) { printer->Row(row); }});
  if (!status.ok()) return Fail(status);
  printer->End();
  return 0;
}

int Info(Client& client, const Options&) {
  const auto info = client.GetServerInfo();
  if (!info.ok()) return Fail(info.status());
  Print("version\t" + info->version);
  if (!info->instance_id.empty()) Print("instance\t" + info->instance_id);
  if (info->start_time) Print("started\t" + Show(*info->start_time));
  Print("clock\t" + Show(info->current_time));
  if (!info->principal.empty()) Print("you are\t" + info->principal);
  Print(fmt::format("features\t{}", fmt::join(info->features, " ")));
  Print(fmt::format("limits\tbatch {} bytes, {} points; {} tables; {} columns",
                    info->max_batch_bytes, info->max_batch_points, info->max_tables,
                    info->max_columns));
  return 0;
}

// Points of 100 series with 10 numbers each, as fast as the server takes them.
int Bench(Client&, const Options& options) {
  WriterOptions writer_options{.database = options.database,
                               .token = options.token,
                               .tls = options.tls,
                               .no_sync = options.no_sync};
  writer_options.delivery_timeout = absl::Seconds(60);
  Writer writer(options.server, writer_options);
  std::vector<Series> series;
  for (int i = 0; i < 100; ++i) {
    const std::string host = fmt::format("host_{}", i);
    auto made = writer.AddSeries("sluice_bench", {{"host", host}, {"region", "here"}});
    if (!made.ok()) return Fail(made.status());
    series.push_back(*std::move(made));
  }
  constexpr std::array<std::string_view, 10> kKeys = {
      "usage_user", "usage_system",  "usage_idle",  "usage_nice",  "usage_iowait",
      "usage_irq",  "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"};
  std::array<FieldView, kKeys.size()> fields;
  const absl::Time start = absl::Now();
  absl::Status status;
  for (int64_t n = 0; n < options.points && status.ok(); ++n) {
    for (size_t i = 0; i < fields.size(); ++i) {
      fields[i] = {kKeys[i], (n * 7 + static_cast<int64_t>(i) * 13) % 101};
    }
    status = writer.Add(series[static_cast<size_t>(n % 100)], start + absl::Microseconds(n / 100),
                        fields);
  }
  const WriterReport report = writer.Close(absl::Seconds(60));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (report.written == 0) return Fail(status.ok() ? report.last_error : status);
  Print(
      fmt::format("{} points of 10 fields in {:.2f} s: {:.0f} points/s; they are in the table "
                  "sluice_bench",
                  report.written, seconds, static_cast<double>(report.written) / seconds));
  if (report.complete() && status.ok()) return 0;
  return Fail(status.ok() ? report.last_error : status);
}

std::string Show(const std::optional<uint32_t>& limit) {
  return limit ? std::to_string(*limit) : "default";
}

int PrintDatabase(const absl::StatusOr<Database>& database) {
  if (!database.ok()) return Fail(database.status());
  const DatabaseSettings& settings = database->settings;
  Print(fmt::format(
      "{}\tretention {}\ttables {}\tcolumns {}\tcreated {}", database->name,
      settings.retention_period ? absl::FormatDuration(*settings.retention_period) : "none",
      Show(settings.max_tables), Show(settings.max_columns), Show(database->create_time)));
  return 0;
}

int CreateDatabase(Client& client, const Options& options) {
  auto change = ChangeOf(options);
  if (!change.ok()) return Fail(change.status());
  return PrintDatabase(client.CreateDatabase(options.database, change->Settings()));
}

int UpdateDatabase(Client& client, const Options& options) {
  auto change = ChangeOf(options);
  if (!change.ok()) return Fail(change.status());
  if (!change->retention_period && !change->max_tables && !change->max_columns) {
    return Fail(absl::InvalidArgumentError(
        "nothing to change: give --retention, --max-tables or --max-columns"));
  }
  return PrintDatabase(client.UpdateDatabase(options.database, *change));
}

int GetDatabase(Client& client, const Options& options) {
  return PrintDatabase(client.GetDatabase(options.database));
}

int ListDatabases(Client& client, const Options&) {
  auto databases = client.ListDatabases();
  if (!databases.ok()) return Fail(databases.status());
  for (const Database& database : *databases) PrintDatabase(database);
  return 0;
}

int DropDatabase(Client& client, const Options& options) {
  absl::Status status = client.DropDatabase(options.database);
  return status.ok() ? 0 : Fail(status);
}

int ListTables(Client& client, const Options& options) {
  auto tables = client.ListTables(options.database);
  if (!tables.ok()) return Fail(tables.status());
  for (const std::string& table : *tables) Print(table);
  return 0;
}

int DescribeTable(Client& client, const Options& options) {
  auto columns = client.DescribeTable(options.database, options.table);
  if (!columns.ok()) return Fail(columns.status());
  for (const Column& column : *columns) Print(fmt::format("{}\t{}", column.name, column.type));
  return 0;
}

void PrintRejection(const Rejection& rejection) {
  Print(fmt::format("{} {} {} {} {}", Show(rejection.time), rejection.principal, rejection.peer,
                    rejection.door, Show(rejection.error)));
}

// The oldest first, as tail(1) does.
int TailRejections(Client& client, const Options& options) {
  int64_t seen = 0;
  uint32_t count = options.count;
  while (true) {
    auto rejections = client.ListRejections(options.database, count, seen);
    if (!rejections.ok()) return Fail(rejections.status());
    for (auto it = rejections->rbegin(); it != rejections->rend(); ++it) PrintRejection(*it);
    if (!rejections->empty()) seen = rejections->front().id;
    if (!options.follow) return 0;
    if (!HasPrinted()) return 1;
    count = kMaxFollowed;
    absl::SleepFor(kFollowPeriod);
  }
}

std::string Show(const Token& token) {
  if (token.admin) return "admin";
  std::vector<std::string> rights;
  for (const Permission& permission : token.permissions) {
    rights.push_back(fmt::format("{}:{}{}{}", permission.database, permission.read ? "read" : "",
                                 permission.read && permission.write ? "," : "",
                                 permission.write ? "write" : ""));
  }
  return fmt::format("{}", fmt::join(rights, " "));
}

void PrintToken(const Token& token) {
  std::string line =
      fmt::format("{}\t{}\texpires {}\tcreated {}", token.name, Show(token),
                  token.expire_time ? Show(*token.expire_time) : "never", Show(token.create_time));
  if (!token.certificate_name.empty()) line += "\tcertificate " + token.certificate_name;
  if (token.max_requests_per_second > 0) {
    line += fmt::format("\tat most {} requests a second", token.max_requests_per_second);
  }
  if (token.max_bytes_per_second > 0) {
    line += fmt::format("\tat most {} bytes a second", token.max_bytes_per_second);
  }
  Print(line);
}

int CreateToken(Client& client, const Options& options) {
  Token token = {.name = options.token_name, .admin = options.admin};
  std::map<std::string, Permission> permissions;
  for (const std::string& database : options.read) permissions[database].read = true;
  for (const std::string& database : options.written) permissions[database].write = true;
  for (auto& [database, permission] : permissions) {
    permission.database = database;
    token.permissions.push_back(permission);
  }
  if (!options.expires_in.empty()) {
    auto duration = DurationOf(options.expires_in);
    if (!duration.ok()) return Fail(duration.status());
    if (*duration) token.expire_time = absl::Now() + **duration;
  }
  token.certificate_name = options.certificate_name;
  token.max_requests_per_second = options.max_requests_per_second;
  token.max_bytes_per_second = options.max_bytes_per_second;
  auto created = client.CreateToken(token);
  if (!created.ok()) return Fail(created.status());
  if (created->secret.empty()) {
    fmt::print(stderr, "This is for the client whose certificate has the name {}:\n",
               options.certificate_name);
    PrintToken(created->token);
    return 0;
  }
  fmt::print(stderr, "This is the only time that the token is shown:\n");
  Print(created->secret);
  if (HasPrinted()) return 0;
  // Nobody will ever know it.
  client.DeleteToken(options.token_name).IgnoreError();
  return Fail(absl::InternalError(
      "the token could not be shown, and so was deleted again; nothing is left of it"));
}

int ListTokens(Client& client, const Options&) {
  auto tokens = client.ListTokens();
  if (!tokens.ok()) return Fail(tokens.status());
  for (const Token& token : *tokens) PrintToken(token);
  return 0;
}

int DeleteToken(Client& client, const Options& options) {
  absl::Status status = client.DeleteToken(options.token_name);
  return status.ok() ? 0 : Fail(status);
}

int GenerateToken(Client&, const Options&) {
  Print(auth::GenerateToken());
  return 0;
}

void PrintBackup(const Backup& backup) {
  if (backup.damaged) return Print(fmt::format("{}\tdamaged", backup.id));
  Print(fmt::format("{}\t{}\t{:.1f} MB\t{} files\tformat {}\tinstance {}", backup.id,
                    Show(backup.create_time), static_cast<double>(backup.size_bytes) / 1e6,
                    backup.file_count, backup.format, backup.instance_id));
}

int CreateBackup(Client& client, const Options& options) {
  const auto backup = client.CreateBackup(options.keep, options.verify);
  if (!backup.ok()) return Fail(backup.status());
  PrintBackup(*backup);
  return 0;
}

Backup FromRecord(const storage::BackupRecord& record) {
  return {.id = record.id,
          .create_time = absl::FromUnixNanos(record.create_time_ns),
          .size_bytes = static_cast<int64_t>(record.bytes),
          .file_count = static_cast<int64_t>(record.files),
          .instance_id = record.instance,
          .format = record.format,
          .damaged = record.damaged};
}

// Those of a directory here, or of the server.
absl::StatusOr<std::vector<Backup>> FindBackups(Client& client, const Options& options) {
  if (options.backup_dir.empty()) return client.ListBackups();
  auto records = storage::ListBackups(options.backup_dir);
  if (!records.ok()) return records.status();
  std::vector<Backup> backups;
  for (const storage::BackupRecord& record : *records) backups.push_back(FromRecord(record));
  return backups;
}

int ListBackups(Client& client, const Options& options) {
  const auto backups = FindBackups(client, options);
  if (!backups.ok()) return Fail(backups.status());
  for (const Backup& backup : *backups) PrintBackup(backup);
  return 0;
}

// The one that is named, or all.
int VerifyBackups(Client& client, const Options& options) {
  std::vector<int64_t> ids;
  if (options.backup_id) {
    ids.push_back(*options.backup_id);
  } else {
    const auto backups = FindBackups(client, options);
    if (!backups.ok()) return Fail(backups.status());
    for (const Backup& backup : *backups) ids.push_back(backup.id);
    if (ids.empty()) return Fail(absl::NotFoundError("there are no backups"));
  }
  int code = 0;
  for (const int64_t id : ids) {
    const absl::Status verified =
        options.backup_dir.empty()
            ? client.VerifyBackup(id)
            : storage::VerifyBackup(options.backup_dir, static_cast<uint32_t>(id));
    if (verified.ok()) {
      Print(fmt::format("{}\tgood", id));
    } else {
      code = Fail(verified);
    }
  }
  return code;
}

int DeleteBackup(Client& client, const Options& options) {
  const absl::Status deleted = client.DeleteBackup(options.backup_id.value_or(0));
  return deleted.ok() ? 0 : Fail(deleted);
}

int RestoreBackup(Client&, const Options& options) {
  const auto restored =
      storage::RestoreBackup(options.backup_dir, options.backup_id, options.data_dir);
  if (!restored.ok()) return Fail(restored.status(), /*hints=*/false);
  PrintBackup(FromRecord(*restored));
  fmt::print(stderr, "restored to {}: start sluiced --data-dir {}\n", options.data_dir,
             options.data_dir);
  return 0;
}

constexpr char kResumeIdRule[] = "is to be 1 to 47 letters, digits, '_' and '-'";
static_assert(kMaxResumeId == 47);
bool IsResumeId(const std::string& id) {
  const auto is_allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  };
  return !id.empty() && id.size() <= kMaxResumeId && std::all_of(id.begin(), id.end(), is_allowed);
}

using Command = int (*)(Client& client, const Options& options);

class CommandLine {
 public:
  CommandLine() : app_("Writes to and queries a Sluice server.", "sluice") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", std::string(server::kVersion));
    app_.footer(
        "Options come from the command line, or else the file that --config or SLUICE_CONFIG\n"
        "names (lines such as: server=10.0.0.5:8182), or else the environment.\n"
        "Exit codes: 0 done, 1 failed, 2 lines were rejected, 64 no such command or option,\n"
        "130 interrupted.");
    // --server is understood after the subcommand too.
    app_.fallthrough();
    app_.add_option("--server", options_.server, "HOST:PORT of the server's gRPC")
        ->envname("SLUICE_SERVER")
        ->capture_default_str();
    auto* token = app_.add_option("--token", options_.token,
                                  "the token to send; otherwise the environment's SLUICE_TOKEN");
    app_.add_option("--token-file", options_.token_file, "a file with the token to send")
        ->excludes(token);
    AddTls();
    // The library reads no environment for this one, and takes what is not there for an empty file.
    const char* config = std::getenv("SLUICE_CONFIG");
    config_ = config == nullptr ? "" : config;
    app_.set_config("--config", config_,
                    "a file with options; otherwise the environment's SLUICE_CONFIG");
    app_.allow_config_extras(CLI::config_extras_mode::error);
    AddWrite();
    CLI::App* query = Add(app_, "query", "run one SELECT and print its rows", Query);
    AddDatabaseName(*query);
    query->add_option("sql", options_.sql, "the query")->required();
    query
        ->add_option("-f,--format", options_.format,
                     "table, tsv, csv, json or jsonl; table on a terminal, otherwise tsv")
        ->check(CLI::IsMember({"table", "tsv", "csv", "json", "jsonl"}));
    query->footer(
        "Example:\n"
        "  sluice query demo 'SELECT room, avg(temp) AS t FROM home GROUP BY room' -f csv");
    Add(app_, "info", "show what the server is, what it allows, and who you are", Info);
    CLI::App* bench = Add(app_, "bench",
                          "write points of the program's own to the table sluice_bench, where they "
                          "stay, and tell the rate",
                          Bench);
    AddDatabaseName(*bench);
    bench->add_option("-n,--points", options_.points, "how many")
        ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}))
        ->capture_default_str();
    AddNoSync(*bench);
    CLI::App* completion = app_.add_subcommand(
        "completion", "print a script that completes this program's commands in a shell");
    completion->add_option("shell", shell_, "bash or zsh")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh"}));
    AddDatabaseCommands();
    AddTableCommands();
    AddRejectionCommands();
    AddTokenCommands();
    AddBackupCommands();
  }

  int Run(int argc, char** argv) {
    if (!config_.empty() && !std::ifstream(config_)) {
      Fail(absl::NotFoundError("cannot read the file that SLUICE_CONFIG names: " + config_));
      return kUsage;
    }
    try {
      // Other users of the machine can see the arguments of a process.
      std::vector<std::string> arguments(argv + 1, argv + argc);
      HideToken(argc, argv);
      std::reverse(arguments.begin(), arguments.end());
      app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      // What is not known is why something is missing.
      const std::vector<std::string> unknown = app_.remaining(true);
      if (error.get_exit_code() != 0 && !unknown.empty()) {
        fmt::print(stderr,
                   "no such command or option here: {}\nRun with --help for more information.\n",
                   unknown.front());
        return kUsage;
      }
      return app_.exit(error) == 0 ? 0 : kUsage;
    }
    if (!shell_.empty()) {
      Print(CompletionOf(app_, shell_ == "zsh"));
      return HasPrinted() ? 0 : kFailed;
    }
    absl::Status token = FindToken();
    if (!token.ok()) return Fail(token);
    absl::Status tls = FindTls();
    if (!tls.ok()) return Fail(tls);
    // A query takes as long as the server lets it.
    const absl::Duration timeout = command_ == &Query ? absl::Hours(24) : absl::Seconds(60);
    auto client = Client::Connect(options_.server, {.token = options_.token,
                                                    .tls = options_.tls,
                                                    .timeout = timeout,
                                                    .wait_for_server = false});
    const int code = command_(*client, options_);
    // Whoever cannot write what was asked for has not done it.
    return HasPrinted() ? code : Fail(absl::InternalError("the output could not be written"));
  }

 private:
  // Overwrites the value of --token.
  static void HideToken(int argc, char** argv) {
    constexpr std::string_view kFlag = "--token";
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument(argv[i]);
      if (argument == kFlag && i + 1 < argc) {
        std::memset(argv[i + 1], 'x', std::strlen(argv[i + 1]));
      } else if (argument.starts_with("--token=")) {
        std::memset(argv[i] + kFlag.size() + 1, 'x', argument.size() - kFlag.size() - 1);
      }
    }
  }

  // A token may be copied with the end of its line. It is never shown, not even a wrong one.
  absl::Status FindToken() {
    const char* known = std::getenv("SLUICE_TOKEN");
    if (!options_.token_file.empty()) {
      auto text = ReadInput(options_.token_file);
      if (!text.ok()) return text.status();
      options_.token = *std::move(text);
    } else if (options_.token.empty() && known != nullptr) {
      options_.token = known;
    }
    options_.token = std::string(absl::StripAsciiWhitespace(options_.token));
    for (char c : options_.token) {
      if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
        return absl::InvalidArgumentError(
            "the token has a space or a character that is not ASCII, which no token has");
      }
    }
    return absl::OkStatus();
  }

  absl::Status FindTls() {
    auto tls =
        TlsFromFiles(options_.tls_files, options_.tls_always || !options_.tls_server_name.empty());
    if (!tls.ok()) return tls.status();
    options_.tls = *std::move(tls);
    if (options_.tls) options_.tls->server_name = options_.tls_server_name;
    return absl::OkStatus();
  }

  void AddTls() {
    app_.add_flag("--tls", options_.tls_always, "speak TLS")->envname("SLUICE_TLS");
    app_.add_option("--ca-file", options_.tls_files.root_certificates,
                    "certificates of the authorities that the server's is from, in PEM; those that "
                    "gRPC knows where it is not given")
        ->envname("SLUICE_CA_FILE");
    app_.add_option("--cert-file", options_.tls_files.certificate_chain,
                    "the certificate to show to the server, in PEM")
        ->envname("SLUICE_CERT_FILE");
    app_.add_option("--key-file", options_.tls_files.private_key, "its private key, in PEM")
        ->envname("SLUICE_KEY_FILE");
    app_.add_option("--tls-server-name", options_.tls_server_name,
                    "the name in the server's certificate, where it is not that of --server");
  }

  CLI::App* Add(CLI::App& parent, const char* name, const char* help, Command command) {
    CLI::App* app = parent.add_subcommand(name, help);
    app->callback([this, command] { command_ = command; });
    return app;
  }

  CLI::App* AddDatabaseName(CLI::App& app) {
    app.add_option("database", options_.database, "the database's name")->required();
    return &app;
  }

  // A body and how to read it.
  void AddBody(CLI::App& app) {
    AddDatabaseName(app);
    app.add_option("file", options_.file, "the file; - for standard input")->capture_default_str();
    app.add_option("--precision", options_.precision, "unit of the timestamps")
        ->check(CLI::IsMember({"ns", "us", "ms", "s", "auto"}))
        ->capture_default_str();
  }

  void AddNoSync(CLI::App& app) {
    app.add_flag("--no-sync", options_.no_sync, "do not wait for the disk");
  }

  void AddCsv(CLI::App& app) {
    auto* table = app.add_option("--csv", options_.csv_table,
                                 "the file is CSV with a header, and this the table; a name in the "
                                 "header may say what it is: "
                                 "NAME:tag, :time, :float, :integer, :unsigned, :boolean, :string");
    app.add_option("--tags", options_.csv_tags,
                   "columns of the CSV that are tags, where the table is not there yet")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->needs(table);
    app.add_option(
           "--time", options_.csv_time,
           "the column with the timestamp: a number, or a time such as 2026-11-26T12:00:00Z; "
           "--time '' is for a file without one: points get the time at which they arrive, and "
           "those of one request and one tag set are one point")
        ->needs(table)
        ->capture_default_str();
    app.add_option("--separator", options_.csv_separator, "between two values; \\t for a tab")
        ->needs(table)
        ->check([](const std::string& text) {
          return text.size() == 1 || text == "\\t" ? "" : "is to be one character";
        })
        ->capture_default_str();
    app.add_option("--null", options_.csv_nulls,
                   "values that are none, besides the empty one, such as NULL,NaN")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->needs(table);
  }

  void AddWrite() {
    CLI::App* write = Add(app_, "write",
                          "write line protocol or CSV from a file or standard input, gzip and zstd "
                          "too, of any size; exit code 2 where lines were rejected",
                          Write);
    AddBody(*write);
    auto* partial = write->add_flag("--accept-partial,!--all-or-nothing", options_.accept_partial,
                                    "ingest the good lines when others are rejected (the default), "
                                    "or nothing; the latter takes "
                                    "no more than one request may have");
    AddNoSync(*write);
    write
        ->add_flag("--dry-run", options_.dry_run,
                   "judge the lines, and write nothing; each half mebibyte by itself, so that what "
                   "another one would add to a table is not known")
        ->excludes(partial);
    write
        ->add_option("--resume-id", options_.resume_id,
                     "a name of your own for this file: given again, the command goes on where it "
                     "was (within a day); from the beginning where the file or the options have "
                     "changed")
        ->excludes(partial)
        ->check([](const std::string& id) { return IsResumeId(id) ? "" : kResumeIdRule; });
    AddCsv(*write);
    write->footer(
        "Examples:\n"
        "  sluice write demo points.lp.gz\n"
        "  zcat *.gz | sluice write demo\n"
        "  sluice write demo weather.csv --csv weather --tags station,country --precision s\n"
        "  sluice write demo huge.lp.zst --resume-id huge-2026-11");
    CLI::App* validate =
        Add(app_, "validate",
            "judge lines as a write would, and write nothing; exit code 2 where lines would be "
            "rejected",
            Validate);
    AddBody(*validate);
    AddCsv(*validate);
  }

  void AddSettings(CLI::App& app) {
    AddDatabaseName(app);
    app.add_option("--retention", options_.retention,
                   "how long to keep points: 30d, 2w3d, 1y, or none for ever");
    app.add_option("--max-tables", options_.max_tables,
                   "most tables, or none for the server's --max-tables");
    app.add_option("--max-columns", options_.max_columns,
                   "most columns a table, time included, or none for the server's --max-columns");
  }

  void AddDatabaseCommands() {
    CLI::App* database = app_.add_subcommand("database", "manage databases");
    database->require_subcommand(1);
    AddSettings(*Add(*database, "create", "create a database", CreateDatabase));
    AddSettings(*Add(*database, "update", "change some of a database's settings", UpdateDatabase));
    AddDatabaseName(*Add(*database, "get", "show a database", GetDatabase));
    AddDatabaseName(*Add(*database, "drop", "drop a database and all its points", DropDatabase));
    Add(*database, "list", "list all databases", ListDatabases);
  }

  void AddRejectionCommands() {
    CLI::App* rejections = app_.add_subcommand("rejections", "show what was rejected");
    rejections->require_subcommand(1);
    CLI::App* tail =
        Add(*rejections, "tail", "show the lines that a database rejected last", TailRejections);
    AddDatabaseName(*tail);
    tail->add_option("-n,--count", options_.count, "how many")
        ->check(CLI::Range(uint32_t{1}, kMaxFollowed))
        ->capture_default_str();
    tail->add_flag("-f,--follow", options_.follow, "go on and show what comes");
  }

  void AddTokenName(CLI::App& app) {
    app.add_option("name", options_.token_name, "the token's name")->required();
  }

  void AddTokenCommands() {
    CLI::App* token = app_.add_subcommand("token", "manage tokens");
    token->require_subcommand(1);
    CLI::App* create = Add(*token, "create", "create a token and show it, once", CreateToken);
    AddTokenName(*create);
    create->add_flag("--admin", options_.admin, "let it do everything");
    create->add_option("--read", options_.read, "a database that it may query; * for all")
        ->delimiter(',')
        ->allow_extra_args(false);
    create->add_option("--write", options_.written, "a database that it may write to; * for all")
        ->delimiter(',')
        ->allow_extra_args(false);
    create->add_option("--expires-in", options_.expires_in, "how long it is valid: 30d, 12h, none");
    create->add_option("--certificate-name", options_.certificate_name,
                       "who brings a certificate with this name needs no token: a URI, DNS or "
                       "common name; no token is made up then");
    create->add_option("--max-requests-per-second", options_.max_requests_per_second,
                       "how many requests it may make, on average");
    create->add_option("--max-bytes-per-second", options_.max_bytes_per_second,
                       "how many bytes of points it may bring, on average");
    Add(*token, "list", "list all tokens", ListTokens);
    AddTokenName(*Add(*token, "delete", "delete a token; it is refused at once", DeleteToken));
    Add(*token, "generate",
        "make up a token without asking a server, to start one with: see sluiced --help",
        GenerateToken);
  }

  CLI::Option* AddBackupDir(CLI::App& app, const char* help) {
    return app.add_option("--backup-dir", options_.backup_dir, help);
  }

  void AddBackupCommands() {
    CLI::App* backup = app_.add_subcommand("backup", "make backups of a server, and restore them");
    backup->require_subcommand(1);
    CLI::App* create =
        Add(*backup, "create", "have the server make a backup in its --backup-dir, and wait for it",
            CreateBackup);
    create->add_option("--keep", options_.keep, "how many of the newest to keep; 0: all")
        ->check(CLI::NonNegativeNumber);
    create->add_flag("--verify,!--no-verify", options_.verify,
                     "read it again and compare its checksums (the default)");
    constexpr char kHere[] = "a directory on this machine, in place of the server's";
    AddBackupDir(*Add(*backup, "list", "list backups, the oldest first", ListBackups), kHere);
    CLI::App* verify = Add(*backup, "verify",
                           "read backups and compare their checksums; exit code 1 where one is "
                           "damaged",
                           VerifyBackups);
    AddBackupDir(*verify, kHere);
    verify->add_option("id", options_.backup_id, "which one; all where it is not given");
    Add(*backup, "delete", "delete a backup of the server's; others keep what they share with it",
        DeleteBackup)
        ->add_option("id", options_.backup_id, "which one")
        ->required();
    CLI::App* restore =
        Add(*backup, "restore",
            "make a store of a backup, without a server, for a new one to serve", RestoreBackup);
    AddBackupDir(*restore, "where the backups are")->required();
    restore
        ->add_option("--data-dir", options_.data_dir, "where the store is to be; it has none yet")
        ->required();
    restore->add_option("id", options_.backup_id, "which one; the newest where it is not given");
  }

  void AddTableCommands() {
    CLI::App* table = app_.add_subcommand("table", "show tables");
    table->require_subcommand(1);
    AddDatabaseName(*Add(*table, "list", "list a database's tables", ListTables));
    AddDatabaseName(*Add(*table, "describe", "list a table's columns", DescribeTable))
        ->add_option("table", options_.table, "the table's name")
        ->required();
  }

  CLI::App app_;
  Options options_;
  std::string shell_;
  // The file that the environment names; empty where it names none.
  std::string config_;
  Command command_ = nullptr;
};

}  // namespace
}  // namespace sluice::client

int main(int argc, char** argv) {
  try {
    return sluice::client::CommandLine().Run(argc, argv);
  } catch (const std::exception& error) {
    std::fputs("error: ", stderr);
    std::fputs(error.what(), stderr);
    std::fputc('\n', stderr);
    return 1;
  }
}
