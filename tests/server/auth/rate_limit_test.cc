#include "server/auth/rate_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sluice::auth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 1'700'000'000 * kSecond;

// How many of `asked` requests at that time are let in.
int LetIn(RateLimit& limit, int asked, int64_t now_ns) {
  int let_in = 0;
  for (int i = 0; i < asked; ++i) let_in += limit.TakeRequest(now_ns).ok() ? 1 : 0;
  return let_in;
}

TEST(RateLimitTest, ASecondsWorthMayComeAtOnceAndThenOneAtATime) {
  RateLimit limit(10, 0);
  EXPECT_EQ(LetIn(limit, 100, kStart), 10);
  EXPECT_EQ(LetIn(limit, 100, kStart + kSecond / 10 - 1), 0);
  EXPECT_EQ(LetIn(limit, 100, kStart + kSecond / 10), 1);
  EXPECT_EQ(LetIn(limit, 100, kStart + kSecond), 9);
  EXPECT_EQ(LetIn(limit, 100, kStart + 100 * kSecond), 10);
  const absl::Status refused = limit.TakeRequest(kStart + 100 * kSecond);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
}

TEST(RateLimitTest, ABodyIsTakenAndWhatFollowsWaits) {
  RateLimit limit(0, 1000);
  ASSERT_TRUE(limit.TakeRequest(kStart).ok());
  limit.TakeBytes(1000, kStart);
  ASSERT_TRUE(limit.TakeRequest(kStart).ok());
  limit.TakeBytes(5000, kStart);
  EXPECT_FALSE(limit.TakeRequest(kStart + 5 * kSecond - 1).ok());
  EXPECT_TRUE(limit.TakeRequest(kStart + 5 * kSecond).ok());
}

TEST(RateLimitTest, WithoutLimitEverythingIsLetIn) {
  RateLimit limit(0, 0);
  limit.TakeBytes(size_t{1} << 62, kStart);
  EXPECT_EQ(LetIn(limit, 10'000, kStart), 10'000);
}

TEST(RateLimitTest, HugeBodiesAndLowLimitsOverflowNothing) {
  RateLimit limit(1, 1);
  for (int i = 0; i < 100; ++i) limit.TakeBytes(~size_t{0}, kStart);
  EXPECT_FALSE(limit.TakeRequest(kStart).ok());
  EXPECT_TRUE(limit.TakeRequest(kStart + 101 * 3600 * kSecond).ok());
}

TEST(RateLimitTest, ManyThreadsGetNoMoreThanOne) {
  RateLimit limit(1000, 0);
  std::atomic<int> let_in = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { let_in += LetIn(limit, 10'000, kStart); });
  }
  threads.clear();
  EXPECT_EQ(let_in, 1000);
}

}  // namespace
}  // namespace sluice::auth
