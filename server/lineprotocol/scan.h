#ifndef SLUICE_SERVER_LINEPROTOCOL_SCAN_H_
#define SLUICE_SERVER_LINEPROTOCOL_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Searches through many bytes at once: with AVX2 where the processor has it, with what every x86-64
// has otherwise, one by one elsewhere.

namespace sluice::lineprotocol {

// The first space, control character or backslash, or the end of `text`.
size_t FindSeriesEnd(std::string_view text);

// The first '"' or backslash, or the end of `text`.
size_t FindQuote(std::string_view text);

// Replaces `positions` by those of every ',' and '='.
void FindDelimiters(std::string_view text, std::vector<uint32_t>& positions);

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_SCAN_H_
