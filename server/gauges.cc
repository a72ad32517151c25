#include "server/gauges.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "server/observability/process.h"

namespace sluice::server {
namespace {

void AddBudget(const std::string& name, const MemoryBudget& budget,
               observability::Metrics& metrics) {
  metrics.AddGauge("sluice_memory_budget_used_bytes", "Of each share of the memory, what is taken.",
                   [&budget] { return static_cast<double>(budget.used_bytes()); },
                   {{"budget", name}});
  metrics.AddGauge("sluice_memory_budget_bytes", "Of each share of the memory, all of it.",
                   [&budget] { return static_cast<double>(budget.max_bytes()); },
                   {{"budget", name}});
}

// The figures of a store, looked up once for all of them at a scrape.
class Figures {
 public:
  explicit Figures(const storage::Store& store) : store_(store) {}

  storage::Figure Read(size_t at) {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - read_at_ > std::chrono::milliseconds(100)) {
      figures_ = store_.Figures();
      read_at_ = now;
    }
    return figures_[at];
  }

 private:
  const storage::Store& store_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point read_at_;
  std::vector<storage::Figure> figures_;
};

void AddFigures(const storage::Store& store, observability::Metrics& metrics) {
  const std::vector<storage::Figure> figures = store.Figures();
  const auto source = std::make_shared<Figures>(store);
  for (size_t i = 0; i < figures.size(); ++i) {
    const std::string name = fmt::format("sluice_{}", figures[i].name);
    const std::string help(figures[i].help);
    auto read = [source, i] { return source->Read(i).value; };
    if (figures[i].distribution) {
      metrics.AddHistogram(name, help, [source, i] {
        return source->Read(i).distribution.value_or(storage::Distribution());
      });
    } else if (figures[i].counts) {
      metrics.AddCounter(name, help, std::move(read));
    } else {
      metrics.AddGauge(name, help, std::move(read));
    }
  }
}

void AddQueries(query::Governor& governor, observability::Metrics& metrics) {
  metrics.AddGauge("sluice_open_queries", "Queries that run or whose results are being sent.",
                   [&] { return static_cast<double>(governor.open()); });
  metrics.AddHistogram("sluice_query_duration_seconds",
                       "Time from the start of a query to its end, or its client's.",
                       [&] { return governor.counts().seconds.Read(); });
  metrics.AddCounter("sluice_query_rows_total", "Rows that queries have given.",
                     [&] { return static_cast<double>(governor.counts().rows); });
  metrics.AddCounter("sluice_query_failures_total", "Queries that ended with an error.",
                     [&] { return static_cast<double>(governor.counts().failures); });
}

}  // namespace

void AddGauges(const Parts& parts, const std::string& version) {
  observability::Metrics& metrics = parts.metrics;
  observability::AddProcess(metrics);
  metrics.AddGauge("sluice_build_info", "1; what runs says the label.", [] { return 1.0; },
                   {{"version", version}});
  metrics.AddGauge("sluice_ready", "1 while writes are taken, 0 otherwise.",
                   [&parts] { return parts.readiness.Check().ok() ? 1.0 : 0.0; });
  metrics.AddGauge("sluice_usable", "0 once a fault of the disk has stopped the store.",
                   [&parts] { return parts.store.CheckUsable().ok() ? 1.0 : 0.0; });
  metrics.AddGauge("sluice_databases", "Databases.", [&parts] {
    const auto databases = parts.store.ListDatabases();
    return databases.ok() ? static_cast<double>(databases->size()) : 0.0;
  });
  metrics.AddGauge("sluice_damaged_databases",
                   "Databases of which something could not be read when the server started.",
                   [&parts] { return static_cast<double>(parts.store.Damages().size()); });
  metrics.AddGauge("sluice_requests_under_way", "Requests and streams under way.",
                   [&parts] { return static_cast<double>(parts.requests.size()); });
  metrics.AddHistogram("sluice_worker_wait_seconds",
                       "Time that work has waited for one of its threads.",
                       [&parts] { return parts.write_workers.waits(); }, {{"workers", "write"}});
  metrics.AddHistogram("sluice_worker_wait_seconds",
                       "Time that work has waited for one of its threads.",
                       [&parts] { return parts.query_workers.waits(); }, {{"workers", "query"}});
  AddBudget("bodies", parts.bodies, metrics);
  AddBudget("judging", parts.judging, metrics);
  AddBudget("answers", parts.answers, metrics);
  AddBudget("queries", parts.governor.memory(), metrics);
  AddBudget("query_disk", parts.governor.temporary_disk(), metrics);
  AddQueries(parts.governor, metrics);
  AddFigures(parts.store, metrics);
}

}  // namespace sluice::server
