#include "server/observability/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace sluice::observability {
namespace {

constexpr char kDoor[] = "door";

const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

using Counters = prometheus::Family<prometheus::Counter>;

// The name of a write's result: "ok", "partial", "rejected", or of an error such as "not_found".
std::string NameOf(const absl::StatusOr<ingest::Outcome>& outcome) {
  if (!outcome.ok()) {
    return absl::AsciiStrToLower(absl::StatusCodeToString(outcome.status().code()));
  }
  if (outcome->rejected == 0) return "ok";
  return outcome->ingested > 0 ? "partial" : "rejected";
}

// A number for each of these.
size_t IndexOf(const absl::StatusOr<ingest::Outcome>& outcome) {
  if (!outcome.ok()) return 2 + static_cast<size_t>(outcome.status().code());
  if (outcome->rejected == 0) return 0;
  return outcome->ingested > 0 ? 1 : 2;
}

constexpr size_t kResults = 2 + static_cast<size_t>(absl::StatusCode::kUnauthenticated) + 1;

// What all doors' metrics are made from.
struct WriteFamilies {
  explicit WriteFamilies(prometheus::Registry& registry) : registry_(registry) {}

  Counters& Counter(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry& registry_;
  Counters& requests = Counter("sluice_write_requests_total", "Writes, by door and result.");
  Counters& bytes =
      Counter("sluice_write_body_bytes_total", "Bytes of the bodies of writes, as sent.");
  Counters& points = Counter("sluice_points_ingested_total", "Points ingested.");
  Counters& lines = Counter("sluice_lines_rejected_total", "Lines rejected.");
  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("sluice_write_duration_seconds")
          .Help("Time from the last byte of a write's body to its answer.")
          .Register(registry_);
};

// Looks each metric up once: that costs more than to count.
class DoorMetrics : public WriteMetrics {
 public:
  DoorMetrics(WriteFamilies& families, const std::string& door)
      : families_(families),
        door_(door),
        bytes_(families.bytes.Add({{kDoor, door}})),
        points_(families.points.Add({{kDoor, door}})),
        lines_(families.lines.Add({{kDoor, door}})),
        seconds_(families.seconds.Add({{kDoor, door}}, kSeconds)) {}

  void Observe(const absl::StatusOr<ingest::Outcome>& outcome, size_t body_bytes,
               std::chrono::nanoseconds duration) override {
    Requests(outcome).Increment();
    bytes_.Increment(static_cast<double>(body_bytes));
    seconds_.Observe(std::chrono::duration<double>(duration).count());
    if (!outcome.ok()) return;
    points_.Increment(static_cast<double>(outcome->ingested));
    lines_.Increment(static_cast<double>(outcome->rejected));
  }

 private:
  prometheus::Counter& Requests(const absl::StatusOr<ingest::Outcome>& outcome) {
    std::atomic<prometheus::Counter*>& known = requests_[IndexOf(outcome)];
    prometheus::Counter* counter = known;
    if (counter == nullptr) {
      // Two threads get the same one.
      counter = &families_.requests.Add({{kDoor, door_}, {"result", NameOf(outcome)}});
      known = counter;
    }
    return *counter;
  }

  WriteFamilies& families_;
  const std::string door_;
  std::array<std::atomic<prometheus::Counter*>, kResults> requests_{};
  prometheus::Counter& bytes_;
  prometheus::Counter& points_;
  prometheus::Counter& lines_;
  prometheus::Histogram& seconds_;
};

}  // namespace

class Metrics::Families {
 public:
  WriteMetrics& AddDoor(const std::string& name) {
    doors_.push_back(std::make_unique<DoorMetrics>(writes_, name));
    return *doors_.back();
  }

  void AddGauge(const std::string& name, const std::string& help, std::function<double()> read) {
    prometheus::Gauge& gauge =
        prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add({});
    gauges_.emplace_back(&gauge, std::move(read));
  }

  void AddCounter(const std::string& name, const std::string& help, std::function<double()> read) {
    prometheus::Counter& counter =
        prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add({});
    counters_.emplace_back(&counter, std::move(read));
  }

  std::string Render() const {
    for (const auto& [gauge, read] : gauges_) gauge->Set(read());
    for (const auto& [counter, read] : counters_) {
      // Two scrapes at once must not add the same twice.
      std::lock_guard lock(counters_mutex_);
      counter->Increment(std::max(0.0, read() - counter->Value()));
    }
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

 private:
  prometheus::Registry registry_;
  WriteFamilies writes_{registry_};
  std::vector<std::unique_ptr<DoorMetrics>> doors_;
  std::vector<std::pair<prometheus::Gauge*, std::function<double()>>> gauges_;
  mutable std::mutex counters_mutex_;
  std::vector<std::pair<prometheus::Counter*, std::function<double()>>> counters_;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}

Metrics::~Metrics() = default;

WriteMetrics& Metrics::AddDoor(const std::string& name) { return families_->AddDoor(name); }

void Metrics::AddGauge(const std::string& name, const std::string& help,
                       std::function<double()> read) {
  families_->AddGauge(name, help, std::move(read));
}

void Metrics::AddCounter(const std::string& name, const std::string& help,
                         std::function<double()> read) {
  families_->AddCounter(name, help, std::move(read));
}

std::string Metrics::Render() const { return families_->Render(); }

}  // namespace sluice::observability
