#include "server/grpc/request_ids.h"

#include <gtest/gtest.h>

#include "server/ingest/bad_field.h"
#include "storage/reason.h"

namespace sluice::grpc_door {
namespace {

using Clock = RequestIds::Clock;

RequestIds::AnswerPtr AnswerOf(int64_t ingested) {
  auto answer = std::make_shared<WriteAnswer>();
  answer->response.set_ingested_points(ingested);
  return answer;
}

class RequestIdsTest : public testing::Test {
 protected:
  // "first", "waits", "answered n", "nothing" or the error.
  std::string Begin(const std::string& key, const std::string& fingerprint,
                    Clock::time_point now = Clock::time_point()) {
    told_ = "waits";
    const absl::StatusOr<bool> first = ids_.Begin(
        principal_, key, place_, fingerprint,
        [this](const RequestIds::AnswerPtr& answer) {
          told_ = answer == nullptr
                      ? "nothing"
                      : "answered " + std::to_string(answer->response.ingested_points());
          ++answers_;
        },
        now);
    if (!first.ok()) return storage::ReasonOf(first.status())->name;
    return *first ? "first" : told_;
  }

  RequestIds ids_{size_t{1} << 20};
  std::string principal_ = "somebody";
  int64_t place_ = 7;
  std::string told_;
  int answers_ = 0;
};

TEST_F(RequestIdsTest, TheFirstAnswerIsGivenAgainForFiveMinutes) {
  const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);
  EXPECT_EQ(Begin("a", "x", start), "first");
  ids_.End("a", AnswerOf(7), 7, start);
  EXPECT_EQ(Begin("a", "x", start), "answered 7");
  EXPECT_EQ(Begin("b", "x", start), "first");
  EXPECT_EQ(Begin("a", "x", start + std::chrono::minutes(5)), "answered 7");
  EXPECT_EQ(Begin("a", "x", start + std::chrono::minutes(5) + std::chrono::seconds(1)), "first");
}

TEST_F(RequestIdsTest, AnotherRequestUnderTheSameIdIsRefused) {
  EXPECT_EQ(Begin("a", "x"), "first");
  EXPECT_EQ(Begin("a", "y"), "REQUEST_ID_REUSED");
  ids_.End("a", AnswerOf(1), 7, Clock::time_point());
  EXPECT_EQ(Begin("a", "y"), "REQUEST_ID_REUSED");
}

TEST_F(RequestIdsTest, WhoRepeatsOneThatIsUnderWayWaitsForIt) {
  EXPECT_EQ(Begin("a", "x"), "first");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Begin("a", "x"), "waits");
  ids_.End("a", AnswerOf(2), 7, Clock::time_point());
  EXPECT_EQ(told_, "answered 2");
  EXPECT_EQ(answers_, 3);
}

TEST_F(RequestIdsTest, WhatCameToNothingIsDoneAgain) {
  EXPECT_EQ(Begin("a", "x"), "first");
  EXPECT_EQ(Begin("a", "x"), "waits");
  ids_.End("a", nullptr, 0);
  EXPECT_EQ(told_, "nothing");
  EXPECT_EQ(Begin("a", "y"), "first");
}

TEST_F(RequestIdsTest, RemembersNoMoreThanItMayAndForgetsNothingInTime) {
  const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);
  int count = 0;
  while (Begin(std::to_string(count), "x", start) == "first") {
    ids_.End(std::to_string(count), AnswerOf(count + 1), 7, start);
    ++count;
  }
  EXPECT_GT(count, 1000);
  EXPECT_LT(count, 10'000);
  EXPECT_EQ(Begin("new", "x", start), "REQUEST_IDS_FULL");
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(Begin(std::to_string(i), "x", start), "answered " + std::to_string(i + 1));
  }
  EXPECT_EQ(Begin("new", "x", start + std::chrono::minutes(6)), "first");
}

// The first may have made the place itself.
TEST_F(RequestIdsTest, WhatWasDoneElsewhereIsNotRepeated) {
  const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);
  place_ = 0;
  EXPECT_EQ(Begin("a", "x", start), "first");
  ids_.End("a", AnswerOf(7), 5, start);
  place_ = 5;
  EXPECT_EQ(Begin("a", "x", start), "answered 7");
  place_ = 6;
  EXPECT_EQ(Begin("a", "y", start + std::chrono::minutes(4)), "first");
  EXPECT_EQ(Begin("a", "y", start + std::chrono::minutes(4)), "waits");
  ids_.End("a", AnswerOf(8), 6, start + std::chrono::minutes(4));
  EXPECT_EQ(Begin("a", "y", start + std::chrono::minutes(8)), "answered 8");
  EXPECT_EQ(Begin("a", "y", start + std::chrono::minutes(10)), "first");
}

TEST_F(RequestIdsTest, NobodyTakesAllThatThereIs) {
  const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);
  const auto fill = [&](const std::string& principal) {
    principal_ = principal;
    int count = 0;
    while (Begin(principal + std::to_string(count), "x", start) == "first") {
      ids_.End(principal + std::to_string(count), AnswerOf(1), 7, start);
      ++count;
    }
    return count;
  };
  const int first = fill("a");
  const int second = fill("b");
  const int third = fill("c");
  EXPECT_NEAR(second, first / 2, first / 50);
  EXPECT_NEAR(third, first / 4, first / 50);
  principal_ = "a";
  EXPECT_EQ(Begin("a", "x", start), "REQUEST_IDS_FULL");
  // As much again when all of it is forgotten.
  EXPECT_EQ(Begin("a", "x", start + std::chrono::minutes(6)), "first");
  ids_.End("a", nullptr, 0);
  principal_ = "d";
  EXPECT_EQ(Begin("d", "x", start + std::chrono::minutes(6)), "first");
}

TEST(CheckIdTest, AnIdIsShortAndPlain) {
  EXPECT_TRUE(CheckId("", "f").ok());
  EXPECT_TRUE(CheckId("3f2a-B_9", "f").ok());
  EXPECT_TRUE(CheckId(std::string(64, 'x'), "f").ok());
  EXPECT_EQ(ingest::FieldOf(CheckId(std::string(65, 'x'), "f")), "f");
  EXPECT_FALSE(CheckId("a b", "f").ok());
  EXPECT_FALSE(CheckId("\xc3\xa4", "f").ok());
}

}  // namespace
}  // namespace sluice::grpc_door
