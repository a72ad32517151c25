#ifndef SLUICE_CLIENT_CLI_WRITE_H_
#define SLUICE_CLIENT_CLI_WRITE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/chunks.h"
#include "client/client.h"
#include "client/writer.h"

namespace sluice::client {

// What `sluice write` was told.
struct WriteCommand {
  std::string server;
  std::string database;
  std::string file = "-";
  Precision precision = Precision::kNanosecond;
  bool no_sync = false;
  // Whether what is good is written where something is bad; otherwise it is one request, of which
  // all is taken or nothing.
  bool accept_partial = true;
  // A name under which the command, given again for the same file as it was, goes on where it was.
  // At most kMaxResumeId bytes of [A-Za-z0-9_-].
  std::string resume_id;
  // Absent: line protocol.
  std::optional<CsvFormat> csv;
  // Judge, and write nothing.
  bool dry_run = false;
  std::string token;
  TokenSource token_source;
  std::optional<Tls> tls;
  // How long the server may be away.
  absl::Duration patience = absl::Seconds(60);
  // When it becomes true, by a signal for instance, no more is read: what is under way is finished,
  // and told. Null for never.
  const std::atomic<bool>* stop = nullptr;
};

inline constexpr size_t kMaxResumeId = 47;

// Writes a file of any size in one stream, in a bounded amount of memory: shows on standard error
// how far it is, and on standard output what became of it. OK where everything was judged,
// Cancelled where it was stopped; `rejected` says how much was not taken.
absl::Status WriteFile(const WriteCommand& command, Client& client, int64_t& rejected);

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_WRITE_H_
