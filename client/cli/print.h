#ifndef SLUICE_CLIENT_CLI_PRINT_H_
#define SLUICE_CLIENT_CLI_PRINT_H_

#include <string>

namespace sluice::client {

// A line of output. Whether it got out is told by HasPrinted.
void Print(const std::string& line);

bool HasPrinted();

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_PRINT_H_
