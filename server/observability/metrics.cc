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
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace sluice::observability {
namespace {

constexpr char kDoor[] = "door";

const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

using Counters = prometheus::Family<prometheus::Counter>;

// The results that a write can have: these, and the codes of errors.
constexpr std::array<std::string_view, 3> kOutcomes = {"ok", "partial", "rejected"};

size_t ResultOf(const ingest::Outcome& outcome) {
  if (outcome.rejected == 0) return 0;
  return outcome.ingested > 0 ? 1 : 2;
}

size_t ResultOf(const absl::Status& error) {
  return kOutcomes.size() + static_cast<size_t>(error.code());
}

std::string NameOf(size_t result) {
  if (result < kOutcomes.size()) return std::string(kOutcomes[result]);
  return absl::AsciiStrToLower(
      absl::StatusCodeToString(static_cast<absl::StatusCode>(result - kOutcomes.size())));
}

constexpr size_t kResults =
    kOutcomes.size() + static_cast<size_t>(absl::StatusCode::kUnauthenticated) + 1;

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
  Counters& rejected = Counter("sluice_points_rejected_total", "Points rejected.");
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
        rejected_(families.rejected.Add({{kDoor, door}})),
        seconds_(families.seconds.Add({{kDoor, door}}, kSeconds)) {}

  void Observe(std::span<const ingest::Outcome> outcomes, size_t body_bytes,
               std::chrono::nanoseconds duration) override {
    bytes_.Increment(static_cast<double>(body_bytes));
    for (const ingest::Outcome& outcome : outcomes) {
      Count(ResultOf(outcome), duration);
      points_.Increment(static_cast<double>(outcome.ingested));
      rejected_.Increment(static_cast<double>(outcome.rejected));
    }
  }
  void Observe(const absl::Status& error, size_t body_bytes,
               std::chrono::nanoseconds duration) override {
    bytes_.Increment(static_cast<double>(body_bytes));
    Count(ResultOf(error), duration);
  }

 private:
  void Count(size_t result, std::chrono::nanoseconds duration) {
    std::atomic<prometheus::Counter*>& known = requests_[result];
    prometheus::Counter* counter = known;
    if (counter == nullptr) {
      // Two threads get the same one.
      counter = &families_.requests.Add({{kDoor, door_}, {"result", NameOf(result)}});
      known = counter;
    }
    counter->Increment();
    seconds_.Observe(std::chrono::duration<double>(duration).count());
  }

  WriteFamilies& families_;
  const std::string door_;
  std::array<std::atomic<prometheus::Counter*>, kResults> requests_{};
  prometheus::Counter& bytes_;
  prometheus::Counter& points_;
  prometheus::Counter& rejected_;
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
