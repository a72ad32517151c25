#include "server/http/write_route.h"

#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "server/http/content_encoding.h"
#include "server/http/error_response.h"
#include "server/http/parameters.h"
#include "server/http/rejection_response.h"
#include "storage/timestamp.h"

namespace sluice::http {
namespace {

using ingest::Precision;
using ingest::WriteRequest;

enum class Dialect { kV1, kV2, kV3 };

// Contract W-30.
absl::StatusOr<Precision> ParsePrecision(std::string_view text, Dialect dialect) {
  static const std::map<std::string, Precision, std::less<>> kUnits = {
      {"ns", Precision::kNanosecond},
      {"n", Precision::kNanosecond},
      {"nanosecond", Precision::kNanosecond},
      {"us", Precision::kMicrosecond},
      {"u", Precision::kMicrosecond},
      {"microsecond", Precision::kMicrosecond},
      {"ms", Precision::kMillisecond},
      {"millisecond", Precision::kMillisecond},
      {"s", Precision::kSecond},
      {"second", Precision::kSecond},
      {"m", Precision::kMinute},
      {"h", Precision::kHour},
      {"auto", Precision::kAuto},
  };
  const bool v3 = dialect == Dialect::kV3;
  if (text.empty()) return v3 ? Precision::kAuto : Precision::kNanosecond;
  auto unit = kUnits.find(text);
  bool known = unit != kUnits.end();
  if (known && unit->second == Precision::kAuto) known = v3;
  if (known && (unit->second == Precision::kMinute || unit->second == Precision::kHour))
    known = !v3;
  if (known) return unit->second;
  return absl::InvalidArgumentError("invalid precision '" + std::string(text) +
                                    "'; use ns, us, ms" + (v3 ? ", s or auto" : ", s, m or h"));
}

// Contract W-34.
std::string V1DatabaseName(const Parameters& parameters) {
  std::string database(parameters.Get("db"));
  std::string policy = absl::AsciiStrToLower(std::string(parameters.Get("rp")));
  bool none = policy.empty() || policy == "''" || policy == "autogen" || policy == "default";
  return none ? database : database + "/" + policy;
}

absl::StatusOr<storage::DatabaseName> ParseDatabase(const Parameters& parameters, Dialect dialect) {
  const char* parameter = dialect == Dialect::kV2 ? "bucket" : "db";
  if (parameters.Get(parameter).empty()) {
    return absl::InvalidArgumentError(std::string("the query parameter '") + parameter +
                                      "' is missing: name the database to write to");
  }
  return storage::DatabaseName::Parse(dialect == Dialect::kV1
                                          ? V1DatabaseName(parameters)
                                          : std::string(parameters.Get(parameter)));
}

absl::StatusOr<WriteRequest> ParseWrite(std::string_view query, Dialect dialect) {
  absl::StatusOr<Parameters> parameters = Parameters::Parse(query);
  if (!parameters.ok()) return parameters.status();
  absl::StatusOr<storage::DatabaseName> database = ParseDatabase(*parameters, dialect);
  if (!database.ok()) return database.status();
  absl::StatusOr<Precision> precision = ParsePrecision(parameters->Get("precision"), dialect);
  if (!precision.ok()) return precision.status();
  WriteRequest write{.database = *std::move(database), .body = {}, .precision = *precision};
  if (dialect != Dialect::kV3) return write;
  absl::StatusOr<bool> accept_partial = parameters->GetBool("accept_partial", true);
  if (!accept_partial.ok()) return accept_partial.status();
  absl::StatusOr<bool> no_sync = parameters->GetBool("no_sync", false);
  if (!no_sync.ok()) return no_sync.status();
  write.accept_partial = *accept_partial;
  write.no_sync = *no_sync;
  return write;
}

class WriteRoute {
 public:
  WriteRoute(const ingest::Pipeline& pipeline, const storage::Store& store,
             server::Workers& workers, size_t max_body_bytes, Dialect dialect)
      : pipeline_(pipeline),
        store_(store),
        workers_(workers),
        max_body_bytes_(max_body_bytes),
        dialect_(dialect) {}

  // In the order of contract W-14: what can be said without the body is said without it.
  Beginning Begin(const RequestHead& head) const {
    absl::StatusOr<WriteRequest> write = ParseWrite(QueryOf(head.target), dialect_);
    if (!write.ok()) return ToResponse(write.status());
    write->arrival_ns = storage::NowNs();
    absl::Status found = store_.FindDatabase(write->database).status();
    if (!found.ok()) return Refuse(*write, found);
    std::string encoding(head.HeaderNamed("Content-Encoding"));
    return Deferred{&workers_, [this, write = *std::move(write), encoding](std::string_view body) {
                      return End(write, encoding, body);
                    }};
  }

 private:
  Response End(WriteRequest write, std::string_view encoding, std::string_view body) const {
    std::string decoded;
    absl::StatusOr<std::string_view> plain =
        DecodeContent(encoding, body, max_body_bytes_, decoded);
    if (!plain.ok()) return ToResponse(plain.status());
    write.body = *plain;
    absl::StatusOr<ingest::Outcome> outcome = pipeline_.Write(write);
    if (!outcome.ok()) return Refuse(write, outcome.status());
    if (outcome->rejected == 0) return Response();
    return dialect_ == Dialect::kV3 ? RejectionV3(*outcome, write.accept_partial)
                                    : Rejection(*outcome);
  }

  Response Refuse(const WriteRequest& write, const absl::Status& status) const {
    bool v1 = dialect_ == Dialect::kV1 && absl::IsNotFound(status);
    return v1 ? NoDatabaseV1(status, write.database.text()) : ToResponse(status);
  }

  const ingest::Pipeline& pipeline_;
  const storage::Store& store_;
  server::Workers& workers_;
  const size_t max_body_bytes_;
  const Dialect dialect_;
};

}  // namespace

void AddWriteRoutes(Router& router, const ingest::Pipeline& pipeline, const storage::Store& store,
                    server::Workers& workers, size_t max_body_bytes) {
  auto add = [&](const char* path, Dialect dialect) {
    auto route = std::make_shared<WriteRoute>(pipeline, store, workers, max_body_bytes, dialect);
    router.Add("POST", path, [route](const RequestHead& head) { return route->Begin(head); });
  };
  add("/write", Dialect::kV1);
  add("/api/v2/write", Dialect::kV2);
  add("/api/v3/write_lp", Dialect::kV3);
}

}  // namespace sluice::http
