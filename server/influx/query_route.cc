#include "server/influx/query_route.h"

#include <fmt/format.h>

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/http/parameters.h"
#include "server/influx/access.h"
#include "server/influx/error_response.h"
#include "server/influx/json_body.h"
#include "server/influx/result_format.h"
#include "server/query/query.h"
#include "storage/timestamp.h"

namespace sluice::influx {

using http::Beginning;
using http::BodySource;
using http::Deferred;
using http::OnWorker;
using http::Parameters;
using http::QueryOf;
using http::RequestHead;
using http::Response;
using http::Router;
namespace {

// A piece of a result is sent when it has this many bytes.
constexpr size_t kPieceBytes = 64 << 10;

struct Asked {
  std::string db;
  std::string q;
  std::string format;
  std::map<std::string, query::Parameter> parameters = {};
};

// A value that SQL has too.
absl::StatusOr<query::Parameter> ToParameter(const std::string& name, const nlohmann::json& value) {
  if (value.is_null()) return query::Parameter();
  if (value.is_boolean()) return query::Parameter(value.get<bool>());
  if (value.is_string()) return query::Parameter(value.get<std::string>());
  // One beyond the signed integers stays a number.
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  if (fits) return query::Parameter(value.get<int64_t>());
  if (value.is_number()) return query::Parameter(value.get<double>());
  return absl::InvalidArgumentError(
      fmt::format("the parameter '{}' is neither a text nor a number, true, false or null", name));
}

absl::Status ReadParameters(const nlohmann::json& json,
                            std::map<std::string, query::Parameter>& to) {
  if (json.is_null()) return absl::OkStatus();
  if (!json.is_object()) {
    return absl::InvalidArgumentError(R"('params' is not an object such as {"room":"Kitchen"})");
  }
  for (const auto& [name, value] : json.items()) {
    absl::StatusOr<query::Parameter> parameter = ToParameter(name, value);
    if (!parameter.ok()) return parameter.status();
    to[name] = *std::move(parameter);
  }
  return absl::OkStatus();
}

absl::StatusOr<Asked> ParseQueryString(std::string_view text) {
  absl::StatusOr<Parameters> parameters = Parameters::Parse(text);
  if (!parameters.ok()) return parameters.status();
  Asked asked{std::string(parameters->Get("db")), std::string(parameters->Get("q")),
              std::string(parameters->Get("format"))};
  const std::string params(parameters->Get("params"));
  if (params.empty()) return asked;
  absl::Status read =
      ReadParameters(nlohmann::json::parse(params, nullptr, false), asked.parameters);
  if (!read.ok()) return read;
  return asked;
}

absl::StatusOr<Asked> ParseBody(std::string_view text) {
  auto body = JsonBody::Parse(text, R"({"db":"NAME","q":"SELECT …"})");
  if (!body.ok()) return body.status();
  Asked asked;
  for (auto [key, to] : {std::pair{"db", &asked.db}, {"q", &asked.q}, {"format", &asked.format}}) {
    auto value = body->Text(key);
    if (!value.ok()) return value.status();
    *to = value->value_or("");
  }
  absl::Status read =
      ReadParameters(body->json().value("params", nlohmann::json()), asked.parameters);
  if (!read.ok()) return read;
  return asked;
}

class QueryResult : public BodySource {
 public:
  QueryResult(std::unique_ptr<query::Query> query, std::unique_ptr<ResultFormat> format)
      : query_(std::move(query)), format_(std::move(format)) {
    format_->PutColumns(query_->columns(), piece_);
  }

  bool done() const { return done_; }

  absl::StatusOr<std::string> Next() override {
    while (!done_ && piece_.size() < kPieceBytes) {
      absl::StatusOr<bool> more = query_->Next(row_);
      if (!more.ok()) return more.status();
      if (*more) {
        format_->PutRow(row_, piece_);
      } else {
        format_->PutEnd(piece_);
        done_ = true;
      }
    }
    return std::exchange(piece_, "");
  }

 private:
  const std::unique_ptr<query::Query> query_;
  const std::unique_ptr<ResultFormat> format_;
  query::Row row_;
  std::string piece_;
  bool done_ = false;
};

// When a query came, and who waits for it.
struct Arrival {
  int64_t time_ns;
  std::chrono::steady_clock::time_point deadline;
  std::shared_ptr<std::atomic<bool>> abandoned;
  std::shared_ptr<observability::Request> request;
};

Response Answer(const server::Parts& parts, const auth::Principal& principal, const Asked& asked,
                const Arrival& arrival) {
  if (asked.db.empty() || asked.q.empty()) {
    return BadRequest("the parameters 'db', a database, and 'q', an SQL query, are required");
  }
  auto name = storage::DatabaseName::Parse(asked.db);
  if (!name.ok()) return ToResponse(name.status());
  auto format = ResultFormat::Create(asked.format);
  const absl::Status admitted = parts.gate.Check(principal, {.act = server::Act::kRead,
                                                             .parameters = format.status(),
                                                             .database = *name,
                                                             .request = arrival.request});
  if (!admitted.ok()) return ToResponse(admitted);
  auto query = query::Query::Open(parts.store, parts.rejections, parts.governor,
                                  {.database = *std::move(name),
                                   .sql = asked.q,
                                   .arrival_ns = arrival.time_ns,
                                   .deadline = arrival.deadline,
                                   .parameters = asked.parameters,
                                   .abandoned = arrival.abandoned});
  if (!query.ok()) return ToResponse(query.status());
  Response response;
  response.status = 200;
  response.headers = {{"Content-Type", std::string((*format)->content_type())}};
  auto result = std::make_unique<QueryResult>(*std::move(query), *std::move(format));
  // What goes wrong within the first piece still gets its status.
  absl::StatusOr<std::string> first = result->Next();
  if (!first.ok()) return ToResponse(first.status());
  response.body = *std::move(first);
  if (!result->done()) response.rest = std::move(result);
  return response;
}

}  // namespace

void AddQueryRoutes(Router& router, const server::Parts& parts, std::chrono::milliseconds timeout) {
  auto add = [&](const char* method, auto parse) {
    router.Add(method, "/api/v3/query_sql", [=, &parts](const RequestHead& head) -> Beginning {
      absl::StatusOr<auth::Principal> principal = parts.gate.Identify(CredentialIn(head));
      if (!principal.ok()) return ToResponse(principal.status());
      std::string query(QueryOf(head.target));
      const Arrival arrival{storage::NowNs(), std::chrono::steady_clock::now() + timeout,
                            std::make_shared<std::atomic<bool>>(false), head.request};
      auto answer = [=, &parts, principal = *principal](std::string_view body) {
        absl::StatusOr<Asked> asked = parse(query, body);
        return asked.ok() ? Answer(parts, principal, *asked, arrival) : ToResponse(asked.status());
      };
      return Deferred{.answer = OnWorker(parts.query_workers, answer),
                      .workers = &parts.query_workers,
                      .max_body_bytes = kMaxJsonBytes,
                      .abandoned = arrival.abandoned};
    });
  };
  add("GET", [](std::string_view query, std::string_view) { return ParseQueryString(query); });
  add("POST", [](std::string_view query, std::string_view body) {
    return body.empty() ? ParseQueryString(query) : ParseBody(body);
  });
}

}  // namespace sluice::influx
