#include "server/grpc/query_service.h"

#include <grpcpp/alarm.h>
#include <simdjson.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/query/query.h"
#include "storage/caught.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

// A message with rows is sent when it has about so many bytes.
constexpr size_t kBatchBytes = 64 << 10;

struct SetValue {
  v1::Value& to;

  void operator()(std::monostate) const {}
  void operator()(double value) const { to.set_float_value(value); }
  void operator()(int64_t value) const { to.set_integer_value(value); }
  void operator()(uint64_t value) const { to.set_unsigned_value(value); }
  void operator()(bool value) const { to.set_boolean_value(value); }
  void operator()(query::Blob value) const { to.set_bytes_value(std::string(value.bytes)); }
  // SQL can make text that is not UTF-8, which a proto string may not hold.
  void operator()(std::string_view value) const {
    if (simdjson::validate_utf8(value.data(), value.size())) {
      to.set_string_value(std::string(value));
    } else {
      to.set_bytes_value(std::string(value));
    }
  }
};

// Cancels a call at a deadline. A client that does not read what it asked for would otherwise hold
// the query, and the snapshot that it reads, for ever.
class Watch {
 public:
  Watch(grpc::CallbackServerContext* context, std::chrono::milliseconds timeout)
      : call_(std::make_shared<Call>()) {
    call_->context = context;
    alarm_.Set(std::chrono::system_clock::now() + timeout, [call = call_](bool fired) {
      std::lock_guard lock(call->mutex);
      if (fired && call->context != nullptr) call->context->TryCancel();
    });
  }
  // The call is over.
  ~Watch() {
    std::lock_guard lock(call_->mutex);
    call_->context = nullptr;
  }

 private:
  // Outlives the call: the alarm runs its callback after it was cancelled too.
  struct Call {
    std::mutex mutex;
    grpc::CallbackServerContext* context;
  };

  const std::shared_ptr<Call> call_;
  grpc::Alarm alarm_;
};

// Streams one result. Each message is made on a worker when the one before is on its way.
class ResultStream final : public grpc::ServerWriteReactor<v1::QueryResponse> {
 public:
  ResultStream(const server::Parts& parts, std::chrono::milliseconds timeout,
               grpc::CallbackServerContext* context, const v1::QueryRequest& request)
      : parts_(parts),
        deadline_(std::chrono::steady_clock::now() + timeout),
        context_(context),
        request_(request),
        claim_(ClaimOf(parts_, *context_, server::Act::kRead, request_.database())),
        watch_(context, 2 * timeout) {
    const absl::Status admitted = parts_.gate.Admit(claim_).status();
    if (admitted.ok()) {
      Work([this] { Begin(); });
    } else {
      End(ToGrpc(admitted, "database", request_.database()));
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"));
    Work([this] { SendRows(); });
  }
  void OnCancel() override { *abandoned_ = true; }
  void OnDone() override { delete this; }

 private:
  // What `act` throws ends the call; it does nothing after it has begun to write or to finish.
  template <typename Act>
  void Work(Act act) {
    parts_.query_workers.Post([this, act = std::move(act)] {
      absl::Status thrown = storage::Caught(act);
      if (!thrown.ok()) End(ToGrpc(thrown));
    });
  }

  void Begin() {
    auto query = query::Query::Open(parts_.store, parts_.rejections, parts_.governor,
                                    {.database = *claim_.database,
                                     .sql = request_.sql(),
                                     .arrival_ns = arrival_ns_,
                                     .deadline = deadline_,
                                     .abandoned = abandoned_});
    if (absl::IsNotFound(query.status())) {
      return End(ToGrpc(query.status(), "database", request_.database()));
    }
    if (!query.ok()) return End(ToGrpc(query.status(), "sql"));
    query_ = *std::move(query);
    for (const query::Column& column : query_->columns()) {
      v1::Column& to = *message_.mutable_columns()->add_columns();
      to.set_name(column.name);
      to.set_type(column.type);
    }
    message_.mutable_columns();
    StartWrite(&message_);
  }

  void SendRows() {
    v1::Rows& rows = *message_.mutable_rows();
    rows.Clear();
    for (size_t bytes = 0; bytes < kBatchBytes;) {
      absl::StatusOr<bool> more = query_->Next(row_);
      if (!more.ok()) return End(ToGrpc(more.status(), "sql"));
      if (!*more) return SendLast();
      v1::Row& to = *rows.add_rows();
      for (const query::Value& value : row_) std::visit(SetValue{*to.add_values()}, value);
      bytes += to.ByteSizeLong();
    }
    StartWrite(&message_);
  }

  void SendLast() {
    if (message_.rows().rows().empty()) return Finish(grpc::Status::OK);
    StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  }

  void End(const grpc::Status& status) { grpc_door::Finish(context_, this, status); }

  const server::Parts& parts_;
  const std::chrono::steady_clock::time_point deadline_;
  grpc::CallbackServerContext* const context_;
  const v1::QueryRequest& request_;
  const server::Claim claim_;
  const int64_t arrival_ns_ = storage::NowNs();
  const Watch watch_;
  v1::QueryResponse message_;
  query::Row row_;

  const std::shared_ptr<std::atomic<bool>> abandoned_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<query::Query> query_;
};

}  // namespace

grpc::ServerWriteReactor<v1::QueryResponse>* QueryService::Query(
    grpc::CallbackServerContext* context, const v1::QueryRequest* request) {
  return new ResultStream(parts_, timeout_, context, *request);
}

}  // namespace sluice::grpc_door
