#include "server/auth/credential.h"

#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

TEST(CredentialTest, EverySchemeGivesTheToken) {
  EXPECT_EQ(TokenIn("Token T"), "T");
  EXPECT_EQ(TokenIn("Bearer T"), "T");
  EXPECT_EQ(TokenIn("bearer   T "), "T");
  EXPECT_EQ(TokenIn("TOKEN T"), "T");
  EXPECT_EQ(TokenIn("Basic YW55OlQ="), "T");        // any:T
  EXPECT_EQ(TokenIn("Basic OlQ="), "T");            // :T
  EXPECT_EQ(TokenIn("Basic YW55OmE6Yg=="), "a:b");  // any:a:b
}

TEST(CredentialTest, AnythingElseGivesNone) {
  for (const char* text : {"", " ", "Token", "T", "Digest T", "Basic", "Basic !!!", "Basic YW55"}) {
    EXPECT_EQ(TokenIn(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sluice::auth
