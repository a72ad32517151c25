#include "server/grpc/calls.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/grpc/call.h"
#include "server/grpc/status.h"

namespace sluice::grpc_door {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr std::chrono::milliseconds kPatience(500);
constexpr char kRequestId[] = "x-request-id";
// What gRPC has of a call besides its messages, roughly.
constexpr size_t kCallBytes = 4096;

// What is known of a method such as /sluice.v1.WriteService/Write; null where there is none.
const google::protobuf::MethodDescriptor* Find(std::string_view method) {
  if (!method.starts_with('/')) return nullptr;
  std::string name(method.substr(1));
  const size_t slash = name.find('/');
  if (slash == std::string::npos || name.find('/', slash + 1) != std::string::npos) return nullptr;
  name[slash] = '.';
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
}

const char* TypeOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return "bidi_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

// Whether it changes what there is.
bool IsAudited(std::string_view method) {
  constexpr std::string_view kAdmin = "/sluice.v1.AdminService/";
  if (!method.starts_with(kAdmin)) return false;
  method.remove_prefix(kAdmin.size());
  return !method.starts_with("List") && !method.starts_with("Get") &&
         !method.starts_with("Describe");
}

std::string_view Sent(const grpc::ServerContextBase& context, const char* name) {
  const auto& metadata = context.client_metadata();
  auto found = metadata.find(name);
  return found == metadata.end() ? std::string_view()
                                 : std::string_view(found->second.data(), found->second.size());
}

// As the middlewares of other languages have it: "InvalidArgument".
const char* NameOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "Canceled";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "InvalidArgument";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DeadlineExceeded";
    case grpc::StatusCode::NOT_FOUND:
      return "NotFound";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "AlreadyExists";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PermissionDenied";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "Unauthenticated";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "ResourceExhausted";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FailedPrecondition";
    case grpc::StatusCode::ABORTED:
      return "Aborted";
    case grpc::StatusCode::OUT_OF_RANGE:
      return "OutOfRange";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "Unimplemented";
    case grpc::StatusCode::INTERNAL:
      return "Internal";
    case grpc::StatusCode::UNAVAILABLE:
      return "Unavailable";
    case grpc::StatusCode::DATA_LOSS:
      return "DataLoss";
    case grpc::StatusCode::UNKNOWN:
    default:
      return "Unknown";
  }
}

observability::Ending::Kind KindOf(grpc::StatusCode code) {
  using Kind = observability::Ending::Kind;
  switch (code) {
    case grpc::StatusCode::OK:
      return Kind::kDone;
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::UNAVAILABLE:
      return Kind::kRefused;
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::UNKNOWN:
      return Kind::kFailed;
    default:
      return Kind::kMistake;
  }
}

// ErrorInfo's; empty where there is none.
std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  google::rpc::ErrorInfo info;
  for (const auto& detail : details.details()) {
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

observability::Ending EndingOf(const grpc::Status& status) {
  observability::Ending ending = {.kind = KindOf(status.error_code()),
                                  .code = NameOf(status.error_code())};
  if (status.ok()) return ending;
  ending.reason = ReasonIn(status);
  ending.message = status.error_message();
  return ending;
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
  Watcher(Calls& calls, ServerRpcInfo& call)
      : calls_(calls),
        method_(calls.Know(call.method())),
        kind_(calls.Begin(method_)),
        is_unary_(call.type() == ServerRpcInfo::Type::UNARY),
        answer_memory_(calls.answers_) {
    const grpc::ServerContextBase* const context = call.server_context();
    request_ = calls.requests_.Begin(*method_.metrics,
                                     {.door = "grpc",
                                      .method = call.method(),
                                      .peer = PeerOf(*context),
                                      .request_id = Sent(*context, kRequestId),
                                      .traceparent = Sent(*context, "traceparent"),
                                      .audited = method_.audited,
                                      .lasts = method_.lasts},
                                     context);
  }
  ~Watcher() override { calls_.End(kind_); }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      grpc::Status status = methods->GetSendStatus();
      // No method that is there says so: it is what gRPC says in its place.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED && method_.exists) {
        status = NotParsed();
        methods->ModifySendStatus(status);
      }
      // gRPC keeps an answer until its client reads it, and a client may never do so. The message
      // that it is made of is kept as well.
      if (is_unary_ && status.ok() &&
          methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
        const grpc::ByteBuffer* const answer = methods->GetSerializedSendMessage();
        answer_memory_.Add(kCallBytes + (answer == nullptr ? 0 : 2 * answer->Length()));
      }
      auto* const trailers = methods->GetSendTrailingMetadata();
      if (!status.ok() && trailers != nullptr) trailers->emplace(kRequestId, request_->id());
      request_->End(EndingOf(status));
    }
    methods->Proceed();
  }

 private:
  Calls& calls_;
  // Good as long as the calls are.
  const Method& method_;
  const Kind kind_;
  const bool is_unary_;
  server::MemoryBudget::Share answer_memory_;
  std::shared_ptr<observability::Request> request_;
};

class Calls::Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(Calls& calls) : calls_(calls) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* call) override {
    return new Watcher(calls_, *call);
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

Calls::Method Calls::Describe(std::string_view name) {
  observability::Metrics& metrics = requests_.metrics();
  const google::protobuf::MethodDescriptor* const found = Find(name);
  if (found == nullptr) {
    return {.metrics = &metrics.GrpcMethod("unknown", "unknown", "unary")};
  }
  Method method = {
      .exists = true,
      .audited = IsAudited(name),
      .metrics = &metrics.GrpcMethod(found->service()->full_name(), found->name(), TypeOf(*found))};
  if (name == "/grpc.health.v1.Health/Watch" || name.starts_with("/grpc.reflection.")) {
    // Nobody waits for them.
    method.kind = Kind::kUncounted;
  } else if (found->server_streaming()) {
    method.kind = Kind::kResult;
  }
  method.lasts = method.kind == Kind::kUncounted || found->client_streaming();
  return method;
}

const Calls::Method& Calls::Know(const char* name) {
  std::lock_guard lock(mutex_);
  auto known = methods_.find(std::string_view(name));
  if (known != methods_.end()) return known->second;
  Method method = Describe(name);
  return method.exists ? methods_.emplace(name, method).first->second : unknown_;
}

Calls::Kind Calls::Begin(const Method& method) {
  std::lock_guard lock(mutex_);
  if (closing_ || method.kind == Kind::kUncounted) return Kind::kUncounted;
  ++(method.kind == Kind::kCall ? calls_ : results_);
  return method.kind;
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
