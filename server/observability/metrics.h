#ifndef SLUICE_SERVER_OBSERVABILITY_METRICS_H_
#define SLUICE_SERVER_OBSERVABILITY_METRICS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/ingest/outcome.h"

namespace sluice::observability {

// One write, as a door answered it.
struct WriteObservation {
  // "grpc" or the path of an HTTP route.
  std::string_view door;
  // An error where the request failed as a whole.
  const absl::StatusOr<ingest::Outcome>& outcome;
  // Of the body as it was sent.
  size_t body_bytes = 0;
  // From the last byte of the body to the answer.
  std::chrono::nanoseconds duration{0};
};

// Counts what happens, for Prometheus. Safe for use by many threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  void Observe(const WriteObservation& write);

  // Has `read` asked for the value of a gauge at every scrape. What it refers to must outlive the
  // metrics. To be called before the first scrape.
  void AddGauge(const std::string& name, const std::string& help, std::function<double()> read);

  // All metrics in Prometheus' text format (contract W-40).
  std::string Render() const;

 private:
  class Families;

  const std::unique_ptr<Families> families_;
};

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_METRICS_H_
