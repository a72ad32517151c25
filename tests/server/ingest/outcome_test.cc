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

TEST(OutcomeTest, DisarmsTheWordsThatClientsTakeForSuccess) {
  EXPECT_EQ(Disarm("a hinted handoff queue not empty b hinted handoff queue not empty"),
            "a hinted handoff queue is not empty b hinted handoff queue is not empty");
  EXPECT_EQ(Disarm("anything else"), "anything else");
}

}  // namespace
}  // namespace sluice::ingest
