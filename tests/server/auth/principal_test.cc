#include "server/auth/principal.h"

#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

Principal Of(storage::TokenRecord token) {
  return Principal(std::make_shared<const KnownToken>(std::move(token)));
}

TEST(PrincipalTest, AnAdminMayDoEverything) {
  for (const Principal& admin : {Principal::Anonymous(), Of({.name = "root", .admin = true})}) {
    EXPECT_TRUE(admin.MayRead("a").ok());
    EXPECT_TRUE(admin.MayWrite("a").ok());
    EXPECT_TRUE(admin.MayAdminister().ok());
  }
}

TEST(PrincipalTest, EachRightIsItsOwn) {
  Principal reader = Of({.name = "reader", .grants = {{"a", true, false}, {"b", false, true}}});
  EXPECT_TRUE(reader.MayRead("a").ok());
  EXPECT_TRUE(reader.MayWrite("b").ok());
  EXPECT_EQ(reader.MayWrite("a").message(), "the token 'reader' may not write to database \"a\"");
  EXPECT_EQ(reader.MayRead("b").message(), "the token 'reader' may not read database \"b\"");
  EXPECT_EQ(reader.MayRead("c").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(reader.MayAdminister().message(), "the token 'reader' is not an admin token");
}

TEST(PrincipalTest, AStarIsEveryDatabaseAndNotAdmin) {
  Principal writer = Of({.name = "writer", .grants = {{"*", false, true}}});
  EXPECT_TRUE(writer.MayWrite("a").ok());
  EXPECT_TRUE(writer.MayWrite("a/b").ok());
  EXPECT_FALSE(writer.MayRead("a").ok());
  EXPECT_FALSE(writer.MayAdminister().ok());
}

}  // namespace
}  // namespace sluice::auth
