#include "server/influx/write_route.h"

#include <chrono>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "server/influx/access.h"
#include "server/http/content_encoding.h"
#include "server/influx/error_response.h"
#include "server/http/parameters.h"
#include "server/influx/rejection_response.h"
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

// A write up to its body.
struct Asked {
  WriteRequest write;
  bool dry_run = false;
};

absl::StatusOr<Asked> ParseWrite(const Parameters& parameters, Dialect dialect) {
  absl::StatusOr<storage::DatabaseName> database = ParseDatabase(parameters, dialect);
  if (!database.ok()) return database.status();
  absl::StatusOr<Precision> precision = ParsePrecision(parameters.Get("precision"), dialect);
  if (!precision.ok()) return precision.status();
  Asked asked{{.database = *std::move(database), .body = {}, .precision = *precision}};
  if (dialect != Dialect::kV3) return asked;
  for (auto [name, to] : {std::pair{"accept_partial", &asked.write.accept_partial},
                          {"no_sync", &asked.write.no_sync},
                          {"dry_run", &asked.dry_run}}) {
    absl::StatusOr<bool> value = parameters.GetBool(name, *to);
    if (!value.ok()) return value.status();
    *to = *value;
  }
  return asked;
}

class WriteRoute {
 public:
  WriteRoute(const server::Parts& parts, size_t max_body_bytes, const std::string& path,
             Dialect dialect)
      : parts_(parts),
        max_body_bytes_(max_body_bytes),
        path_(path),
        metrics_(parts.metrics.AddDoor(path)),
        dialect_(dialect) {}

  // In the order of contract W-14: what can be said without the body is said without it.
  Beginning Begin(const RequestHead& head) const {
    absl::StatusOr<Parameters> parameters = Parameters::Parse(QueryOf(head.target));
    absl::StatusOr<auth::Principal> principal = IdentifyWriter(head);
    if (!principal.ok()) return Refuse(principal.status());
    if (!parameters.ok()) return Refuse(parameters.status());
    absl::StatusOr<Asked> asked = ParseWrite(*parameters, dialect_);
    if (!asked.ok()) return Refuse(asked.status());
    absl::Status admitted = Admit(*asked, *principal);
    if (!admitted.ok()) return Refuse(admitted, &asked->write.database);
    asked->write.arrival_ns = storage::NowNs();
    asked->write.origin = {path_, principal->name(), head.peer};
    std::string encoding(head.HeaderNamed("Content-Encoding"));
    return Deferred{
        .workers = &parts_.write_workers,
        .answer = [this, asked = *asked,
                   encoding](std::string_view body) { return End(asked, encoding, body); },
        .refuse = [this](const absl::Status& status) { return Refuse(status); },
    };
  }

 private:
  // `/write` takes the token as a parameter too (W-39).
  absl::StatusOr<auth::Principal> IdentifyWriter(const RequestHead& head) const {
    return dialect_ == Dialect::kV1 ? IdentifyByHeaderOrQuery(parts_.authority, head)
                                    : Identify(parts_.authority, head);
  }

  absl::Status Admit(const Asked& asked, const auth::Principal& principal) const {
    absl::Status status = parts_.pipeline.CheckDatabase(asked.write.database);
    if (status.ok()) status = principal.MayWrite(asked.write.database.text());
    if (status.ok() && !asked.dry_run) status = parts_.readiness.Check();
    return status;
  }

  Response End(const Asked& asked, std::string_view encoding, std::string_view body) const {
    const auto start = std::chrono::steady_clock::now();
    absl::StatusOr<ingest::Outcome> outcome = Run(asked, encoding, body);
    metrics_.Observe(outcome, body.size(), std::chrono::steady_clock::now() - start);
    if (!outcome.ok()) return Translate(outcome.status(), &asked.write.database);
    if (outcome->rejected == 0) return Response();
    if (asked.dry_run) return DryRunRejection(*outcome);
    return dialect_ == Dialect::kV3 ? RejectionV3(*outcome, asked.write.accept_partial)
                                    : Rejection(*outcome);
  }

  absl::StatusOr<ingest::Outcome> Run(const Asked& asked, std::string_view encoding,
                                      std::string_view body) const {
    ContentDecoder decoder(max_body_bytes_, parts_.bodies);
    absl::StatusOr<std::string_view> plain = decoder.Decode(encoding, body);
    if (!plain.ok()) return plain.status();
    server::MemoryBudget::Share judging(parts_.judging);
    WriteRequest write = asked.write;
    write.body = *plain;
    write.memory = &judging;
    return asked.dry_run ? parts_.pipeline.Validate(write) : parts_.pipeline.Write(write);
  }

  Response Refuse(const absl::Status& status,
                  const storage::DatabaseName* database = nullptr) const {
    metrics_.Observe(status, 0, std::chrono::nanoseconds(0));
    return Translate(status, database);
  }

  Response Translate(const absl::Status& status, const storage::DatabaseName* database) const {
    bool v1 = dialect_ == Dialect::kV1 && absl::IsNotFound(status) && database != nullptr;
    return v1 ? NoDatabaseV1(status, database->text()) : ToResponse(status);
  }

  const server::Parts& parts_;
  const size_t max_body_bytes_;
  const std::string path_;
  observability::WriteMetrics& metrics_;
  const Dialect dialect_;
};

}  // namespace

void AddWriteRoutes(Router& router, const server::Parts& parts, size_t max_body_bytes) {
  auto add = [&](const char* path, Dialect dialect) {
    auto route = std::make_shared<WriteRoute>(parts, max_body_bytes, path, dialect);
    router.Add("POST", path, [route](const RequestHead& head) { return route->Begin(head); });
  };
  add("/write", Dialect::kV1);
  add("/api/v2/write", Dialect::kV2);
  add("/api/v3/write_lp", Dialect::kV3);
}

}  // namespace sluice::http
