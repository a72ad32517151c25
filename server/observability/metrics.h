#ifndef SLUICE_SERVER_OBSERVABILITY_METRICS_H_
#define SLUICE_SERVER_OBSERVABILITY_METRICS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "server/ingest/outcome.h"

namespace sluice::observability {

// Counts the writes of one door. Safe for use by many threads.
class WriteMetrics {
 public:
  virtual ~WriteMetrics() = default;

  // Writes were answered together: an outcome for each of their batches, or the error with which
  // they failed as a whole. `body_bytes` are those of the bodies as they were sent, `duration` is
  // from the last byte to the answer.
  virtual void Observe(std::span<const ingest::Outcome> outcomes, size_t body_bytes,
                       std::chrono::nanoseconds duration) = 0;
  virtual void Observe(const absl::Status& error, size_t body_bytes,
                       std::chrono::nanoseconds duration) = 0;
};

// Counts what happens, for Prometheus. Safe for use by many threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  // For the door of that name: "grpc" or the path of an HTTP route. Belongs to the metrics.
  WriteMetrics& AddDoor(const std::string& name);

  // Has `read` asked for the value of a gauge at every scrape. What it refers to must outlive the
  // metrics. To be called before the first scrape.
  void AddGauge(const std::string& name, const std::string& help, std::function<double()> read);
  // The same for what only grows.
  void AddCounter(const std::string& name, const std::string& help, std::function<double()> read);

  // All metrics in Prometheus' text format (contract W-40).
  std::string Render() const;

 private:
  class Families;

  const std::unique_ptr<Families> families_;
};

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_METRICS_H_
