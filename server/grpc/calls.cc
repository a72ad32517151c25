#include "server/grpc/calls.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "server/grpc/status.h"

namespace sluice::grpc_door {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr std::chrono::milliseconds kPatience(500);

// Whether a method such as /sluice.v1.WriteService/Write exists.
bool IsThere(std::string_view method) {
  if (!method.starts_with('/')) return false;
  std::string name(method.substr(1));
  std::replace(name.begin(), name.end(), '/', '.');
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name) != nullptr;
}

grpc::Status NotParsed() {
  return ToGrpc(absl::InvalidArgumentError(
                    "the request could not be parsed as the message that the method takes; texts "
                    "must be UTF-8"),
                "request");
}

}  // namespace

class Calls::Watcher : public grpc::experimental::Interceptor {
 public:
  Watcher(Calls& calls, const char* method)
      : calls_(calls), method_(method), kind_(calls.Begin(method)) {}
  ~Watcher() override { calls_.End(kind_); }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      // No method that is there says so: it is what gRPC says in its place.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED && IsThere(method_)) {
        methods->ModifySendStatus(NotParsed());
      }
    }
    methods->Proceed();
  }

 private:
  Calls& calls_;
  const std::string method_;
  const Kind kind_;
};

class Calls::Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(Calls& calls) : calls_(calls) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* call) override {
    return new Watcher(calls_, call->method());
  }

 private:
  Calls& calls_;
};

std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
Calls::MakeFactory() {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>(*this));
  return factories;
}

Calls::Kind Calls::KindOf(std::string_view method) {
  // Streams that last as long as their clients like. Nobody waits for them.
  if (method == "/grpc.health.v1.Health/Watch" || method.starts_with("/grpc.reflection.")) {
    return Kind::kUncounted;
  }
  const bool streams =
      method == "/sluice.v1.QueryService/Query" || method == "/sluice.v1.WriteService/WriteStream";
  return streams ? Kind::kResult : Kind::kCall;
}

Calls::Kind Calls::Begin(std::string_view method) {
  const Kind kind = KindOf(method);
  std::lock_guard lock(mutex_);
  if (closing_ || kind == Kind::kUncounted) return Kind::kUncounted;
  ++(kind == Kind::kCall ? calls_ : results_);
  return kind;
}

void Calls::End(Kind kind) {
  if (kind == Kind::kUncounted) return;
  std::lock_guard lock(mutex_);
  --(kind == Kind::kCall ? calls_ : results_);
  if (calls_ == 0) none_left_.notify_all();
}

bool Calls::WaitForThoseUnderWay(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  if (none_left_.wait_for(lock, kPatience, [this] { return calls_ == 0 && results_ == 0; })) {
    return true;
  }
  return none_left_.wait_for(lock, time, [this] { return calls_ == 0; });
}

}  // namespace sluice::grpc_door
