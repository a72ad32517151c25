#include "server/observability/metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "storage/reason.h"

namespace sluice::observability {
namespace {

constexpr char kDoor[] = "door";

// Databases are made by users: those that are too many are counted as one.
constexpr size_t kMaxDatabases = 1000;
constexpr char kOthers[] = "(others)";

const prometheus::Histogram::BucketBoundaries kSeconds(storage::kSecondsBounds.begin(),
                                                       storage::kSecondsBounds.end());

using Counters = prometheus::Family<prometheus::Counter>;

// The results that a write can have: these, and the codes of errors.
constexpr std::array<std::string_view, 4> kOutcomes = {"ok", "partial", "rejected", "rate_limited"};
constexpr size_t kRateLimited = 3;

size_t ResultOf(const ingest::Outcome& outcome) {
  if (outcome.rejected == 0) return 0;
  return outcome.ingested > 0 ? 1 : 2;
}

size_t ResultOf(const absl::Status& error) {
  // Its sender's doing, and not the server's.
  const std::optional<storage::Reason> reason = storage::ReasonOf(error);
  if (reason && reason->name == "RATE_LIMITED") return kRateLimited;
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

  // Points of `database` were rejected.
  void CountRejections(std::string_view database, const ingest::Outcome& outcome) {
    if (outcome.counts.empty()) return;
    std::string name(database);
    {
      std::lock_guard lock(mutex_);
      if (databases_.size() < kMaxDatabases) databases_.insert(name);
      if (!databases_.contains(name)) name = kOthers;
    }
    for (const ingest::RejectionCount& count : outcome.counts) {
      by_reason_.Add({{"database", name}, {"reason", std::string(ingest::Name(count.reason))}})
          .Increment(static_cast<double>(count.count));
    }
  }

  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("sluice_write_duration_seconds")
          .Help("Time from the last byte of a write's body to its answer.")
          .Register(registry_);

 private:
  Counters& by_reason_ =
      Counter("sluice_rejections_total", "Points rejected, by database and reason.");
  std::mutex mutex_;
  std::set<std::string> databases_;
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

  void Observe(std::string_view database, std::span<const ingest::Outcome> outcomes,
               size_t body_bytes, std::chrono::nanoseconds duration) override {
    bytes_.Increment(static_cast<double>(body_bytes));
    for (const ingest::Outcome& outcome : outcomes) {
      Count(ResultOf(outcome), duration);
      points_.Increment(static_cast<double>(outcome.ingested));
      rejected_.Increment(static_cast<double>(outcome.rejected));
      families_.CountRejections(database, outcome);
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
    // What was refused before its body was there took no time that says anything.
    if (duration.count() > 0) seconds_.Observe(std::chrono::duration<double>(duration).count());
  }

  WriteFamilies& families_;
  const std::string door_;
  std::array<std::atomic<prometheus::Counter*>, kResults> requests_{};
  prometheus::Counter& bytes_;
  prometheus::Counter& points_;
  prometheus::Counter& rejected_;
  prometheus::Histogram& seconds_;
};

// Of one method or route.
class CountedRequests : public RequestMetrics {
 public:
  // `labels` are those of all three. `started` may be null.
  CountedRequests(const Labels& labels, std::string code_label, Counters* started,
                  Counters& handled, prometheus::Family<prometheus::Histogram>& seconds)
      : labels_(labels),
        code_label_(std::move(code_label)),
        started_(started == nullptr ? nullptr : &started->Add(labels)),
        handled_(handled),
        seconds_(seconds.Add(labels, kSeconds)) {}

  void Started() override {
    if (started_ != nullptr) started_->Increment();
  }
  void Ended(const std::string& code, double seconds) override {
    CounterOf(code).Increment();
    seconds_.Observe(seconds);
  }

 private:
  prometheus::Counter& CounterOf(const std::string& code) {
    std::lock_guard lock(mutex_);
    prometheus::Counter*& known = by_code_[code];
    if (known == nullptr) {
      Labels labels = labels_;
      labels[code_label_] = code;
      known = &handled_.Add(labels);
    }
    return *known;
  }

  const Labels labels_;
  const std::string code_label_;
  prometheus::Counter* const started_;
  Counters& handled_;
  prometheus::Histogram& seconds_;
  std::mutex mutex_;
  std::map<std::string, prometheus::Counter*> by_code_;
};

// What is asked for when it is scraped. One object for each name, with all its labels.
class ReadAtScrape : public prometheus::Collectable {
 public:
  using Read = std::function<void(prometheus::ClientMetric& metric)>;

  ReadAtScrape(std::string name, std::string help, prometheus::MetricType type)
      : family_{std::move(name), std::move(help), type, {}} {}

  void Add(const Labels& labels, Read read) {
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : labels) metric.label.push_back({name, value});
    family_.metric.push_back(metric);
    reads_.push_back(std::move(read));
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family = family_;
    for (size_t i = 0; i < reads_.size(); ++i) reads_[i](family.metric[i]);
    return {family};
  }

 private:
  prometheus::MetricFamily family_;
  std::vector<Read> reads_;
};

void Fill(const storage::Distribution& read, prometheus::ClientMetric::Histogram& histogram) {
  for (size_t i = 0; i < read.counts.size(); ++i) {
    histogram.sample_count += read.counts[i];
    const double bound = i < storage::kSecondsBounds.size()
                             ? storage::kSecondsBounds[i]
                             : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({histogram.sample_count, bound});
  }
  histogram.sample_sum = read.sum_seconds;
}

}  // namespace

class Metrics::Families {
 public:
  WriteMetrics& AddDoor(const std::string& name) {
    doors_.push_back(std::make_unique<DoorMetrics>(writes_, name));
    return *doors_.back();
  }

  RequestMetrics& GrpcMethod(const std::string& service, const std::string& method,
                             const std::string& type) {
    return RequestsOf("grpc " + service + "/" + method, [&] {
      return std::make_unique<CountedRequests>(
          Labels{{"grpc_service", service}, {"grpc_method", method}, {"grpc_type", type}},
          "grpc_code", &grpc_started_, grpc_handled_, grpc_seconds_);
    });
  }
  RequestMetrics& HttpRoute(const std::string& method, const std::string& path) {
    return RequestsOf("http " + method + " " + path, [&] {
      return std::make_unique<CountedRequests>(Labels{{"method", method}, {"path", path}}, "code",
                                               nullptr, http_requests_, http_seconds_);
    });
  }

  void CountRefusal(std::string_view door, const std::string& reason) {
    refusals_.Add({{kDoor, std::string(door)}, {"reason", reason}}).Increment();
  }

  ReadAtScrape& At(const std::string& name, const std::string& help, prometheus::MetricType type) {
    std::unique_ptr<ReadAtScrape>& known = read_at_scrape_[name];
    if (known == nullptr) known = std::make_unique<ReadAtScrape>(name, help, type);
    return *known;
  }

  std::string Render() const {
    std::vector<prometheus::MetricFamily> families = registry_.Collect();
    for (const auto& [name, read] : read_at_scrape_) {
      for (prometheus::MetricFamily& family : read->Collect()) {
        families.push_back(std::move(family));
      }
    }
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  template <typename Make>
  RequestMetrics& RequestsOf(const std::string& key, Make make) {
    std::lock_guard lock(mutex_);
    std::unique_ptr<RequestMetrics>& known = requests_[key];
    if (known == nullptr) known = make();
    return *known;
  }
  Counters& Counter(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  prometheus::Family<prometheus::Histogram>& Histogram(const std::string& name,
                                                       const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry registry_;
  WriteFamilies writes_{registry_};
  Counters& grpc_started_ = Counter("grpc_server_started_total", "Calls started on the server.");
  Counters& grpc_handled_ = Counter("grpc_server_handled_total", "Calls completed, by code.");
  prometheus::Family<prometheus::Histogram>& grpc_seconds_ =
      Histogram("grpc_server_handling_seconds", "Time from a call's start to its end.");
  Counters& http_requests_ =
      Counter("sluice_http_requests_total", "HTTP requests answered, by route and status.");
  prometheus::Family<prometheus::Histogram>& http_seconds_ =
      Histogram("sluice_http_request_duration_seconds",
                "Time from an HTTP request's head to the end of its answer.");
  Counters& refusals_ = Counter("sluice_requests_refused_total",
                                "Requests that were refused or failed, by door and reason.");
  std::vector<std::unique_ptr<DoorMetrics>> doors_;
  std::map<std::string, std::unique_ptr<ReadAtScrape>> read_at_scrape_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<RequestMetrics>> requests_;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}

Metrics::~Metrics() = default;

WriteMetrics& Metrics::AddDoor(const std::string& name) { return families_->AddDoor(name); }

RequestMetrics& Metrics::GrpcMethod(const std::string& service, const std::string& method,
                                    const std::string& type) {
  return families_->GrpcMethod(service, method, type);
}

RequestMetrics& Metrics::HttpRoute(const std::string& method, const std::string& path) {
  return families_->HttpRoute(method, path);
}

void Metrics::CountRefusal(std::string_view door, const std::string& reason) {
  families_->CountRefusal(door, reason);
}

void Metrics::AddGauge(const std::string& name, const std::string& help,
                       std::function<double()> read, const Labels& labels) {
  families_->At(name, help, prometheus::MetricType::Gauge)
      .Add(labels, [read = std::move(read)](auto& metric) { metric.gauge.value = read(); });
}

void Metrics::AddCounter(const std::string& name, const std::string& help,
                         std::function<double()> read, const Labels& labels) {
  families_->At(name, help, prometheus::MetricType::Counter)
      .Add(labels, [read = std::move(read)](auto& metric) { metric.counter.value = read(); });
}

void Metrics::AddHistogram(const std::string& name, const std::string& help,
                           std::function<storage::Distribution()> read, const Labels& labels) {
  families_->At(name, help, prometheus::MetricType::Histogram)
      .Add(labels, [read = std::move(read)](auto& metric) { Fill(read(), metric.histogram); });
}

std::string Metrics::Render() const { return families_->Render(); }

}  // namespace sluice::observability
