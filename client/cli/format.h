#ifndef SLUICE_CLIENT_CLI_FORMAT_H_
#define SLUICE_CLIENT_CLI_FORMAT_H_

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"

namespace sluice::client {

// Prints a result as it comes, to standard output, in bounded memory.
class RowPrinter {
 public:
  // "table" has columns as wide as in its first thousand rows; "tsv", "csv" (RFC 4180) and "table"
  // begin with the names; "json" is one array of objects, "jsonl" an object a line, both without
  // members that are NULL. Null for any other name.
  static std::unique_ptr<RowPrinter> Make(const std::string& format);
  virtual ~RowPrinter() = default;
  virtual void Columns(const std::vector<Column>& columns) = 0;
  virtual void Row(const std::vector<Value>& row) = 0;
  virtual void End() = 0;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_FORMAT_H_
