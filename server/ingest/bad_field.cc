#include "server/ingest/bad_field.h"

#include <fmt/format.h>

namespace sluice::ingest {
namespace {

constexpr char kFieldUrl[] = "sluice/field";

}  // namespace

absl::Status BadField(std::string_view path, std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(fmt::format("{}: {}", path, message));
  status.SetPayload(kFieldUrl, absl::Cord(absl::string_view(path.data(), path.size())));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const auto field = status.GetPayload(kFieldUrl);
  return field ? std::string(*field) : "";
}

}  // namespace sluice::ingest
