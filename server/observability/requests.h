#ifndef SLUICE_SERVER_OBSERVABILITY_REQUESTS_H_
#define SLUICE_SERVER_OBSERVABILITY_REQUESTS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/observability/log.h"
#include "server/observability/metrics.h"

namespace sluice::observability {

// What a door knows of a request when it begins.
struct Opening {
  // "http" or "grpc".
  std::string_view door;
  // What it is called, such as "POST /api/v2/write" or "/sluice.v1.WriteService/Write", as sent.
  std::string method;
  std::string peer;
  // As sent; one that is not 1 to 128 printable characters of ASCII is replaced by a new one.
  std::string_view request_id;
  // W3C Trace Context, as sent; empty where there is none, and taken for that where it is
  // malformed.
  std::string_view traceparent;
  // Whether it changes what an administrator is responsible for, and is logged for that; one that
  // is refused like any other.
  bool audited = false;
  // Whether it is to last as long as its client likes.
  bool lasts = false;
};

// What became of a request.
struct Ending {
  // kRefused: for want of a right, of memory, of disk, of time; kFailed: a fault of the server.
  enum class Kind { kDone, kMistake, kRefused, kFailed };

  Kind kind = Kind::kDone;
  // "204", "Unavailable".
  std::string code;
  // As storage::Reason has it; empty where there is none.
  std::string reason = "";
  std::string message = "";
};

// A request under way, as an operator sees it. Safe for use by many threads.
class Request {
 public:
  ~Request();

  const std::string& id() const { return id_; }

  // Who makes it, and about which database, if any. The first counts.
  void LetIn(std::string_view principal, std::string_view database);
  // What an audited one is about, such as the name of a database, and what it asks for, as text
  // without secrets.
  void SetTarget(std::string_view target, std::string_view details = "");
  // Counts it, and logs it where there is something to be said. The first counts; one that goes
  // without has been given up by its client.
  void End(const Ending& ending);

 private:
  friend class Requests;
  Request(class Requests& all, RequestMetrics& metrics, Opening opening, const void* call);

  void Tell(const Ending& ending, double seconds);

  class Requests& all_;
  RequestMetrics& metrics_;
  const std::string_view door_;
  const std::string method_;
  const std::string peer_;
  const std::string id_;
  const std::string traceparent_;
  const bool audited_;
  const bool lasts_;
  const void* const call_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::atomic<bool> let_in_ = false;
  std::atomic<bool> ended_ = false;
  // Guarded by the mutex of `all_`.
  std::string principal_;
  std::string database_;
  std::string target_;
  std::string details_;
  bool is_listed_ = false;
  std::list<Request*>::iterator place_;
};

// All requests under way. Safe for use by many threads.
class Requests {
 public:
  // `metrics` must outlive it. What takes longer than `slow` is logged; zero: nothing is.
  Requests(Metrics& metrics, std::chrono::milliseconds slow) : metrics_(metrics), slow_(slow) {}
  // All requests must be gone by then.
  ~Requests() = default;

  // `metrics` is of what the request is counted as. With `call` it can be found by that, a pointer
  // that is the door's and unique while the request lasts.
  std::shared_ptr<Request> Begin(RequestMetrics& metrics, Opening opening,
                                 const void* call = nullptr);
  // Null where there is none.
  std::shared_ptr<Request> FindByCall(const void* call);

  // One that is under way.
  struct Seen {
    std::string id;
    std::string traceparent;
    std::string door;
    std::string method;
    std::string peer;
    std::string principal;
    std::string database;
    double seconds = 0;
  };
  // Those that have been there longest, the longest first.
  std::vector<Seen> List(size_t limit);

  size_t size();

  Metrics& metrics() { return metrics_; }

 private:
  friend class Request;

  std::string NewId();

  Metrics& metrics_;
  const std::chrono::milliseconds slow_;
  LogLimit limit_{5, 10'000'000'000};
  std::atomic<uint64_t> next_id_ = 0;
  std::mutex mutex_;
  std::list<Request*> under_way_;
  absl::flat_hash_map<const void*, std::weak_ptr<Request>> by_call_;
};

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_REQUESTS_H_
