#include "server/resources/allocation_meter.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace sluice::server {
namespace {

TEST(AllocationMeterTest, CountsWhatThisThreadHasTaken) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
  ASSERT_TRUE(AllocationMeter::IsCounting());
  AllocationMeter meter;
  auto kept = std::make_unique<std::vector<char>>(1'000'000);
  EXPECT_GE(meter.grown(), 1'000'000);
  EXPECT_LT(meter.grown(), 1'500'000);
  std::thread([] { std::vector<char> other(50'000'000); }).join();
  { std::vector<char> gone(20'000'000); }
  EXPECT_LT(meter.grown(), 1'500'000);
  kept.reset();
  EXPECT_LT(meter.grown(), 100'000);
}

}  // namespace
}  // namespace sluice::server
