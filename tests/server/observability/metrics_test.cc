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
  door.Observe(std::vector{partial, partial}, 100, std::chrono::milliseconds(3));
  door.Observe(absl::NotFoundError(""), 1, std::chrono::nanoseconds(0));
  std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("# TYPE sluice_write_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_requests_total{door="grpc",result="partial"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_requests_total{door="grpc",result="not_found"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_points_ingested_total{door="grpc"} 10)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_points_rejected_total{door="grpc"} 4)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_body_bytes_total{door="grpc"} 101)"));
  EXPECT_THAT(text, HasSubstr(R"(sluice_write_duration_seconds_bucket{door="grpc",le="0.005"} 3)"));
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

}  // namespace
}  // namespace sluice::observability
