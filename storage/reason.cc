#include "storage/reason.h"

#include "storage/bytes.h"

namespace sluice::storage {
namespace {

constexpr char kReasonUrl[] = "sluice/reason";

}  // namespace

absl::Status WithReason(absl::Status status, std::string_view name,
                        const std::map<std::string, std::string>& metadata) {
  std::string bytes;
  PutBytes(bytes, name);
  for (const auto& [key, value] : metadata) {
    PutBytes(bytes, key);
    PutBytes(bytes, value);
  }
  status.SetPayload(kReasonUrl, absl::Cord(bytes));
  return status;
}

std::optional<Reason> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kReasonUrl);
  if (!payload) return std::nullopt;
  const std::string bytes(*payload);
  ByteReader reader(bytes);
  Reason reason{.name = std::string(reader.Bytes())};
  while (!reader.empty() && reader.ok()) {
    const std::string_view key = reader.Bytes();
    reason.metadata.emplace(key, reader.Bytes());
  }
  return reason;
}

}  // namespace sluice::storage
