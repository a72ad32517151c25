#include "storage/token_record.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TokenRecord Full() {
  TokenRecord token;
  token.name = "collector";
  token.hash.fill(0xab);
  token.create_time_ns = 1'700'000'000'000'000'000;
  token.expiry_ns = -1;
  token.grants = {{"metrics", true, false}, {"logs/week", false, true}, {"*", true, true}};
  return token;
}

TEST(TokenRecordTest, IsReadAsItWasWritten) {
  TokenRecord admin;
  admin.name = "_admin";
  admin.admin = true;
  for (const TokenRecord& token : {Full(), admin}) {
    EXPECT_EQ(DecodeToken(token.name, Encode(token)).value(), token);
  }
}

TEST(TokenRecordTest, DamageIsFound) {
  const std::string bytes = Encode(Full());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeToken("t", bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss)
        << size;
  }
  EXPECT_FALSE(DecodeToken("t", bytes + "x").ok());
  EXPECT_FALSE(DecodeToken("t", "\x02" + bytes.substr(1)).ok());
}

}  // namespace
}  // namespace sluice::storage
