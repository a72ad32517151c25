#include "server/grpc/write_service.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <memory>
#include <utility>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/grpc/write_answer.h"

namespace sluice::grpc_door {
namespace {

// A request apart from its points, both good as long as this stays where it is.
template <typename Request>
struct Arrived {
  Message message;
  Request request;
  PointsIn points;
};

ingest::WriteOptions OptionsOf(const v1::WriteRequest& request) {
  return {.accept_partial = !request.has_accept_partial() || request.accept_partial(),
          .no_sync = request.no_sync()};
}
ingest::WriteOptions OptionsOf(const v1::ValidateRequest&) { return {}; }

const std::string& IdOf(const v1::WriteRequest& request) { return request.request_id(); }
const std::string& IdOf(const v1::ValidateRequest&) {
  static const std::string kNone;
  return kNone;
}

// By which a request is known again.
template <typename Request>
std::string FingerprintOf(const Arrived<Request>& arrived) {
  const XXH128_hash_t hash = XXH3_128bits(arrived.points.bytes.data(), arrived.points.bytes.size());
  const std::string rest = arrived.request.SerializeAsString();
  const XXH128_hash_t others = XXH3_128bits(rest.data(), rest.size());
  return fmt::format("{:x} {:x} {} {:x} {:x}", hash.high64, hash.low64,
                     static_cast<int>(arrived.points.kind), others.high64, others.low64);
}

// What is in another database of the same name is not in this one. 0 where there is none.
int64_t CreateTimeOf(const storage::Store& store, const storage::DatabaseName& name) {
  const auto database = store.FindDatabase(name);
  if (!database.ok()) return 0;
  const absl::StatusOr<storage::DatabaseView> view = (*database)->View();
  return view.ok() ? view->record->create_time_ns : 0;
}

// Ends a request that may have an id: with its answer, or where it goes without, with none.
class Remember {
 public:
  explicit Remember(RequestIds& ids) : ids_(ids) {}
  Remember(const Remember&) = delete;
  Remember& operator=(const Remember&) = delete;
  ~Remember() { Answered(nullptr, 0); }
  // It has one, and has begun.
  void Begun(std::string key) { key_ = std::move(key); }
  bool has_id() const { return !key_.empty(); }
  void Answered(const RequestIds::AnswerPtr& answer, int64_t place) {
    if (!key_.empty()) ids_.End(std::exchange(key_, ""), answer, place);
  }

 private:
  RequestIds& ids_;
  std::string key_;
};

}  // namespace

template <typename Request, typename Answer, typename Tell>
grpc::ServerUnaryReactor* WriteService::Handle(grpc::CallbackServerContext* context,
                                               server::Act act, const grpc::ByteBuffer& message,
                                               const PointsFields& fields, Answer answer,
                                               Tell tell) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto end = std::make_shared<Ending>(context, reactor);
  const size_t sent_bytes = message.Length();
  // Before it is put in one piece.
  auto memory = gate_.Reserve(CredentialOf(parts_, *context), sent_bytes);
  if (!memory.ok()) {
    (*end)(ToGrpc(memory.status(), "points"));
    return reactor;
  }
  auto arrived = std::make_unique<Arrived<Request>>();
  // The call's own, which nobody reads again: it is not to hold the bytes a second time.
  arrived->message = Message(const_cast<grpc::ByteBuffer&>(message));
  if (arrived->message.is_compressed()) {
    // Nobody else makes the server do so much work.
    absl::Status known = gate_.Identify(CredentialOf(parts_, *context));
    if (known.ok()) known = arrived->message.Decompress(max_message_bytes_, bodies_);
    if (!known.ok()) {
      (*end)(ToGrpc(known, "request"));
      return reactor;
    }
  }
  absl::StatusOr<PointsIn> points = ParseApart(arrived->message.bytes(), fields, arrived->request);
  if (points.ok()) arrived->points = *points;
  const std::string& database = arrived->request.database();
  const std::string& id = IdOf(arrived->request);
  absl::StatusOr<ingest::Precision> precision = FromProto(arrived->request.precision());
  server::Claim claim = ClaimOf(parts_, *context, act, database,
                                precision.ok() ? CheckId(id, "request_id") : precision.status());
  claim.bytes = sent_bytes;
  if (!points.ok()) claim.parameters = points.status();
  if (claim.parameters.ok()) claim.parameters = arrived->points.Check();
  absl::StatusOr<server::Pass> pass = gate_.Admit(std::move(claim), PeerOf(*context));
  if (!pass.ok()) {
    const char* field = !points.ok()                          ? "request"
                        : pass.status() == precision.status() ? "precision"
                                                              : "database";
    (*end)(ToGrpc(pass.status(), field, database));
    return reactor;
  }
  pass->memory = *std::move(memory);
  absl::Status taken = gate_.TakeBody(arrived->points.bytes.size(), max_body_bytes_, *pass);
  if (!taken.ok()) {
    (*end)(WriteError(taken, arrived->points, database));
    return reactor;
  }
  // Whatever becomes of it, those that wait for it are told.
  auto remember = std::make_shared<Remember>(request_ids_);
  const storage::DatabaseName name = *pass->claim.database;
  if (!id.empty()) {
    std::string key = fmt::format("{}\n{}\n{}", pass->origin.principal, database, id);
    const absl::StatusOr<bool> first = request_ids_.Begin(
        pass->origin.principal, key, CreateTimeOf(store_, name), FingerprintOf(*arrived),
        [end, tell](const RequestIds::AnswerPtr& remembered) {
          if (remembered == nullptr) {
            return (*end)(ToGrpc(absl::UnavailableError(
                "the request with this request_id that was under way came to nothing; send it "
                "again")));
          }
          WriteAnswer again = *remembered;
          again.response.set_replayed(true);
          (*end)(tell(again));
        });
    if (!first.ok()) (*end)(ToGrpc(first.status(), "request_id"));
    if (!first.ok() || !*first) return reactor;
    remember->Begun(std::move(key));
  }
  std::unique_ptr<ingest::PointSource> source = arrived->points.MakeSource();
  ingest::WriteRequest write{.database = *pass->claim.database,
                             .precision = *precision,
                             .options = OptionsOf(arrived->request),
                             .check_awaited = [context] { return CheckAwaited(*context); }};
  gate_.WriteOne(
      *std::move(pass), std::move(source), std::move(write),
      [this, answer, tell, remember, end, name,
       arrived = std::move(arrived)](const absl::StatusOr<ingest::Outcome>& outcome) mutable {
        if (!outcome.ok()) {
          (*end)(WriteError(outcome.status(), arrived->points, arrived->request.database()));
          return;
        }
        const absl::Status room = parts_.answers.Check();
        if (!room.ok()) {
          // It may have been written, and does no harm if it is sent again (W-65).
          (*end)(ToGrpc(room));
          return;
        }
        auto made = std::make_shared<const WriteAnswer>(answer(*outcome, *arrived));
        remember->Answered(made, remember->has_id() ? CreateTimeOf(store_, name) : 0);
        (*end)(tell(*made));
      });
  return reactor;
}

grpc::ServerUnaryReactor* WriteService::Write(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* request,
                                              grpc::ByteBuffer* response) {
  const auto answer = [](const ingest::Outcome& outcome, const Arrived<v1::WriteRequest>& arrived) {
    WriteAnswer made;
    const bool partly = outcome.rejected > 0 && outcome.ingested > 0;
    const bool error = outcome.ingested == 0 || (partly && arrived.request.partial_as_error());
    if (error && !arrived.request.rejections_in_response()) {
      made.status = RejectionStatus(outcome, arrived.points.points_field());
    } else {
      Fill(outcome, made.response);
    }
    return made;
  };
  const auto tell = [response](const WriteAnswer& made) {
    return made.status.ok() ? Serialize(made.response, *response) : made.status;
  };
  return Handle<v1::WriteRequest>(context, server::Act::kWrite, *request, kWriteRequestPoints,
                                  answer, tell);
}

grpc::ServerUnaryReactor* WriteService::Validate(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* request,
                                                 grpc::ByteBuffer* response) {
  const auto answer = [](const ingest::Outcome& outcome, const Arrived<v1::ValidateRequest>&) {
    WriteAnswer made;
    Fill(outcome, made.response);
    return made;
  };
  const auto tell = [response](const WriteAnswer& made) {
    v1::ValidateResponse told;
    *told.mutable_outcome() = made.response;
    return Serialize(told, *response);
  };
  return Handle<v1::ValidateRequest>(context, server::Act::kValidate, *request,
                                     kValidateRequestPoints, answer, tell);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* WriteService::WriteStream(
    grpc::CallbackServerContext* context) {
  return streams_->Open(context);
}

}  // namespace sluice::grpc_door
