#include "storage/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::storage {
namespace {

TEST(DatabaseNameTest, TakesLettersDigitsUnderscoreDashAndOneSlashWithin) {
  const std::vector<std::string> names = {
      "a", "7", "demo", "A-b_9", "db/rp", "a/b", std::string(64, 'x')};
  for (const std::string& name : names) {
    auto parsed = DatabaseName::Parse(name);
    ASSERT_TRUE(parsed.ok()) << name;
    EXPECT_EQ(parsed->text(), name);
  }
}

TEST(DatabaseNameTest, RefusesEverythingElseAndSaysWhy) {
  const std::vector<std::string> names = {"",      "-a",  "_a",  "/a", "a/",
                                          "a/b/c", "a b", "a.b", "ä",  std::string(65, 'x')};
  for (const std::string& name : names) {
    absl::Status status = DatabaseName::Parse(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("invalid database name: it "));
  }
}

}  // namespace
}  // namespace sluice::storage
