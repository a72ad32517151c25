#include "server/http/router.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

Response Route(const Router& router, const std::string& method, const std::string& target) {
  return std::get<Response>(router.Begin({.method = method, .target = target, .headers = {}}));
}

TEST(RouterTest, FindsTheHandlerByPathAndMethod) {
  Router router({.failed = nullptr,
                 .no_such_route =
                     [] {
                       Response response;
                       response.status = 404;
                       return response;
                     },
                 .wrong_method =
                     [](std::string_view allow) {
                       Response response;
                       response.status = 405;
                       response.headers = {{"Allow", std::string(allow)}};
                       return response;
                     }});
  router.Add("GET", "/a", [](const RequestHead&) {
    Response response;
    response.status = 299;
    return Beginning(std::move(response));
  });
  EXPECT_EQ(Route(router, "GET", "/a?x=1").status, 299);
  EXPECT_EQ(Route(router, "GET", "/b").status, 404);
  Response wrong = Route(router, "DELETE", "/a");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.back(), (Header{"Allow", "GET"}));
}

}  // namespace
}  // namespace sluice::http
