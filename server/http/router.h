#ifndef SLUICE_SERVER_HTTP_ROUTER_H_
#define SLUICE_SERVER_HTTP_ROUTER_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace sluice::http {

// Finds the handler for a path and a method; 404 and 405 otherwise (contract W-10).
class Router {
 public:
  explicit Router(const Errors& errors) : errors_(errors) {}

  void Add(const std::string& method, const std::string& path, Handler handler);

  Beginning Begin(const RequestHead& head) const;
  // The handler for that; null where there is none.
  const Handler* Find(std::string_view method, std::string_view path) const;
  // Calls `visit` with each.
  void Each(const std::function<void(const std::string& method, const std::string& path,
                                     const Handler& handler)>& visit) const;

 private:
  const Errors errors_;
  // By path, then by method.
  std::map<std::string, std::map<std::string, Handler, std::less<>>, std::less<>> routes_;
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_ROUTER_H_
