// Any UTF-8 body: the reader must not crash, and its fast way and the parser that knows every rule
// must read the same.

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/lineprotocol/line_parser.h"
#include "server/lineprotocol/line_reader.h"

using sluice::lineprotocol::Field;
using sluice::lineprotocol::Line;
using sluice::lineprotocol::LineReader;
using sluice::lineprotocol::Tag;

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

bool Same(const Line& a, const Line& b) {
  auto same_tag = [](const Tag& x, const Tag& y) { return x.key == y.key && x.value == y.value; };
  auto same_field = [](const Field& x, const Field& y) {
    return x.key == y.key && x.type == y.type && x.bits == y.bits && x.text == y.text;
  };
  return a.table == b.table && a.timestamp == b.timestamp &&
         std::equal(a.tags.begin(), a.tags.end(), b.tags.begin(), b.tags.end(), same_tag) &&
         std::equal(a.fields.begin(), a.fields.end(), b.fields.begin(), b.fields.end(), same_field);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  if (!simdjson::validate_utf8(body.data(), body.size())) return 0;
  LineReader reader(body);
  size_t last_end = 0;
  sluice::lineprotocol::LineMemory memory;
  while (reader.Next()) {
    Check(reader.begin() >= last_end && reader.end() >= reader.begin() && reader.end() <= size);
    last_end = reader.end();
    reader.LineNumber();
    if (reader.fault()) {
      Check(!Text(*reader.fault()).empty());
      continue;
    }
    std::string_view text = reader.text();
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    Line again;
    Check(!ParseLine(text, memory, again) && Same(reader.line(), again));
  }
  return 0;
}
