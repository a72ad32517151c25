#include "server/http/parameters.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

TEST(ParametersTest, DecodesNamesAndValues) {
  Parameters parameters = Parameters::Parse("db=a%2Fb&q=x+y%20z&empty=&flag&&%71x=1").value();
  EXPECT_EQ(parameters.Get("db"), "a/b");
  EXPECT_EQ(parameters.Get("q"), "x y z");
  EXPECT_EQ(parameters.Get("empty"), "");
  EXPECT_EQ(parameters.Get("qx"), "1");
  EXPECT_EQ(parameters.Get("none"), "");
}

TEST(ParametersTest, RefusesAParameterGivenTwice) {
  EXPECT_EQ(Parameters::Parse("db=a&db=a").status().message(),
            "the query parameter 'db' is given more than once");
}

TEST(ParametersTest, RefusesMalformedEscapes) {
  for (const char* query : {"a=%", "a=%4", "a=%zz", "%g1=x", "a=%-1"}) {
    EXPECT_EQ(Parameters::Parse(query).status().code(), absl::StatusCode::kInvalidArgument)
        << query;
  }
}

TEST(ParametersTest, ABooleanIsTrueOrFalse) {
  Parameters parameters = Parameters::Parse("t=true&f=false&x=1&e=").value();
  EXPECT_TRUE(*parameters.GetBool("t", false));
  EXPECT_FALSE(*parameters.GetBool("f", true));
  EXPECT_TRUE(*parameters.GetBool("e", true));
  EXPECT_TRUE(*parameters.GetBool("none", true));
  EXPECT_FALSE(parameters.GetBool("x", true).ok());
}

TEST(TargetTest, IsTakenApart) {
  EXPECT_EQ(PathOf("/api/v2/write?bucket=a?b"), "/api/v2/write");
  EXPECT_EQ(QueryOf("/api/v2/write?bucket=a?b"), "bucket=a?b");
  EXPECT_EQ(PathOf("/p%69ng"), "/ping");
  EXPECT_EQ(QueryOf("/ping"), "");
}

TEST(FirstValueTest, FindsWhatCanBeDecodedWhateverElseIsThere) {
  EXPECT_EQ(FirstValue("a=1&p=x%20y&p=z", "p"), "x y");
  EXPECT_EQ(FirstValue("%zz=1&a=%zz&p=x&a=1", "p"), "x");
  EXPECT_EQ(FirstValue("p=%zz&p=x", "p"), "x");
  EXPECT_EQ(FirstValue("a=1", "p"), "");
  EXPECT_EQ(FirstValue("", "p"), "");
}

}  // namespace
}  // namespace sluice::http
