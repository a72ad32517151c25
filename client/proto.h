#ifndef SLUICE_CLIENT_PROTO_H_
#define SLUICE_CLIENT_PROTO_H_

#include <string>

#include "client/precision.h"
#include "sluice/v1/write.pb.h"

// What Client and Writer both say in messages; not part of the library's interface.

namespace sluice::client {

v1::Precision ToProto(Precision precision);

// The name of the value without its prefix, such as "TYPE_CONFLICT".
std::string NameOf(v1::RejectionReason reason);

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_PROTO_H_
