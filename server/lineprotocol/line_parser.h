#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_PARSER_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_PARSER_H_

#include <optional>
#include <string>
#include <string_view>

#include "server/lineprotocol/line.h"

namespace sluice::lineprotocol {

// Parses any one line, escapes and all:
//
//   line        := measurement (',' tag)* ' '+ fields [' '+ timestamp] blank*
//   tag         := key '=' value
//   fields      := field (',' field)*         a single comma may follow a single field
//   field       := key '=' (string | scalar)  scalars: see number.h
//   string      := '"' any text '"'           \" and \\ are escapes, any other backslash stays
//   measurement, key, value                   \, \= (not in a measurement), \  and \\ are escapes,
//                                             any other backslash stays together with what follows
//
// A measurement ends at a blank, NUL or ','; a key at a blank or '='; a tag's value at a blank or
// ','. `text` is the line without its end and without leading blanks; `memory` is overwritten. The
// rules and the order in which faults are found are those of InfluxDB 3's parser
// (crate influxdb_line_protocol), but for contract W-50 to W-53.
std::optional<SyntaxFault> ParseLine(std::string_view text, LineMemory& memory, Line& line);

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_PARSER_H_
