#include "server/observability/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sluice::observability {
namespace {

using testing::HasSubstr;

TEST(MetricsTest, CountsWrites) {
  Metrics metrics;
  ingest::Outcome partial;
  partial.ingested = 5;
  partial.rejected = 2;
  WriteMetrics& door = metrics.AddDoor("grpc");
  partial.counts.resize(1);
  partial.counts[0].reason = ingest::Reason::kTypeConflict;
  partial.counts[0].count = 2;
  door.Observe("demo", std::vector{partial, partial}, 100, std::chrono::milliseconds(3));
  door.Observe(absl::NotFoundError(""), 1, std::chrono::nanoseconds(0));
  std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("# TYPE sluice_write_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_requests_total{door="grpc",result="partial"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_requests_total{door="grpc",result="not_found"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_points_ingested_total{door="grpc"} 10)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_points_rejected_total{door="grpc"} 4)"));
  EXPECT_THAT(text,
              HasSubstr(R"(sluice_rejections_total{database="demo",reason="type_conflict"} 4)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_body_bytes_total{door="grpc"} 101)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_duration_seconds_bucket{door="grpc",le="0.005"} 2)"));
}

TEST(MetricsTest, AsksForGaugesAtEveryScrape) {
  Metrics metrics;
  double value = 1;
  metrics.AddGauge("sluice_something", "Some thing.", [&] { return value; });
  EXPECT_THAT(metrics.Render(), HasSubstr("sluice_something 1\n"));
  value = 2;
  EXPECT_THAT(metrics.Render(), HasSubstr("sluice_something 2\n"));
}

TEST(MetricsTest, ACounterFollowsWhatItCounts) {
  Metrics metrics;
  double value = 3;
  metrics.AddCounter("sluice_done_total", "What was done.", [&] { return value; });
  EXPECT_THAT(metrics.Render(), HasSubstr("sluice_done_total 3\n"));
  value = 5;
  EXPECT_THAT(metrics.Render(), HasSubstr("sluice_done_total 5\n"));
  EXPECT_THAT(metrics.Render(), HasSubstr("sluice_done_total 5\n"));
}

// Who may create databases does not make the metrics of the server grow without end.
TEST(MetricsTest, DatabasesThatAreTooManyAreCountedAsOne) {
  Metrics metrics;
  ingest::Outcome rejected;
  rejected.rejected = 1;
  rejected.counts.resize(1);
  rejected.counts[0].reason = ingest::Reason::kSyntax;
  rejected.counts[0].count = 1;
  WriteMetrics& door = metrics.AddDoor("grpc");
  for (int i = 0; i < 1010; ++i) {
    door.Observe("db" + std::to_string(i), std::vector{rejected}, 1, std::chrono::seconds(0));
  }
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr(R"(sluice_rejections_total{database="db999",reason="syntax"} 1)"));
  EXPECT_THAT(text,
              HasSubstr(R"x(sluice_rejections_total{database="(others)",reason="syntax"} 10)x"));
}

TEST(MetricsTest, ADistributionIsAHistogram) {
  Metrics metrics;
  storage::DurationCounter counter;
  counter.Observe(std::chrono::milliseconds(3));
  counter.Observe(std::chrono::seconds(100));
  metrics.AddHistogram("sluice_wait_seconds", "Wait.", [&] { return counter.Read(); },
                       {{"workers", "write"}});
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr(R"(sluice_wait_seconds_bucket{workers="write",le="0.0025"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_wait_seconds_bucket{workers="write",le="0.005"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_wait_seconds_bucket{workers="write",le="60"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_wait_seconds_bucket{workers="write",le="+Inf"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_wait_seconds_count{workers="write"} 2)"));
}

}  // namespace
}  // namespace sluice::observability
