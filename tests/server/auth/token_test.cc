#include "server/auth/token.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace sluice::auth {
namespace {

TEST(TokenTest, HasItsFormAndIsNeverTheSame) {
  std::string token = GenerateToken();
  EXPECT_TRUE(IsToken(token));
  EXPECT_EQ(token.size(), 93u);
  EXPECT_EQ(token.substr(0, 7), "sluice_");
  EXPECT_NE(token, GenerateToken());
}

TEST(TokenTest, NothingElseHasItsForm) {
  std::string token = GenerateToken();
  EXPECT_FALSE(IsToken(""));
  EXPECT_FALSE(IsToken("sluice_"));
  EXPECT_FALSE(IsToken(token + "A"));
  EXPECT_FALSE(IsToken(token.substr(1) + "A"));
  EXPECT_FALSE(IsToken(token.substr(0, 92) + "="));
}

// FIPS 180-4's example.
TEST(TokenTest, IsHashedBySha512) {
  storage::TokenHash hash = HashOf("abc");
  std::string bytes(hash.begin(), hash.end());
  EXPECT_EQ(absl::BytesToHexString(bytes),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

}  // namespace
}  // namespace sluice::auth
