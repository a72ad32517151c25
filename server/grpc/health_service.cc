#include "server/grpc/health_service.h"

#include <chrono>
#include <condition_variable>
#include <utility>

#include "server/grpc/status.h"
#include "storage/caught.h"

namespace sluice::grpc_door {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr std::chrono::milliseconds kTellPeriod(100);

}  // namespace

// One open watch. It is told what holds now, and sends it where it is not what it sent last.
class HealthService::Watcher : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService& owner, std::string service)
      : owner_(owner), service_(std::move(service)) {}

  const std::string& service() const { return service_; }

  void Tell(ServingStatus status) {
    std::lock_guard lock(mutex_);
    current_ = status;
    SendIfNew();
  }

  void End(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    EndLocked(status);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return EndLocked(grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"));
    SendIfNew();
  }
  void OnCancel() override {
    End(grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"));
  }
  void OnDone() override {
    {
      std::lock_guard lock(owner_.mutex_);
      owner_.watchers_.erase(this);
    }
    delete this;
  }

 private:
  void SendIfNew() {
    if (writing_ || ended_ || current_ == sent_) return;
    sent_ = current_;
    message_.set_status(*current_);
    writing_ = true;
    StartWrite(&message_);
  }
  void EndLocked(const grpc::Status& status) {
    if (std::exchange(ended_, true)) return;
    Finish(status);
  }

  HealthService& owner_;
  const std::string service_;
  std::mutex mutex_;
  std::optional<ServingStatus> current_;
  std::optional<ServingStatus> sent_;
  bool writing_ = false;
  bool ended_ = false;
  HealthCheckResponse message_;
};

HealthService::HealthService(const server::Readiness* readiness) : readiness_(readiness) {
  teller_ = std::jthread([this](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      storage::Caught([this] { TellAll(); }).IgnoreError();
      wake.wait_for(lock, stop, kTellPeriod, [] { return false; });
    }
  });
}

HealthService::~HealthService() { Stop(); }

HealthService::ServingStatus HealthService::StatusOf(std::string_view service) const {
  const auto status = [](bool serving) {
    return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  };
  if (service == "liveness") return HealthCheckResponse::SERVING;
  const bool reads = readiness_ != nullptr && readiness_->CheckServing().ok();
  if (service == "sluice.v1.WriteService") {
    return status(readiness_ != nullptr && readiness_->Check().ok());
  }
  // Whoever takes writes answers everything else too.
  if (service.empty() || service == "sluice.v1.QueryService" ||
      service == "sluice.v1.AdminService") {
    return status(reads);
  }
  return HealthCheckResponse::SERVICE_UNKNOWN;
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const ServingStatus status = StatusOf(request->service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish(ToGrpc(
        absl::NotFoundError("no such service; there are \"\", liveness, sluice.v1.WriteService, "
                            "sluice.v1.QueryService and sluice.v1.AdminService"),
        "service", request->service()));
    return reactor;
  }
  response->set_status(status);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const HealthCheckRequest* request) {
  auto* watcher = new Watcher(*this, request->service());
  std::lock_guard lock(mutex_);
  watchers_.insert(watcher);
  if (stopped_) {
    watcher->End(ToGrpc(absl::UnavailableError("the server is shutting down")));
  } else {
    watcher->Tell(StatusOf(watcher->service()));
  }
  return watcher;
}

void HealthService::TellAll() {
  std::lock_guard lock(mutex_);
  for (Watcher* watcher : watchers_) watcher->Tell(StatusOf(watcher->service()));
}

void HealthService::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (Watcher* watcher : watchers_) {
    watcher->End(ToGrpc(absl::UnavailableError("the server is shutting down")));
  }
}

}  // namespace sluice::grpc_door
