#ifndef SLUICE_SERVER_OBSERVABILITY_METRICS_H_
#define SLUICE_SERVER_OBSERVABILITY_METRICS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/ingest/outcome.h"
#include "storage/distribution.h"

namespace sluice::observability {

// Counts the writes of one door. Safe for use by many threads.
class WriteMetrics {
 public:
  virtual ~WriteMetrics() = default;

  // Writes to `database` were answered together: an outcome for each of their batches, or the error
  // with which they failed as a whole. `body_bytes` are those of the bodies as they were sent,
  // `duration` is from the last byte to the answer.
  virtual void Observe(std::string_view database, std::span<const ingest::Outcome> outcomes,
                       size_t body_bytes, std::chrono::nanoseconds duration) = 0;
  virtual void Observe(const absl::Status& error, size_t body_bytes,
                       std::chrono::nanoseconds duration) = 0;
};

// Counts the requests of one method or route. Safe for use by many threads.
class RequestMetrics {
 public:
  virtual ~RequestMetrics() = default;

  virtual void Started() = 0;
  // `code` is one of few: a status of HTTP, or a code of gRPC.
  virtual void Ended(const std::string& code, double seconds) = 0;
};

using Labels = std::map<std::string, std::string>;

// Counts what happens, for Prometheus. Safe for use by many threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  // For the door of that name: "grpc" or the path of an HTTP route. Belongs to the metrics.
  WriteMetrics& AddDoor(const std::string& name);

  // For a method of gRPC, by the names that its middlewares agree on (grpc_server_handled_total);
  // `type` is "unary", "server_stream" or "bidi_stream". The same again is the same. Belongs to
  // the metrics.
  RequestMetrics& GrpcMethod(const std::string& service, const std::string& method,
                             const std::string& type);
  // For an HTTP route.
  RequestMetrics& HttpRoute(const std::string& method, const std::string& path);

  // Counts a request that was refused or failed. There are few reasons.
  void CountRefusal(std::string_view door, const std::string& reason);

  // Has `read` asked for the value of a gauge at every scrape. What it refers to must outlive the
  // metrics. To be called before the first scrape.
  void AddGauge(const std::string& name, const std::string& help, std::function<double()> read,
                const Labels& labels = {});
  // The same for what only grows, and for how long things took.
  void AddCounter(const std::string& name, const std::string& help, std::function<double()> read,
                  const Labels& labels = {});
  void AddHistogram(const std::string& name, const std::string& help,
                    std::function<storage::Distribution()> read, const Labels& labels = {});

  // All metrics in Prometheus' text format (contract W-40).
  std::string Render() const;

 private:
  class Families;

  const std::unique_ptr<Families> families_;
};

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_METRICS_H_
