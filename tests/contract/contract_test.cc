// Runs every case in cases/: a write through the pipeline, as line protocol and as records, gRPC
// and the three HTTP routes, a list of steps as it is. README.md in this folder says what a case
// is, and which rule is shown by which.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "client/client.h"
#include "server/lineprotocol/line_reader.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/contract/exchange.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/running_server.h"
#include "tests/fixture/typed_points.h"
#include "tests/fixture/write_lines.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr ingest::Limits kLimits = {.max_tables = 4, .max_columns = 6};
constexpr size_t kMaxBodyBytes = 4096;

fixture::RunningServer& Server() {
  static fixture::RunningServer server({.limits = kLimits, .max_body_bytes = kMaxBodyBytes});
  return server;
}

struct Case {
  std::string file;
  Json json;

  std::string body() const { return json["write"].value("body", ""); }
  bool accept_partial() const { return json["write"].value("accept_partial", true); }
  std::string precision() const { return json["write"].value("precision", "ns"); }
  const Json& expected() const { return json["expect"]; }
  int64_t ingested() const { return expected().value("ingested", 0); }
  const Json& rejected() const {
    static const Json none = Json::array();
    return expected().contains("rejected") ? expected()["rejected"] : none;
  }
  int64_t rejected_count() const {
    return expected().value("rejected_count", static_cast<int64_t>(rejected().size()));
  }
  std::string error() const { return expected().value("error", ""); }
};

// A door brings the case's write to the database and checks the answer.
class Door {
 public:
  virtual ~Door() = default;
  virtual std::string name() const = 0;
  virtual bool Takes(const Case&) const { return true; }
  virtual void Write(const Case& c, const std::string& database) const = 0;
};

ingest::Precision PrecisionOf(const std::string& text) {
  if (text == "s") return ingest::Precision::kSecond;
  if (text == "ms") return ingest::Precision::kMillisecond;
  if (text == "us") return ingest::Precision::kMicrosecond;
  if (text == "m") return ingest::Precision::kMinute;
  if (text == "h") return ingest::Precision::kHour;
  if (text == "auto") return ingest::Precision::kAuto;
  EXPECT_EQ(text, "ns");
  return ingest::Precision::kNanosecond;
}

class PipelineDoor : public Door {
 public:
  std::string name() const override { return "pipeline"; }
  void Write(const Case& c, const std::string& database) const override {
    std::string body = c.body();
    auto outcome = fixture::WriteLines(Server().pipeline(),
                                       {.database = storage::DatabaseName::Parse(database).value(),
                                        .body = body,
                                        .precision = PrecisionOf(c.precision()),
                                        .arrival_ns = 1'000'000,
                                        .accept_partial = c.accept_partial()});
    if (!c.error().empty()) {
      EXPECT_EQ(outcome.status().message(), c.error());
      return;
    }
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->ingested, c.ingested());
    EXPECT_EQ(outcome->rejected, c.rejected_count());
    ASSERT_EQ(outcome->rejections.size(), c.rejected().size());
    size_t i = 0;
    for (const Json& rejected : c.rejected()) {
      const ingest::Rejection& got = outcome->rejections[i++];
      EXPECT_EQ(got.place.line->number, rejected["line"]);
      EXPECT_EQ(got.message, rejected["message"]);
      EXPECT_EQ(got.unreadable, rejected.value("parsing", false));
      EXPECT_EQ(got.table, rejected.value("table", ""));
      EXPECT_EQ(got.column, rejected.value("column", ""));
    }
  }
};

v1::Precision ProtoPrecisionOf(const std::string& text) {
  if (text == "s") return v1::PRECISION_SECOND;
  if (text == "ms") return v1::PRECISION_MILLISECOND;
  if (text == "us") return v1::PRECISION_MICROSECOND;
  if (text == "auto") return v1::PRECISION_AUTO;
  EXPECT_EQ(text, "ns");
  return v1::PRECISION_NANOSECOND;
}

// The points of a body as rows or columns, and the lines that they came from.
struct Typed {
  v1::RowBatch rows;
  v1::ColumnBatch columns;
  // Nothing where a line cannot be read, or not be said in columns.
  bool has_rows = false;
  bool has_columns = false;
  std::vector<int64_t> lines;
};

Typed TypedOf(const std::string& body) {
  Typed typed;
  fixture::ColumnEncoder encoder;
  lineprotocol::LineReader reader(body);
  bool columns = true;
  while (reader.Next()) {
    if (reader.fault()) return {};
    fixture::AddRow(reader.line(), typed.rows);
    columns = columns && encoder.Add(reader.line());
    typed.lines.push_back(reader.LineNumber());
  }
  typed.columns = encoder.Take();
  typed.has_rows = !typed.lines.empty();
  typed.has_columns = typed.has_rows && columns;
  return typed;
}

enum class Form { kLines, kRows, kColumns };

// How gRPC takes points that are no text, and streams. What is not about the writing of a line
// holds for them too.
class TypedDoor : public Door {
 public:
  explicit TypedDoor(Form form) : form_(form) {}
  bool Takes(const Case& c) const override {
    if (c.precision() == "m" || c.precision() == "h" || !c.error().empty()) return false;
    if (form_ == Form::kLines) return true;
    const Typed typed = TypedOf(c.body());
    return form_ == Form::kRows ? typed.has_rows : typed.has_columns;
  }

 protected:
  static std::unique_ptr<v1::WriteService::Stub> Stub() {
    return v1::WriteService::NewStub(
        grpc::CreateChannel(Server().grpc_address(), grpc::InsecureChannelCredentials()));
  }

  std::string FormName() const {
    return form_ == Form::kLines ? "lines" : form_ == Form::kRows ? "rows" : "columns";
  }

  template <typename Message>
  void PutPoints(const Case& c, Message& to) const {
    Typed typed = TypedOf(c.body());
    if (form_ == Form::kLines) to.set_line_protocol(c.body());
    if (form_ == Form::kRows) *to.mutable_rows() = std::move(typed.rows);
    if (form_ == Form::kColumns) *to.mutable_columns() = std::move(typed.columns);
  }

  // W-83.
  void Expect(const Case& c, const v1::WriteResponse& response) const {
    const std::vector<int64_t> lines = TypedOf(c.body()).lines;
    EXPECT_EQ(response.ingested_points(), c.ingested());
    EXPECT_EQ(response.rejected_points(), c.rejected_count());
    EXPECT_EQ(response.rejected_index_deltas_size(), c.rejected_count());
    int64_t counted = 0;
    for (const v1::RejectionCount& count : response.rejection_counts()) counted += count.count();
    EXPECT_EQ(counted, c.rejected_count());
    ASSERT_EQ(response.errors_size(), c.rejected().size());
    int64_t index = 0;
    for (int i = 0; i < response.errors_size(); ++i) {
      const v1::PointError& got = response.errors(i);
      const Json& rejected = c.rejected()[static_cast<size_t>(i)];
      index += response.rejected_index_deltas(i);
      EXPECT_EQ(got.index(), index);
      EXPECT_EQ(got.has_line(), form_ == Form::kLines);
      EXPECT_EQ(form_ == Form::kLines ? got.line().number() : lines.at(got.index()),
                rejected["line"]);
      EXPECT_EQ(got.message(), rejected["message"]);
      EXPECT_EQ(got.table(), rejected.value("table", ""));
      EXPECT_EQ(got.column(), rejected.value("column", ""));
      EXPECT_EQ(v1::RejectionReason_Name(got.reason()),
                "REJECTION_REASON_" + rejected["reason"].get<std::string>());
      EXPECT_NE(got.excerpt(), "");
    }
  }

 private:
  const Form form_;
};

class UnaryDoor : public TypedDoor {
 public:
  using TypedDoor::TypedDoor;
  std::string name() const override { return "gRPC with " + FormName(); }
  void Write(const Case& c, const std::string& database) const override {
    v1::WriteRequest request;
    request.set_database(database);
    request.set_precision(ProtoPrecisionOf(c.precision()));
    request.set_accept_partial(c.accept_partial());
    request.set_rejections_in_response(true);
    PutPoints(c, request);
    grpc::ClientContext context;
    v1::WriteResponse response;
    const grpc::Status status = Stub()->Write(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    Expect(c, response);
  }
};

class StreamDoor : public TypedDoor {
 public:
  using TypedDoor::TypedDoor;
  std::string name() const override { return "gRPC stream of " + FormName(); }
  void Write(const Case& c, const std::string& database) const override {
    grpc::ClientContext context;
    auto stub = Stub();
    auto stream = stub->WriteStream(&context);
    v1::WriteStreamRequest request;
    v1::WriteStreamOpen& open = *request.mutable_open();
    open.set_database(database);
    open.set_precision(ProtoPrecisionOf(c.precision()));
    open.set_accept_partial(c.accept_partial());
    open.set_first_sequence(7);
    EXPECT_TRUE(stream->Write(request));
    request.mutable_batch()->set_sequence(7);
    PutPoints(c, *request.mutable_batch());
    EXPECT_TRUE(stream->Write(request));
    stream->WritesDone();
    v1::WriteStreamResponse response;
    EXPECT_TRUE(stream->Read(&response) && response.has_opened());
    const bool acknowledged = stream->Read(&response);
    const v1::WriteStreamResponse acks = response;
    EXPECT_FALSE(stream->Read(&response));
    const grpc::Status status = stream->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_TRUE(acknowledged && acks.acks().acks_size() == 1);
    EXPECT_EQ(acks.acks().acks(0).sequence(), 7);
    Expect(c, acks.acks().acks(0).written());
  }
};

class GrpcDoor : public Door {
 public:
  std::string name() const override { return "gRPC"; }
  bool Takes(const Case& c) const override { return c.precision() != "m" && c.precision() != "h"; }
  void Write(const Case& c, const std::string& database) const override {
    auto client = client::Client::Connect(Server().grpc_address());
    client::WriteOptions options;
    options.accept_partial = c.accept_partial();
    if (c.precision() == "s") options.precision = client::Precision::kSecond;
    if (c.precision() == "ms") options.precision = client::Precision::kMillisecond;
    if (c.precision() == "us") options.precision = client::Precision::kMicrosecond;
    if (c.precision() == "auto") options.precision = client::Precision::kAuto;
    auto result = client->Write(database, c.body(), options);
    if (!c.error().empty()) {
      EXPECT_EQ(result.status().message(), c.error());
      return;
    }
    if (c.ingested() == 0) return ExpectAllRejected(c, result.status());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->ingested_points, c.ingested());
    EXPECT_EQ(result->rejected_points, c.rejected_count());
    ASSERT_EQ(result->errors.size(), c.rejected().size());
    size_t i = 0;
    for (const Json& rejected : c.rejected()) {
      const client::PointError& got = result->errors[i++];
      EXPECT_EQ(got.line->number, rejected["line"]);
      EXPECT_EQ(got.message, rejected["message"]);
      EXPECT_EQ(got.reason, rejected["reason"]);
    }
  }

 private:
  // W-3.
  static void ExpectAllRejected(const Case& c, const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    auto violations = client::ViolationsOf(status);
    ASSERT_EQ(violations.size(), std::min<size_t>(20, c.rejected().size()));
    for (size_t i = 0; i < violations.size(); ++i) {
      EXPECT_EQ(violations[i].first,
                fmt::format("line_protocol:{}", c.rejected()[i]["line"].get<int>()));
      EXPECT_EQ(violations[i].second, c.rejected()[i]["message"]);
    }
  }
};

class HttpDoor : public Door {
 public:
  HttpDoor(std::string route, std::string parameter) : route_(route), parameter_(parameter) {}
  std::string name() const override { return route_; }
  bool Takes(const Case& c) const override {
    bool v3 = route_ == "/api/v3/write_lp";
    if (c.precision() == "auto") return v3;
    if (c.precision() == "m" || c.precision() == "h") return !v3;
    return v3 || c.accept_partial();
  }
  void Write(const Case& c, const std::string& database) const override {
    std::string target = fmt::format("{}?{}={}&precision={}", route_, parameter_,
                                     fixture::EncodeParameter(database), c.precision());
    if (!c.accept_partial()) target += "&accept_partial=false";
    auto answer = fixture::Fetch(Server().http_port(), "POST", target, c.body());
    ASSERT_TRUE(answer);
    if (c.error().empty() && c.rejected_count() == 0) {
      EXPECT_EQ(answer->status, 204);
      EXPECT_EQ(answer->body, "");
      EXPECT_FALSE(answer->headers.contains("content-type"));
      return;
    }
    EXPECT_EQ(answer->status, c.expected().value("status", 400));
    EXPECT_EQ(answer->headers["content-type"], "application/json");
    Json body = Json::parse(answer->body);
    if (!c.error().empty()) return ExpectError(c, body);
    if (route_ == "/api/v3/write_lp") {
      ExpectV3(c, body);
    } else {
      ExpectMessage(c, body);
    }
    ExpectData(c, body["data"]);
  }

 private:
  void ExpectError(const Case& c, const Json& body) const {
    EXPECT_EQ(body["message"], c.error());
    EXPECT_FALSE(body.contains("line"));
  }

  // W-20 to W-22.
  static void ExpectMessage(const Case& c, const Json& body) {
    std::string message = c.ingested() > 0 ? "partial write has occurred" : "no data written";
    message += ", errors encountered on line(s):";
    for (const Json& rejected : c.rejected()) {
      message += fmt::format("\nerror {} line {} (1-based): {}",
                             rejected.value("parsing", false) ? "parsing" : "writing",
                             rejected["line"].get<int>(), rejected["message"].get<std::string>());
    }
    int64_t more = c.rejected_count() - static_cast<int64_t>(c.rejected().size());
    if (more > 0) message += fmt::format("\n(and {} more)", more);
    EXPECT_EQ(body["code"], "invalid");
    EXPECT_EQ(body["line"], c.rejected()[0]["line"]);
    EXPECT_EQ(body["message"], message);
    EXPECT_EQ(body["error"], message);
    std::vector<std::string> keys;
    for (const auto& [key, value] : body.items()) keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"code", "line", "message", "error", "data"}));
  }

  // W-24.
  static void ExpectV3(const Case& c, const Json& body) {
    EXPECT_EQ(body["error"], c.accept_partial() ? "partial write of line protocol occurred"
                                                : "line protocol parsing error");
    // Where `data` has not all of them, their number is told as well.
    EXPECT_EQ(body.size(), body.contains("rejected_lines") ? 3u : 2u);
    EXPECT_EQ(body.contains("rejected_lines"), body["data"].size() == ingest::kMaxRejections);
  }

  static void ExpectData(const Case& c, const Json& data) {
    ASSERT_EQ(data.size(), c.rejected().size());
    for (size_t i = 0; i < data.size(); ++i) {
      const Json& rejected = c.rejected()[i];
      EXPECT_EQ(data[i]["line_number"], rejected["line"]);
      EXPECT_EQ(data[i]["error_message"], rejected["message"]);
      if (!rejected.contains("text")) continue;
      EXPECT_EQ(data[i]["original_line"], rejected["text"]);
    }
  }

  const std::string route_;
  const std::string parameter_;
};

void ExpectRows(const Case& c, const std::string& database) {
  if (!c.expected().contains("rows")) return;
  for (const auto& [sql, rows] : c.expected()["rows"].items()) {
    auto answer = fixture::Fetch(
        Server().http_port(), "GET",
        fmt::format("/api/v3/query_sql?db={}&q={}", fixture::EncodeParameter(database),
                    fixture::EncodeParameter(sql)));
    ASSERT_TRUE(answer);
    EXPECT_EQ(Json::parse(answer->body), rows) << sql;
  }
}

void RunCase(const Case& c, const Door& door) {
  static int count = 0;
  std::string database = fmt::format("case{}", ++count);
  if (c.json.value("create", true)) Server().CreateDatabase(database);
  if (c.json.contains("retention_s")) {
    int64_t retention_ns = c.json["retention_s"].get<int64_t>() * 1'000'000'000;
    auto set = [&](storage::DatabaseSettings& settings) { settings.retention_ns = retention_ns; };
    ASSERT_TRUE(
        Server().store().UpdateDatabase(storage::DatabaseName::Parse(database).value(), set).ok());
  }
  for (const auto& body : c.json.value("before", std::vector<std::string>())) {
    auto outcome = fixture::WriteLines(
        Server().pipeline(),
        {.database = storage::DatabaseName::Parse(database).value(), .body = body});
    ASSERT_TRUE(outcome.ok() && outcome->rejected == 0) << body;
  }
  Case named = c;
  // The name differs from run to run.
  std::string error = c.error();
  if (size_t at = error.find("DATABASE"); at != std::string::npos) {
    named.json["expect"]["error"] = error.replace(at, 8, database);
  }
  door.Write(named, database);
  ExpectRows(named, database);
}

std::vector<Case> ReadCases() {
  std::vector<Case> cases;
  for (const auto& entry : std::filesystem::directory_iterator("tests/contract/cases")) {
    std::ifstream file(entry.path());
    for (const Json& json : Json::parse(file)) {
      cases.push_back({entry.path().filename().string(), json});
    }
  }
  return cases;
}

TEST(ContractTest, EveryWriteComesToTheSameAtEveryDoor) {
  PipelineDoor pipeline;
  GrpcDoor grpc;
  UnaryDoor unary_lines(Form::kLines);
  UnaryDoor rows(Form::kRows);
  UnaryDoor columns(Form::kColumns);
  StreamDoor stream_lines(Form::kLines);
  StreamDoor stream_rows(Form::kRows);
  StreamDoor stream_columns(Form::kColumns);
  HttpDoor write("/write", "db");
  HttpDoor write_v2("/api/v2/write", "bucket");
  HttpDoor write_v3("/api/v3/write_lp", "db");
  int runs = 0;
  for (const Case& c : ReadCases()) {
    if (c.json.contains("steps")) continue;
    for (const Door* door : std::initializer_list<const Door*>{
             &pipeline, &grpc, &unary_lines, &rows, &columns, &stream_lines, &stream_rows,
             &stream_columns, &write, &write_v2, &write_v3}) {
      if (!door->Takes(c)) continue;
      SCOPED_TRACE(
          fmt::format("{}: {} ({})", c.file, c.json["name"].get<std::string>(), door->name()));
      RunCase(c, *door);
      ++runs;
    }
  }
  EXPECT_GT(runs, 300);
}

TEST(ContractTest, EveryExchangeGoesAsItSays) {
  int runs = 0;
  for (const Case& c : ReadCases()) {
    if (!c.json.contains("steps")) continue;
    SCOPED_TRACE(fmt::format("{}: {}", c.file, c.json["name"].get<std::string>()));
    contract::RunExchange(c.json);
    ++runs;
  }
  EXPECT_GT(runs, 30);
}

// All rules of the contract, by their numbers.
std::set<std::string> AllRules() {
  std::set<std::string> rules;
  for (auto [first, last] :
       {std::pair{1, 16}, {20, 26}, {30, 40}, {50, 53}, {60, 65}, {70, 72}, {80, 96}}) {
    for (int i = first; i <= last; ++i) rules.insert(fmt::format("W-{}", i));
  }
  return rules;
}

// By rule, the files that the table in README.md names in its third column.
std::map<std::string, std::set<std::string>> ReadTable() {
  static const std::regex kRow(R"(\| (W-\d+) \|[^|]*\|([^|]*)\|.*)");
  static const std::regex kFile(R"(`(\w+)\.json`)");
  std::map<std::string, std::set<std::string>> table;
  std::ifstream readme("tests/contract/README.md");
  for (std::string line; std::getline(readme, line);) {
    std::smatch row;
    if (!std::regex_match(line, row, kRow)) continue;
    std::string cell = row[2];
    for (std::sregex_iterator file(cell.begin(), cell.end(), kFile), end; file != end; ++file) {
      table[row[1]].insert((*file)[1].str() + ".json");
    }
  }
  return table;
}

TEST(ContractTest, EveryRuleHasACaseAndTheTableSaysWhich) {
  std::map<std::string, std::set<std::string>> shown;
  for (const Case& c : ReadCases()) {
    for (const std::string rule : c.json["rules"]) shown[rule].insert(c.file);
  }
  std::map<std::string, std::set<std::string>> table = ReadTable();
  for (const std::string& rule : AllRules()) {
    EXPECT_TRUE(shown.contains(rule)) << rule << " has no case";
    EXPECT_EQ(table[rule], shown[rule]) << "the row of " << rule << " in README.md";
  }
  for (const auto& [rule, files] : shown) EXPECT_TRUE(AllRules().contains(rule)) << rule;
}

}  // namespace
}  // namespace sluice
