#ifndef SLUICE_SERVER_INGEST_BAD_FIELD_H_
#define SLUICE_SERVER_INGEST_BAD_FIELD_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sluice::ingest {

// InvalidArgument for a request of which the field at `path`, such as `columns.tables[2].table`, is
// at fault (contract W-81).
absl::Status BadField(std::string_view path, std::string_view message);

// The path that a status was made with; empty where it was made without.
std::string FieldOf(const absl::Status& status);

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_BAD_FIELD_H_
