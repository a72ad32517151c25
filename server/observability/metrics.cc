#include "server/observability/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace sluice::observability {
namespace {

constexpr char kDoor[] = "door";

const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// "ok", "partial", "rejected", or the name of an error such as "not_found".
std::string ResultOf(const absl::StatusOr<ingest::Outcome>& outcome) {
  if (!outcome.ok()) {
    return absl::AsciiStrToLower(absl::StatusCodeToString(outcome.status().code()));
  }
  if (outcome->rejected == 0) return "ok";
  return outcome->ingested > 0 ? "partial" : "rejected";
}

}  // namespace

class Metrics::Families {
 public:
  void Observe(const WriteObservation& write) {
    const prometheus::Labels door = {{kDoor, std::string(write.door)}};
    requests_.Add({{kDoor, std::string(write.door)}, {"result", ResultOf(write.outcome)}})
        .Increment();
    bytes_.Add(door).Increment(static_cast<double>(write.body_bytes));
    seconds_.Add(door, kSeconds).Observe(std::chrono::duration<double>(write.duration).count());
    if (!write.outcome.ok()) return;
    points_.Add(door).Increment(static_cast<double>(write.outcome->ingested));
    lines_.Add(door).Increment(static_cast<double>(write.outcome->rejected));
  }

  void AddGauge(const std::string& name, const std::string& help, std::function<double()> read) {
    prometheus::Gauge& gauge =
        prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add({});
    gauges_.emplace_back(&gauge, std::move(read));
  }

  std::string Render() const {
    for (const auto& [gauge, read] : gauges_) gauge->Set(read());
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

 private:
  prometheus::Family<prometheus::Counter>& Counter(const std::string& name,
                                                   const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_ =
      Counter("sluice_write_requests_total", "Writes, by door and result.");
  prometheus::Family<prometheus::Counter>& bytes_ =
      Counter("sluice_write_body_bytes_total", "Bytes of the bodies of writes, as sent.");
  prometheus::Family<prometheus::Counter>& points_ =
      Counter("sluice_points_ingested_total", "Points ingested.");
  prometheus::Family<prometheus::Counter>& lines_ =
      Counter("sluice_lines_rejected_total", "Lines rejected.");
  prometheus::Family<prometheus::Histogram>& seconds_ =
      prometheus::BuildHistogram()
          .Name("sluice_write_duration_seconds")
          .Help("Time from the last byte of a write's body to its answer.")
          .Register(registry_);
  std::vector<std::pair<prometheus::Gauge*, std::function<double()>>> gauges_;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}

Metrics::~Metrics() = default;

void Metrics::Observe(const WriteObservation& write) { families_->Observe(write); }

void Metrics::AddGauge(const std::string& name, const std::string& help,
                       std::function<double()> read) {
  families_->AddGauge(name, help, std::move(read));
}

std::string Metrics::Render() const { return families_->Render(); }

}  // namespace sluice::observability
