#include "server/influx/write_route.h"

#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "server/gate/write_gate.h"
#include "server/http/parameters.h"
#include "server/influx/access.h"
#include "server/influx/encoded_lines.h"
#include "server/influx/error_response.h"
#include "server/influx/rejection_response.h"

namespace sluice::influx {

using http::Beginning;
using http::Deferred;
using http::Parameters;
using http::QueryOf;
using http::RequestHead;
using http::Respond;
using http::Response;
using http::Router;
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
  storage::DatabaseName database;
  Precision precision;
  ingest::WriteOptions options = {};
  bool dry_run = false;
};

absl::StatusOr<Asked> ParseWrite(std::string_view query, Dialect dialect) {
  absl::StatusOr<Parameters> parameters = Parameters::Parse(query);
  if (!parameters.ok()) return parameters.status();
  absl::StatusOr<storage::DatabaseName> database = ParseDatabase(*parameters, dialect);
  if (!database.ok()) return database.status();
  absl::StatusOr<Precision> precision = ParsePrecision(parameters->Get("precision"), dialect);
  if (!precision.ok()) return precision.status();
  Asked asked{.database = *std::move(database), .precision = *precision};
  if (dialect != Dialect::kV3) return asked;
  for (auto [name, to] : {std::pair{"accept_partial", &asked.options.accept_partial},
                          {"no_sync", &asked.options.no_sync},
                          {"dry_run", &asked.dry_run}}) {
    absl::StatusOr<bool> value = parameters->GetBool(name, *to);
    if (!value.ok()) return value.status();
    *to = *value;
  }
  return asked;
}

class WriteRoute {
 public:
  WriteRoute(const server::Parts& parts, size_t max_body_bytes, const std::string& path,
             Dialect dialect)
      : parts_(parts), max_body_bytes_(max_body_bytes), gate_(parts, path), dialect_(dialect) {}

  // What can be said without the body is said without it (contract W-14).
  Beginning Begin(const RequestHead& head) const {
    const absl::StatusOr<Asked> asked = ParseWrite(QueryOf(head.target), dialect_);
    absl::StatusOr<server::Pass> pass = gate_.Admit(ClaimOf(head, asked), std::string(head.peer));
    if (!pass.ok()) return Translate(pass.status(), asked);
    return Deferred{
        .answer =
            [this, asked = *asked, encoding = std::string(head.HeaderNamed("Content-Encoding")),
             pass = *std::move(pass)](std::string_view body, Respond respond) mutable {
              pass.body_bytes = body.size();
              gate_.WriteOne(std::move(pass),
                             std::make_unique<EncodedLines>(std::move(encoding), body,
                                                            max_body_bytes_, parts_.bodies),
                             ToWrite(asked),
                             [this, asked, respond = std::move(respond)](
                                 absl::StatusOr<ingest::Outcome> outcome) mutable {
                               respond(Show(outcome, asked));
                             });
            },
        .refuse =
            [this](const absl::Status& status) {
              gate_.Refuse(status);
              return ToResponse(status);
            },
    };
  }

 private:
  server::Claim ClaimOf(const RequestHead& head, const absl::StatusOr<Asked>& asked) const {
    // `/write` takes the token as a parameter too (W-39).
    server::Claim claim{.act = server::Act::kWrite,
                        .credential = dialect_ == Dialect::kV1 ? CredentialInHeaderOrQuery(head)
                                                               : CredentialIn(head),
                        .parameters = asked.status(),
                        .request = head.request};
    if (!asked.ok()) return claim;
    claim.database = asked->database;
    if (asked->dry_run) claim.act = server::Act::kValidate;
    return claim;
  }

  static WriteRequest ToWrite(const Asked& asked) {
    return {.database = asked.database, .precision = asked.precision, .options = asked.options};
  }

  Response Show(const absl::StatusOr<ingest::Outcome>& outcome, const Asked& asked) const {
    if (!outcome.ok()) return Translate(outcome.status(), asked);
    if (outcome->rejected == 0) return Response();
    if (asked.dry_run) return DryRunRejection(*outcome);
    return dialect_ == Dialect::kV3 ? RejectionV3(*outcome, asked.options.accept_partial)
                                    : Rejection(*outcome);
  }

  // `/write` names a database that is missing in words of its own (W-25).
  Response Translate(const absl::Status& status, const absl::StatusOr<Asked>& asked) const {
    const bool no_database = dialect_ == Dialect::kV1 && absl::IsNotFound(status) && asked.ok();
    return no_database ? NoDatabaseV1(status, asked->database.text()) : ToResponse(status);
  }

  const server::Parts& parts_;
  const size_t max_body_bytes_;
  const server::WriteGate gate_;
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

}  // namespace sluice::influx
