// The command line client: `sluice --help`.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "client/client.h"
#include "server/auth/token.h"
#include "storage/retention.h"

namespace sluice::client {
namespace {

// How often `rejections tail --follow` asks, and for how many at once.
constexpr absl::Duration kFollowPeriod = absl::Seconds(1);
constexpr uint32_t kMaxFollowed = 1000;

struct Options {
  std::string server = "127.0.0.1:8182";
  std::string token;
  std::string token_file;
  std::string database;
  std::string table;
  std::string file = "-";
  std::string sql;
  // Empty where they were not given.
  std::string retention;
  std::string max_tables;
  std::string max_columns;
  std::string precision = "ns";
  WriteOptions write;
  uint32_t count = 20;
  bool follow = false;
  std::string token_name;
  bool admin = false;
  std::vector<std::string> read;
  std::vector<std::string> written;
  std::string expires_in;
};

std::string Hint(const absl::Status& status) {
  switch (status.code()) {
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

// For a command that is none, as sysexits.h has it: 2 means that lines were rejected.
constexpr int kUsage = 64;

// A line of output. Whether it got out is told by HasPrinted: fmt::print would throw.
void Print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

bool HasPrinted() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

int Fail(const absl::Status& status) {
  std::string message(status.message());
  fmt::print(stderr, "error: {}\n", message);
  for (const auto& [field, description] : ViolationsOf(status)) {
    if (description != message) fmt::print(stderr, "  {}: {}\n", field, description);
  }
  if (std::string hint = Hint(status); !hint.empty()) fmt::print(stderr, "{}\n", hint);
  return 1;
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

// Exit code 2: some lines are rejected.
int Print(const std::vector<PointError>& errors, int64_t rejected) {
  for (const PointError& error : errors) Print(Show(error));
  int64_t more = rejected - static_cast<int64_t>(errors.size());
  if (more > 0) Print(fmt::format("and {} more", more));
  return rejected == 0 ? 0 : 2;
}

Precision PrecisionOf(const std::string& unit) {
  if (unit == "us") return Precision::kMicrosecond;
  if (unit == "ms") return Precision::kMillisecond;
  if (unit == "s") return Precision::kSecond;
  return unit == "auto" ? Precision::kAuto : Precision::kNanosecond;
}

// Whether lines are why a write failed.
bool IsRejection(const absl::Status& status) {
  auto violations = ViolationsOf(status);
  return !violations.empty() && absl::StartsWith(violations[0].first, "line_protocol:");
}

int Write(Client& client, const Options& options) {
  auto input = ReadInput(options.file);
  if (!input.ok()) return Fail(input.status());
  WriteOptions write = options.write;
  write.precision = PrecisionOf(options.precision);
  auto result = client.Write(options.database, *std::move(input), write);
  if (!result.ok()) {
    Fail(result.status());
    return IsRejection(result.status()) ? 2 : 1;
  }
  Print(fmt::format("{} points ingested, {} lines rejected", result->ingested_points,
                    result->rejected_points));
  return Print(result->errors, result->rejected_points);
}

int Validate(Client& client, const Options& options) {
  auto input = ReadInput(options.file);
  if (!input.ok()) return Fail(input.status());
  auto verdict =
      client.Validate(options.database, *std::move(input), PrecisionOf(options.precision));
  if (!verdict.ok()) return Fail(verdict.status());
  Print(fmt::format("nothing written: {} points would be ingested, {} lines rejected",
                    verdict->accepted_points, verdict->rejected_points));
  return Print(verdict->errors, verdict->rejected_points);
}

// Tab-separated, for people and for cut(1).
int Query(Client& client, const Options& options) {
  auto print = [](const auto& items, auto text) {
    std::vector<std::string> texts;
    for (const auto& item : items) texts.push_back(text(item));
    Print(fmt::format("{}", fmt::join(texts, "\t")));
  };
  absl::Status status =
      client.Query(options.database, options.sql,
                   {.on_columns =
                        [&](const std::vector<Column>& columns) {
                          print(columns, [](const Column& column) { return column.name; });
                        },
                    .on_row = [&](const std::vector<Value>& row) { print(row, ToText); }});
  return status.ok() ? 0 : Fail(status);
}

std::string Show(const std::optional<uint32_t>& limit) {
  return limit ? std::to_string(*limit) : "default";
}

int Print(const absl::StatusOr<Database>& database) {
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
  return Print(client.CreateDatabase(options.database, change->Settings()));
}

int UpdateDatabase(Client& client, const Options& options) {
  auto change = ChangeOf(options);
  if (!change.ok()) return Fail(change.status());
  if (!change->retention_period && !change->max_tables && !change->max_columns) {
    return Fail(absl::InvalidArgumentError(
        "nothing to change: give --retention, --max-tables or --max-columns"));
  }
  return Print(client.UpdateDatabase(options.database, *change));
}

int GetDatabase(Client& client, const Options& options) {
  return Print(client.GetDatabase(options.database));
}

int ListDatabases(Client& client, const Options&) {
  auto databases = client.ListDatabases();
  if (!databases.ok()) return Fail(databases.status());
  for (const Database& database : *databases) Print(database);
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

void Print(const Rejection& rejection) {
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
    for (auto it = rejections->rbegin(); it != rejections->rend(); ++it) Print(*it);
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

void Print(const Token& token) {
  Print(fmt::format("{}\t{}\texpires {}\tcreated {}", token.name, Show(token),
                    token.expire_time ? Show(*token.expire_time) : "never",
                    Show(token.create_time)));
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
  auto created = client.CreateToken(token);
  if (!created.ok()) return Fail(created.status());
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
  for (const Token& token : *tokens) Print(token);
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

using Command = int (*)(Client& client, const Options& options);

class CommandLine {
 public:
  CommandLine() : app_("Writes to and queries a Sluice server.", "sluice") {
    app_.require_subcommand(1);
    // --server is understood after the subcommand too.
    app_.fallthrough();
    app_.add_option("--server", options_.server, "HOST:PORT of the server's gRPC")
        ->envname("SLUICE_SERVER")
        ->capture_default_str();
    auto* token = app_.add_option("--token", options_.token,
                                  "the token to send; otherwise the environment's SLUICE_TOKEN");
    app_.add_option("--token-file", options_.token_file, "a file with the token to send")
        ->excludes(token);
    AddWrite();
    CLI::App* query = Add(app_, "query", "run one SELECT and print its rows", Query);
    AddDatabaseName(*query);
    query->add_option("sql", options_.sql, "the query")->required();
    AddDatabaseCommands();
    AddTableCommands();
    AddRejectionCommands();
    AddTokenCommands();
  }

  int Run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : kUsage;
    }
    absl::Status token = FindToken();
    if (!token.ok()) return Fail(token);
    auto client = Client::Connect(options_.server, {.token = options_.token});
    const int code = command_(*client, options_);
    // Whoever cannot write what was asked for has not done it.
    return HasPrinted() ? code : Fail(absl::InternalError("the output could not be written"));
  }

 private:
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

  void AddWrite() {
    CLI::App* write = Add(app_, "write",
                          "write line protocol from a file or standard input; exit "
                          "code 2 where lines were rejected, 1 where all else failed",
                          Write);
    AddBody(*write);
    write->add_flag("--accept-partial,!--all-or-nothing", options_.write.accept_partial,
                    "ingest the good lines when others are rejected (the default), or nothing");
    write->add_flag("--no-sync", options_.write.no_sync, "do not wait for the disk");
    AddBody(*Add(app_, "validate",
                 "judge line protocol as a write would, and write nothing; exit code 2 where lines "
                 "would be rejected",
                 Validate));
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
    create->add_option("--read", options_.read, "a database that it may query; * for all");
    create->add_option("--write", options_.written, "a database that it may write to; * for all");
    create->add_option("--expires-in", options_.expires_in, "how long it is valid: 30d, 12h, none");
    Add(*token, "list", "list all tokens", ListTokens);
    AddTokenName(*Add(*token, "delete", "delete a token; it is refused at once", DeleteToken));
    Add(*token, "generate",
        "make up a token without asking a server, to start one with: see sluiced --help",
        GenerateToken);
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
