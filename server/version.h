#ifndef SLUICE_SERVER_VERSION_H_
#define SLUICE_SERVER_VERSION_H_

#include <string_view>

namespace sluice::server {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace sluice::server

#endif  // SLUICE_SERVER_VERSION_H_
