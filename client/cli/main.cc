// The command line client: `sluice --help`.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "client/client.h"
#include "storage/retention.h"

namespace sluice::client {
namespace {

struct Options {
  std::string server = "127.0.0.1:8182";
  std::string database;
  std::string table;
  std::string file = "-";
  std::string sql;
  std::string retention = "none";
  WriteOptions write;
};

int Fail(const absl::Status& status) {
  std::string message(status.message());
  fmt::print(stderr, "error: {}\n", message);
  for (const auto& [field, description] : ViolationsOf(status)) {
    if (description != message) fmt::print(stderr, "  {}: {}\n", field, description);
  }
  if (absl::IsUnavailable(status)) {
    fmt::print(stderr, "Does a server serve gRPC there? --server HOST:PORT names another.\n");
  } else if (absl::IsResourceExhausted(status)) {
    fmt::print(stderr, "Send less at once, or raise the server's --max-body-bytes.\n");
  }
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

absl::StatusOr<std::optional<absl::Duration>> RetentionOf(const std::string& text) {
  auto retention_ns = storage::ParseRetention(text);
  if (!retention_ns.ok()) return retention_ns.status();
  std::optional<absl::Duration> retention;
  if (*retention_ns) retention = absl::Nanoseconds(**retention_ns);
  return retention;
}

// Exit code 2: some lines were rejected, others ingested.
int Write(Client& client, const Options& options) {
  auto input = ReadInput(options.file);
  if (!input.ok()) return Fail(input.status());
  auto result = client.Write(options.database, *std::move(input), options.write);
  if (!result.ok()) return Fail(result.status());
  fmt::print("{} points ingested, {} lines rejected\n", result->ingested_points,
             result->rejected_lines);
  for (const LineError& error : result->line_errors) {
    fmt::print("line {}: {}: {}\n  {}\n", error.line_number, error.reason, error.message,
               error.excerpt);
  }
  int64_t more = result->rejected_lines - static_cast<int64_t>(result->line_errors.size());
  if (more > 0) fmt::print("and {} more\n", more);
  return result->rejected_lines == 0 ? 0 : 2;
}

// Tab-separated, for people and for cut(1).
int Query(Client& client, const Options& options) {
  auto print = [](const auto& items, auto text) {
    std::vector<std::string> texts;
    for (const auto& item : items) texts.push_back(text(item));
    fmt::print("{}\n", fmt::join(texts, "\t"));
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

int Print(const absl::StatusOr<Database>& database) {
  if (!database.ok()) return Fail(database.status());
  fmt::print(
      "{}\tretention {}\tcreated {}\n", database->name,
      database->retention_period ? absl::FormatDuration(*database->retention_period) : "none",
      absl::FormatTime(database->create_time, absl::UTCTimeZone()));
  return 0;
}

int CreateDatabase(Client& client, const Options& options) {
  auto retention = RetentionOf(options.retention);
  if (!retention.ok()) return Fail(retention.status());
  return Print(client.CreateDatabase(options.database, *retention));
}

int UpdateDatabase(Client& client, const Options& options) {
  auto retention = RetentionOf(options.retention);
  if (!retention.ok()) return Fail(retention.status());
  return Print(client.SetRetention(options.database, *retention));
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
  for (const std::string& table : *tables) fmt::print("{}\n", table);
  return 0;
}

int DescribeTable(Client& client, const Options& options) {
  auto columns = client.DescribeTable(options.database, options.table);
  if (!columns.ok()) return Fail(columns.status());
  for (const Column& column : *columns) fmt::print("{}\t{}\n", column.name, column.type);
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
    AddWrite();
    CLI::App* query = Add(app_, "query", "run one SELECT and print its rows", Query);
    AddDatabaseName(*query);
    query->add_option("sql", options_.sql, "the query")->required();
    AddDatabaseCommands();
    AddTableCommands();
  }

  int Run(int argc, char** argv) {
    CLI11_PARSE(app_, argc, argv);
    std::unique_ptr<Client> client = Client::Connect(options_.server);
    return command_(*client, options_);
  }

 private:
  CLI::App* Add(CLI::App& parent, const char* name, const char* help, Command command) {
    CLI::App* app = parent.add_subcommand(name, help);
    app->callback([this, command] { command_ = command; });
    return app;
  }

  CLI::App* AddDatabaseName(CLI::App& app) {
    app.add_option("database", options_.database, "the database's name")->required();
    return &app;
  }

  void AddWrite() {
    CLI::App* write = Add(app_, "write",
                          "write line protocol from a file or standard input; exit "
                          "code 2 where lines were rejected",
                          Write);
    AddDatabaseName(*write);
    write->add_option("file", options_.file, "the file; - for standard input")
        ->capture_default_str();
    const std::map<std::string, Precision> kUnits = {{"ns", Precision::kNanosecond},
                                                     {"us", Precision::kMicrosecond},
                                                     {"ms", Precision::kMillisecond},
                                                     {"s", Precision::kSecond},
                                                     {"auto", Precision::kAuto}};
    write->add_option("--precision", options_.write.precision, "unit of the timestamps")
        ->transform(CLI::CheckedTransformer(kUnits));
    write->add_flag("--accept-partial,!--all-or-nothing", options_.write.accept_partial,
                    "ingest the good lines when others are rejected (the default), or nothing");
    write->add_flag("--no-sync", options_.write.no_sync, "do not wait for the disk");
  }

  CLI::Option* AddRetention(CLI::App& app) {
    return app
        .add_option("--retention", options_.retention,
                    "how long to keep points: 30d, 2w3d, 1y, none")
        ->capture_default_str();
  }

  void AddDatabaseCommands() {
    CLI::App* database = app_.add_subcommand("database", "manage databases");
    database->require_subcommand(1);
    AddRetention(*AddDatabaseName(*Add(*database, "create", "create a database", CreateDatabase)));
    AddRetention(*AddDatabaseName(*Add(*database, "update", "change a database's retention period",
                                       UpdateDatabase)))
        ->required();
    AddDatabaseName(*Add(*database, "get", "show a database", GetDatabase));
    AddDatabaseName(*Add(*database, "drop", "drop a database and all its points", DropDatabase));
    Add(*database, "list", "list all databases", ListDatabases);
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

int main(int argc, char** argv) { return sluice::client::CommandLine().Run(argc, argv); }
