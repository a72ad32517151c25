#include "server/http/query_route.h"

#include <memory>
#include <string>

#include "server/http/access.h"
#include "server/http/error_response.h"
#include "server/http/json_body.h"
#include "server/http/parameters.h"
#include "server/http/result_format.h"
#include "server/query/query.h"
#include "storage/timestamp.h"

namespace sluice::http {
namespace {

// A piece of a result is sent when it has this many bytes.
constexpr size_t kPieceBytes = 64 << 10;

struct Asked {
  std::string db;
  std::string q;
  std::string format;
};

absl::StatusOr<Asked> ParseQueryString(std::string_view text) {
  absl::StatusOr<Parameters> parameters = Parameters::Parse(text);
  if (!parameters.ok()) return parameters.status();
  return Asked{std::string(parameters->Get("db")), std::string(parameters->Get("q")),
               std::string(parameters->Get("format"))};
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

Response Answer(const server::Parts& parts, const auth::Principal& principal, const Asked& asked,
                int64_t arrival_ns, std::chrono::milliseconds timeout) {
  if (asked.db.empty() || asked.q.empty()) {
    return BadRequest("the parameters 'db', a database, and 'q', an SQL query, are required");
  }
  auto name = storage::DatabaseName::Parse(asked.db);
  if (!name.ok()) return ToResponse(name.status());
  auto format = ResultFormat::Create(asked.format);
  if (!format.ok()) return ToResponse(format.status());
  absl::Status found = parts.store.FindDatabase(*name).status();
  if (found.ok()) found = principal.MayRead(asked.db);
  if (!found.ok()) return ToResponse(found);
  auto query = query::Query::Open(parts.store, parts.rejections,
                                  {*std::move(name), asked.q, arrival_ns, timeout});
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
      absl::StatusOr<auth::Principal> principal = Identify(parts.authority, head);
      if (!principal.ok()) return ToResponse(principal.status());
      std::string query(QueryOf(head.target));
      int64_t arrival_ns = storage::NowNs();
      auto answer = [=, &parts, principal = *principal](std::string_view body) {
        absl::StatusOr<Asked> asked = parse(query, body);
        return asked.ok() ? Answer(parts, principal, *asked, arrival_ns, timeout)
                          : ToResponse(asked.status());
      };
      return Deferred{
          .workers = &parts.query_workers, .answer = answer, .max_body_bytes = kMaxJsonBytes};
    });
  };
  add("GET", [](std::string_view query, std::string_view) { return ParseQueryString(query); });
  add("POST", [](std::string_view query, std::string_view body) {
    return body.empty() ? ParseQueryString(query) : ParseBody(body);
  });
}

}  // namespace sluice::http
