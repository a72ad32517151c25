#ifndef SLUICE_SERVER_GRPC_CALLS_H_
#define SLUICE_SERVER_GRPC_CALLS_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/observability/requests.h"
#include "server/resources/memory_budget.h"

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}

namespace sluice::grpc_door {

// Watches over every call of a server, whatever its service: has those under way counted, seen and
// logged (server/observability/requests.h), tells the id of one that ends with an error in the
// trailer x-request-id, and gives one whose request could not be parsed its answer, for which gRPC
// has none but UNIMPLEMENTED (contract W-93). Safe for use by many threads.
class Calls {
 public:
  // Both must outlive it. `answers` is charged with the answers of calls that are no streams, from
  // when they are made until their clients have read them.
  Calls(observability::Requests& requests, server::MemoryBudget& answers)
      : requests_(requests), answers_(answers) {}

  // For the server's builder. The calls must outlive the server.
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> MakeFactory();

  // Waits until all calls that have begun before are over; false where that took too long. Those
  // that begin later are not counted any more, and a stream whose client does not read it is only
  // waited for a moment.
  bool WaitForThoseUnderWay(std::chrono::milliseconds time);

 private:
  class Watcher;
  class Factory;

  enum class Kind { kUncounted, kCall, kResult };
  // What is known of a method, looked up once.
  struct Method {
    bool exists = false;
    Kind kind = Kind::kCall;
    // Whether a call lasts as long as its client likes.
    bool lasts = false;
    // Whether it changes what there is.
    bool audited = false;
    observability::RequestMetrics* metrics = nullptr;
  };
  Method Describe(std::string_view name);
  const Method& Know(const char* name);
  // What a call is counted as.
  Kind Begin(const Method& method);
  void End(Kind kind);

  observability::Requests& requests_;
  server::MemoryBudget& answers_;
  std::mutex mutex_;
  // Those that exist, by their names. Names of others are anybody's, and not kept.
  std::map<std::string, Method, std::less<>> methods_;
  const Method unknown_ = Describe("");
  std::condition_variable none_left_;
  size_t calls_ = 0;
  size_t results_ = 0;
  bool closing_ = false;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_CALLS_H_
