#ifndef SLUICE_SERVER_INFLUX_JSON_BODY_H_
#define SLUICE_SERVER_INFLUX_JSON_BODY_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/http/message.h"

namespace sluice::influx {

// The most that a body of JSON may have: more than the longest SQL. In memory it takes many times
// as much.
inline constexpr size_t kMaxJsonBytes = (size_t{1} << 20) + (size_t{64} << 10);

// A JSON object that came as a body. Keys that nobody asks for are ignored.
class JsonBody {
 public:
  // InvalidArgument for anything but an object; `example` shows what one looks like.
  static absl::StatusOr<JsonBody> Parse(std::string_view body, std::string_view example);
  ~JsonBody();
  JsonBody(JsonBody&&);

  // The value of a key; nothing where the key is absent or null. InvalidArgument where it is of
  // another type.
  absl::StatusOr<std::optional<std::string>> Text(const char* key) const;
  absl::StatusOr<std::optional<uint64_t>> Number(const char* key) const;

  const nlohmann::json& json() const { return *json_; }

 private:
  explicit JsonBody(std::unique_ptr<nlohmann::json> json);

  std::unique_ptr<nlohmann::json> json_;
};

// A response with a JSON body.
http::Response JsonResponse(int status, const nlohmann::ordered_json& body);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_JSON_BODY_H_
