#include "server/observability/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "storage/timestamp.h"

namespace sluice::observability {
namespace {

constexpr size_t kMaxIdBytes = 128;
// What is logged of a message; the client has it whole.
constexpr size_t kMaxMessageBytes = 500;
constexpr size_t kMaxMethodBytes = 200;

bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         std::all_of(id.begin(), id.end(), absl::ascii_isgraph);
}

// version-traceid-parentid-flags, in lower case hexadecimal (W3C Trace Context, section 3.2).
bool IsTraceparent(std::string_view text) {
  constexpr std::string_view kForm = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
  if (text.size() != kForm.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (kForm[i] == '-' ? text[i] != '-' : !hex) return false;
  }
  return true;
}

// Of this process, so that numbers of two do not meet.
uint32_t Prefix() {
  static const uint32_t prefix = std::random_device()();
  return prefix;
}

}  // namespace

Request::Request(Requests& all, RequestMetrics& metrics, Opening opening, const void* call)
    : all_(all),
      metrics_(metrics),
      door_(opening.door),
      method_(std::move(opening.method)),
      peer_(std::move(opening.peer)),
      id_(IsId(opening.request_id) ? std::string(opening.request_id) : all.NewId()),
      traceparent_(IsTraceparent(opening.traceparent) ? opening.traceparent : ""),
      audited_(opening.audited),
      lasts_(opening.lasts),
      call_(call) {}

Request::~Request() {
  End({.kind = Ending::Kind::kDone, .code = "Cancelled"});
  std::lock_guard lock(all_.mutex_);
  if (is_listed_) all_.under_way_.erase(place_);
  if (call_ == nullptr) return;
  // The call's memory may be another's by now.
  auto found = all_.by_call_.find(call_);
  if (found != all_.by_call_.end() && found->second.expired()) all_.by_call_.erase(found);
}

void Request::LetIn(std::string_view principal, std::string_view database) {
  if (let_in_.exchange(true)) return;
  std::lock_guard lock(all_.mutex_);
  principal_ = principal;
  database_ = database;
}

void Request::SetTarget(std::string_view target, std::string_view details) {
  std::lock_guard lock(all_.mutex_);
  target_ = target.substr(0, kMaxMessageBytes);
  details_ = details.substr(0, kMaxMessageBytes);
}

void Request::End(const Ending& ending) {
  if (ended_.exchange(true)) return;
  const std::chrono::duration<double> duration = std::chrono::steady_clock::now() - begun_;
  metrics_.Ended(ending.code, duration.count());
  const bool bad = ending.kind == Ending::Kind::kRefused || ending.kind == Ending::Kind::kFailed;
  if (bad) {
    all_.metrics_.CountRefusal(door_, ending.reason.empty() ? ending.code : ending.reason);
  }
  const bool slow = !lasts_ && all_.slow_.count() > 0 && duration >= all_.slow_;
  if (bad || slow || audited_) Tell(ending, duration.count());
}

void Request::Tell(const Ending& ending, double seconds) {
  std::string principal;
  std::string database;
  std::string target;
  std::string details;
  {
    std::lock_guard lock(all_.mutex_);
    principal = principal_;
    database = database_;
    target = target_;
    details = details_;
  }
  int64_t left_out = 0;
  std::string_view what = "audit";
  LogLevel level = LogLevel::kInfo;
  // What was refused has changed nothing, and may be asked by anybody, as may be what cannot be
  // parsed.
  if (!audited_ || ending.kind == Ending::Kind::kRefused || principal.empty()) {
    const bool failed = ending.kind == Ending::Kind::kFailed;
    const bool refused = ending.kind == Ending::Kind::kRefused;
    if (!audited_) what = failed ? "request failed" : refused ? "request refused" : "slow request";
    level = failed ? LogLevel::kError : LogLevel::kWarning;
    left_out = all_.limit_.Admit(failed || refused || audited_
                                     ? (ending.reason.empty() ? ending.code : ending.reason)
                                     : "slow",
                                 storage::NowNs());
    if (left_out < 0) return;
  } else if (ending.kind == Ending::Kind::kFailed) {
    level = LogLevel::kError;
  }
  const std::string took = fmt::format("{:.3f}", seconds);
  const std::string others = left_out > 0 ? std::to_string(left_out) : "";
  const std::array<LogField, 14> fields = {{
      {"door", door_},
      {"method", std::string_view(method_).substr(0, kMaxMethodBytes)},
      {"code", ending.code},
      {"reason", ending.reason},
      {"error", std::string_view(ending.message).substr(0, kMaxMessageBytes)},
      {"principal", principal},
      {"database", database},
      {"target", target},
      {"details", details},
      {"peer", peer_},
      {"seconds", took},
      {"request_id", id_},
      {"traceparent", traceparent_},
      // Of the same kind, since the last that was logged.
      {"left_out", others},
  }};
  Log(level, what, fields);
}

std::shared_ptr<Request> Requests::Begin(RequestMetrics& metrics, Opening opening,
                                         const void* call) {
  metrics.Started();
  std::shared_ptr<Request> request(new Request(*this, metrics, std::move(opening), call));
  std::lock_guard lock(mutex_);
  request->place_ = under_way_.insert(under_way_.end(), request.get());
  request->is_listed_ = true;
  if (call != nullptr) by_call_[call] = request;
  return request;
}

std::shared_ptr<Request> Requests::FindByCall(const void* call) {
  std::lock_guard lock(mutex_);
  auto found = by_call_.find(call);
  return found == by_call_.end() ? nullptr : found->second.lock();
}

std::vector<Requests::Seen> Requests::List(size_t limit) {
  const auto now = std::chrono::steady_clock::now();
  std::vector<Seen> seen;
  std::lock_guard lock(mutex_);
  for (const Request* request : under_way_) {
    if (seen.size() == limit) break;
    seen.push_back({.id = request->id_,
                    .traceparent = request->traceparent_,
                    .door = std::string(request->door_),
                    .method = request->method_,
                    .peer = request->peer_,
                    .principal = request->principal_,
                    .database = request->database_,
                    .seconds = std::chrono::duration<double>(now - request->begun_).count()});
  }
  return seen;
}

size_t Requests::size() {
  std::lock_guard lock(mutex_);
  return under_way_.size();
}

std::string Requests::NewId() { return fmt::format("{:08x}{:08x}", Prefix(), ++next_id_); }

}  // namespace sluice::observability
