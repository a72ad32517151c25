#include "server/gate/write_gate.h"

#include <chrono>
#include <utility>

#include "storage/timestamp.h"

namespace sluice::server {

WriteGate::WriteGate(const Parts& parts, std::string door)
    : parts_(parts), door_(std::move(door)), metrics_(parts.metrics.AddDoor(door_)) {}

absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> WriteGate::Reserve(
    const auth::Credential& credential, size_t bytes) const {
  auto memory = std::make_unique<MemoryBudget::Share>(parts_.bodies);
  const absl::Status taken = memory->GrowBody(bytes);
  // Who is let in is asked by Admit; here only whom to tell that there is none.
  if (taken.ok()) return memory;
  const absl::Status known = Identify(credential);
  if (!known.ok()) return known;
  Refuse(taken);
  return taken;
}

absl::Status WriteGate::Identify(const auth::Credential& credential) const {
  const absl::Status known = parts_.gate.Identify(credential).status();
  if (!known.ok()) Refuse(known);
  return known;
}

absl::StatusOr<Pass> WriteGate::Admit(Claim claim, std::string peer) const {
  absl::StatusOr<auth::Principal> principal = parts_.gate.Admit(claim);
  if (!principal.ok()) {
    Refuse(principal.status());
    return principal.status();
  }
  Pass pass;
  pass.claim = std::move(claim);
  pass.origin = {door_, principal->name(), std::move(peer)};
  pass.principal = *std::move(principal);
  pass.arrival_ns = storage::NowNs();
  return pass;
}

absl::Status WriteGate::TakeBody(size_t bytes, size_t max_bytes, Pass& pass) const {
  pass.body_bytes = bytes;
  absl::Status taken = bytes > max_bytes ? BodyTooLarge(max_bytes) : absl::OkStatus();
  if (!taken.ok()) Refuse(taken);
  return taken;
}

void WriteGate::Write(Pass pass, ingest::WriteRequest request, ingest::WriteDone done) const {
  const bool dry_run = pass.claim.act == Act::kValidate;
  request.dry_run = dry_run;
  request.arrival_ns = pass.arrival_ns;
  request.origin = std::move(pass.origin);
  if (pass.principal && pass.claim.bytes == 0)
    pass.principal->TakeBytes(pass.body_bytes, pass.arrival_ns);
  request.memory = &parts_.judging;
  const auto since = std::chrono::steady_clock::now();
  std::string database(request.database.text());
  parts_.pipeline.Write(
      std::move(request),
      [this, dry_run, since, database = std::move(database), bytes = pass.body_bytes,
       memory = std::move(pass.memory),
       done = std::move(done)](absl::StatusOr<std::vector<ingest::Outcome>> outcomes) mutable {
        memory.reset();
        // What is only validated is no write: points would be counted that are nowhere.
        if (!dry_run) Count(database, outcomes, bytes, std::chrono::steady_clock::now() - since);
        done(std::move(outcomes));
      });
}

void WriteGate::WriteOne(Pass pass, std::unique_ptr<ingest::PointSource> points,
                         ingest::WriteRequest request, WriteOneDone done) const {
  request.batches.push_back(std::move(points));
  Write(std::move(pass), std::move(request),
        [done = std::move(done)](absl::StatusOr<std::vector<ingest::Outcome>> outcomes) mutable {
          if (!outcomes.ok()) return done(outcomes.status());
          done(std::move(outcomes->front()));
        });
}

void WriteGate::Count(std::string_view database,
                      const absl::StatusOr<std::vector<ingest::Outcome>>& outcomes, size_t bytes,
                      std::chrono::nanoseconds duration) const {
  if (outcomes.ok()) {
    metrics_.Observe(database, *outcomes, bytes, duration);
  } else {
    metrics_.Observe(outcomes.status(), bytes, duration);
  }
}

void WriteGate::Refuse(const absl::Status& status) const {
  metrics_.Observe(status, 0, std::chrono::nanoseconds(0));
}

}  // namespace sluice::server
