#include "server/http/router.h"

#include "server/http/parameters.h"

namespace sluice::http {

void Router::Add(const std::string& method, const std::string& path, Handler handler) {
  routes_[path][method] = std::move(handler);
}

const Handler* Router::Find(std::string_view method, std::string_view path) const {
  auto route = routes_.find(path);
  if (route == routes_.end()) return nullptr;
  auto handler = route->second.find(method);
  return handler == route->second.end() ? nullptr : &handler->second;
}

void Router::Each(const std::function<void(const std::string& method, const std::string& path,
                                           const Handler& handler)>& visit) const {
  for (const auto& [path, methods] : routes_) {
    for (const auto& [method, handler] : methods) visit(method, path, handler);
  }
}

Beginning Router::Begin(const RequestHead& head) const {
  const std::string path = PathOf(head.target);
  if (const Handler* const handler = Find(head.method, path)) return (*handler)(head);
  auto route = routes_.find(path);
  if (route == routes_.end()) return errors_.no_such_route();
  std::string allow;
  for (const auto& [method, other] : route->second) allow += (allow.empty() ? "" : ", ") + method;
  return errors_.wrong_method(allow);
}

}  // namespace sluice::http
