#include "server/ingest/outcome.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::ingest {
namespace {

TEST(OutcomeTest, EveryReasonHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Reason::kBeyondRetention); ++i) {
    names.insert(Name(static_cast<Reason>(i)));
  }
  EXPECT_EQ(names.size(), 12u);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_TRUE(names.contains("type_conflict"));
}

}  // namespace
}  // namespace sluice::ingest
