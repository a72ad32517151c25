#ifndef SLUICE_SERVER_LINEPROTOCOL_NUMBER_H_
#define SLUICE_SERVER_LINEPROTOCOL_NUMBER_H_

#include <optional>
#include <string_view>

#include "server/lineprotocol/line.h"

namespace sluice::lineprotocol {

// Field values that are not strings, and timestamps.
//
//   integer   := ['-'] digit+ 'i'
//   unsigned  := digit+ 'u'
//   float     := ['-'] digit+ ['.' digit+] [('e' | 'E') ['+' | '-'] digit+]
//   boolean   := t | T | true | True | TRUE | f | F | false | False | FALSE
//   timestamp := ['-'] digit+
//
// Each function reads the longest such value at the start of `text` and returns its length, or 0
// where there is none. A number that does not fit is a fault.

size_t ReadScalar(std::string_view text, Field& field, std::optional<SyntaxFault>& fault);

size_t ReadTimestamp(std::string_view text, int64_t& timestamp, std::optional<SyntaxFault>& fault);

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_NUMBER_H_
