#include "server/http/router.h"

#include "server/http/parameters.h"

namespace sluice::http {

void Router::Add(const std::string& method, const std::string& path, Handler handler) {
  routes_[path][method] = std::move(handler);
}

bool Router::Knows(std::string_view method, std::string_view path) const {
  auto route = routes_.find(path);
  return route != routes_.end() && route->second.find(method) != route->second.end();
}

Beginning Router::Begin(const RequestHead& head) const {
  auto route = routes_.find(PathOf(head.target));
  if (route == routes_.end()) return errors_.no_such_route();
  auto handler = route->second.find(head.method);
  if (handler != route->second.end()) return handler->second(head);
  std::string allow;
  for (const auto& [method, other] : route->second) allow += (allow.empty() ? "" : ", ") + method;
  return errors_.wrong_method(allow);
}

}  // namespace sluice::http
