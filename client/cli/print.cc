#include "client/cli/print.h"

#include <cstdio>

namespace sluice::client {

// fmt::print would throw.
void Print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

bool HasPrinted() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

}  // namespace sluice::client
