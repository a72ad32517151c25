#ifndef SLUICE_SERVER_GRPC_CALLS_H_
#define SLUICE_SERVER_GRPC_CALLS_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}

namespace sluice::grpc_door {

// Watches over every call of a server, whatever its service: counts those under way, and gives one
// whose request could not be parsed its answer, for which gRPC has none but UNIMPLEMENTED (contract
// W-93). Safe for use by many threads.
class Calls {
 public:
  // For the server's builder. The calls must outlive the server.
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> MakeFactory();

  // Waits until all calls that have begun before are over; false where that took too long. Those
  // that begin later are not counted any more.
  bool WaitForThoseUnderWay(std::chrono::milliseconds time);

 private:
  class Watcher;
  class Factory;

  // Whether the call is counted.
  bool Begin();
  void End();

  std::mutex mutex_;
  std::condition_variable none_left_;
  size_t under_way_ = 0;
  bool closing_ = false;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_CALLS_H_
