#ifndef SLUICE_CLIENT_CLI_INPUT_H_
#define SLUICE_CLIENT_CLI_INPUT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice::client {

// A file or standard input, read piece by piece, decompressed where it is gzip (RFC 1952, of
// several members too) or zstd (RFC 8878), which its first bytes tell. For one thread.
class Input {
 public:
  // `path` "-" is standard input. When `stop` becomes true, by a signal for instance, reading ends
  // with Cancelled.
  static absl::StatusOr<std::unique_ptr<Input>> Open(const std::string& path,
                                                     const std::atomic<bool>* stop = nullptr);
  virtual ~Input() = default;

  // Appends up to `max_bytes` to `to`; nothing at the end. DataLoss where what is compressed is
  // damaged or cut short.
  virtual absl::Status Read(size_t max_bytes, std::string& to) = 0;

  // Whether there is something to read, or the end, within that time.
  virtual bool IsReady(std::chrono::milliseconds time) const = 0;

  // Read so far, as it is stored, and all that there is, where that is known.
  virtual int64_t stored_bytes() const = 0;
  virtual std::optional<int64_t> all_stored_bytes() const = 0;

  // Is another one when the file is another, or has been changed. Empty of what is no file: it
  // cannot be read again.
  virtual const std::string& identity() const = 0;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_INPUT_H_
