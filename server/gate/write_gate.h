#ifndef SLUICE_SERVER_GATE_WRITE_GATE_H_
#define SLUICE_SERVER_GATE_WRITE_GATE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/gate/gate.h"
#include "server/gate/parts.h"
#include "server/ingest/pipeline.h"
#include "server/observability/metrics.h"
#include "server/resources/memory_budget.h"

namespace sluice::server {

// A write that has been let in.
struct Pass {
  Claim claim;
  std::optional<auth::Principal> principal = std::nullopt;
  // Who and where from, for the log of rejections.
  ingest::Origin origin;
  // When it came (contract W-33).
  int64_t arrival_ns = 0;
  size_t body_bytes = 0;
  // For its body, where the door has not taken that.
  std::unique_ptr<MemoryBudget::Share> memory = nullptr;
};

// The gate for the writes of one door, and the way from there to the pipeline and back. All that
// doors have in common about writes is here: a door only knows its format. Counts every write, let
// in or not, in the door's metrics. Safe for use by many threads.
class WriteGate {
 public:
  // `parts` must outlive it. `door` is "grpc" or the path of an HTTP route.
  WriteGate(const Parts& parts, std::string door);

  // Whether there is a valid token: OK or Unauthenticated.
  absl::Status Identify(const auth::Credential& credential) const;

  // Memory for a message of which nothing has been read yet. Where there is none: Unavailable, or
  // Unauthenticated for who has no valid token.
  absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> Reserve(const auth::Credential& credential,
                                                               size_t bytes) const;

  // See Gate. `peer` is the client's address.
  absl::StatusOr<Pass> Admit(Claim claim, std::string peer) const;

  // For a body that is there as a whole: ResourceExhausted where it is larger than allowed. OK
  // where it may be judged.
  absl::Status TakeBody(size_t bytes, size_t max_bytes, Pass& pass) const;

  // Hands the write to the pipeline, which see. `request` has what the format and the parameters
  // say; what the pass says is filled in.
  void Write(Pass pass, ingest::WriteRequest request, ingest::WriteDone done) const;
  // The same of one batch.
  using WriteOneDone = absl::AnyInvocable<void(absl::StatusOr<ingest::Outcome>)>;
  void WriteOne(Pass pass, std::unique_ptr<ingest::PointSource> points,
                ingest::WriteRequest request, WriteOneDone done) const;

  // Counts a write that ends without.
  void Refuse(const absl::Status& status) const;

 private:
  void Count(std::string_view database,
             const absl::StatusOr<std::vector<ingest::Outcome>>& outcomes, size_t bytes,
             std::chrono::nanoseconds duration) const;

  const Parts& parts_;
  const std::string door_;
  observability::WriteMetrics& metrics_;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_GATE_WRITE_GATE_H_
