#include "server/ingest/rejection_log.h"

#include <gtest/gtest.h>

namespace sluice::ingest {
namespace {

const Origin kOrigin = {.door = "/write", .principal = "p", .peer = "127.0.0.1:1"};

std::vector<Rejection> Lines(std::vector<int64_t> numbers, size_t excerpt_bytes = 10) {
  std::vector<Rejection> rejections(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    rejections[i].place.line = Place::Line{.number = numbers[i]};
    rejections[i].excerpt = std::string(excerpt_bytes, 'x');
  }
  return rejections;
}

std::vector<int64_t> NumbersOf(const std::vector<RejectionLog::Entry>& entries) {
  std::vector<int64_t> numbers;
  for (const auto& entry : entries) numbers.push_back(entry->rejection.place.number());
  return numbers;
}

using Numbers = std::vector<int64_t>;

TEST(RejectionLogTest, ListsTheNewestFirstForEachDatabase) {
  RejectionLog log;
  log.Add(1, 100, kOrigin, Lines({3, 8}));
  log.Add(2, 150, kOrigin, Lines({1}));
  log.Add(1, 200, kOrigin, Lines({5}));
  auto entries = log.List(1, 10);
  EXPECT_EQ(NumbersOf(entries), (Numbers{5, 8, 3}));
  EXPECT_EQ(entries[0]->time_ns, 200);
  EXPECT_EQ(entries[0]->origin, kOrigin);
  EXPECT_EQ(NumbersOf(log.List(1, 2)), (Numbers{5, 8}));
  EXPECT_EQ(NumbersOf(log.List(1, 10, entries[1]->id)), (Numbers{5}));
  EXPECT_EQ(NumbersOf(log.List(3, 10)), (Numbers{}));
}

TEST(RejectionLogTest, TheOldestOfADatabaseGiveWayByCountAndByBytes) {
  RejectionLog log({.max_lines = 3, .max_bytes = 4100, .max_total_bytes = 1 << 20});
  log.Add(2, 0, kOrigin, Lines({9}));
  log.Add(1, 0, kOrigin, Lines({1, 2, 3, 4}));
  EXPECT_EQ(NumbersOf(log.List(1, 10)), (Numbers{4, 3, 2}));
  log.Add(1, 0, kOrigin, Lines({5}, 3400));
  EXPECT_EQ(NumbersOf(log.List(1, 10)), (Numbers{5, 4}));
  log.Add(1, 0, kOrigin, Lines({6}, 9000));
  EXPECT_EQ(NumbersOf(log.List(1, 10)), (Numbers{6}));
  EXPECT_EQ(NumbersOf(log.List(2, 10)), (Numbers{9}));
}

TEST(RejectionLogTest, TheOldestOfAllGiveWayWhereAllTogetherAreTooMany) {
  RejectionLog log({.max_lines = 100, .max_bytes = 1 << 20, .max_total_bytes = 10'000});
  log.Add(1, 0, kOrigin, Lines({1, 2}, 4000));
  log.Add(2, 0, kOrigin, Lines({3, 4}, 4000));
  EXPECT_EQ(NumbersOf(log.List(1, 10)), (Numbers{}));
  EXPECT_EQ(NumbersOf(log.List(2, 10)), (Numbers{4, 3}));
}

}  // namespace
}  // namespace sluice::ingest
