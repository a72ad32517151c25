// Every case of testdata/line_protocol.jsonl (README.md there).

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "server/lineprotocol/line_reader.h"

namespace sluice::lineprotocol {
namespace {

using Json = nlohmann::json;

std::string DecodeBase64(const std::string& text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    static const std::string kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bits = bits << 6 | static_cast<uint32_t>(kAlphabet.find(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

Json ToJson(const Field& field) {
  switch (field.type) {
    case FieldType::kFloat:
      return {field.key, "float", fmt::format("{:016x}", static_cast<uint64_t>(field.bits))};
    case FieldType::kInteger:
      return {field.key, "integer", std::to_string(field.bits)};
    case FieldType::kUnsigned:
      return {field.key, "unsigned", std::to_string(static_cast<uint64_t>(field.bits))};
    case FieldType::kString:
      return {field.key, "string", field.text};
    case FieldType::kBoolean:
      return {field.key, "boolean", field.bits != 0};
  }
  return {};
}

Json ToJson(const Line& line) {
  Json tags = Json::array();
  for (const Tag& tag : line.tags) tags.push_back({tag.key, tag.value});
  Json fields = Json::array();
  for (const Field& field : line.fields) fields.push_back(ToJson(field));
  Json timestamp = line.timestamp ? Json(std::to_string(*line.timestamp)) : Json();
  return {
      {"measurement", line.table}, {"tags", tags}, {"fields", fields}, {"timestamp", timestamp}};
}

Json ToJson(const SyntaxFault& fault) {
  if (fault.error == SyntaxError::kFloatOutOfRange) return {{"error", "non-finite float"}};
  return {{"error", Text(fault)}};
}

Json ReadAll(const std::string& body) {
  Json lines = Json::array();
  LineReader reader(body);
  while (reader.Next()) {
    lines.push_back(reader.fault() ? ToJson(*reader.fault()) : ToJson(reader.line()));
  }
  return lines;
}

TEST(ConformanceTest, EveryCaseOfTheFileMatches) {
  std::ifstream file("tests/server/lineprotocol/testdata/line_protocol.jsonl");
  int cases = 0;
  for (std::string text; std::getline(file, text);) {
    ++cases;
    Json expected = Json::parse(text);
    std::string body = expected.contains("body")
                           ? expected["body"].get<std::string>()
                           : DecodeBase64(expected["body_base64"].get<std::string>());
    bool utf8 = simdjson::validate_utf8(body.data(), body.size());
    ASSERT_EQ(utf8, !expected.contains("not_utf8")) << expected["id"];
    if (!utf8) continue;
    EXPECT_EQ(ReadAll(body), expected["lines"]) << expected["id"] << "\n" << body;
  }
  EXPECT_EQ(cases, 7845);
}

}  // namespace
}  // namespace sluice::lineprotocol
