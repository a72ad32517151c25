#include "client/proto.h"

#include "absl/strings/strip.h"

namespace sluice::client {

v1::Precision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kNanosecond:
      return v1::PRECISION_NANOSECOND;
    case Precision::kMicrosecond:
      return v1::PRECISION_MICROSECOND;
    case Precision::kMillisecond:
      return v1::PRECISION_MILLISECOND;
    case Precision::kSecond:
      return v1::PRECISION_SECOND;
    case Precision::kAuto:
      return v1::PRECISION_AUTO;
  }
  return v1::PRECISION_UNSPECIFIED;
}

std::string NameOf(v1::RejectionReason reason) {
  return std::string(absl::StripPrefix(v1::RejectionReason_Name(reason), "REJECTION_REASON_"));
}

}  // namespace sluice::client
