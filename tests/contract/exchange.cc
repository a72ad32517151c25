#include "tests/contract/exchange.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sluice/v1/admin.pb.h"
#include "sluice/v1/query.pb.h"
#include "sluice/v1/server.pb.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/compress.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/running_server.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::contract {
namespace {

using Json = nlohmann::ordered_json;
using google::protobuf::Message;

constexpr size_t kMaxBodyBytes = 4096;

// A text, or parts put together: each a text, or {"repeat": text, "times": n}, {"gzip": …},
// {"zstd": …} of such, {"hex": digits}.
std::string BytesOf(const Json& json) {
  if (json.is_string()) return json;
  std::string bytes;
  if (json.is_array()) {
    for (const Json& part : json) bytes += BytesOf(part);
  } else if (json.contains("repeat")) {
    for (int i = 0; i < json["times"]; ++i) bytes += json["repeat"];
  } else if (json.contains("gzip")) {
    bytes = fixture::Gzip(BytesOf(json["gzip"]));
  } else if (json.contains("zstd")) {
    bytes = fixture::Zstd(BytesOf(json["zstd"]));
  } else if (json.contains("hex")) {
    bytes = absl::HexStringToBytes(json["hex"].get<std::string>());
  }
  return bytes;
}

// Whether `actual` has all that `expected` has: objects may have more keys, and need not have those
// that are null.
bool Has(const Json& actual, const Json& expected) {
  if (expected.is_object() && actual.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      if (!actual.contains(key) ? !value.is_null() : !Has(actual[key], value)) return false;
    }
    return true;
  }
  if (!expected.is_array() || !actual.is_array()) return actual == expected;
  if (actual.size() != expected.size()) return false;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!Has(actual[i], expected[i])) return false;
  }
  return true;
}

// The object of that key; an empty one where there is none.
const Json& ObjectAt(const Json& json, const char* key) {
  static const Json kNone = Json::object();
  return json.contains(key) ? json[key] : kNone;
}

class Exchange {
 public:
  explicit Exchange(const Json& exchange) : exchange_(exchange) {
    if (exchange.value("process", false)) {
      process_.emplace(directory_.path() + "/data");
      return;
    }
    server_.emplace(OptionsOf(ObjectAt(exchange, "server")));
    names_["admin"] = server_->CreateToken({.name = "admin", .admin = true});
    names_["reader"] = server_->CreateToken({.name = "reader", .grants = {{"demo", true, false}}});
    names_["writer"] = server_->CreateToken({.name = "writer", .grants = {{"demo", false, true}}});
    names_["expired"] = ExpiredToken();
    names_["basic"] = absl::Base64Escape("anyone:" + names_["writer"]);
    if (exchange.value("create", true)) server_->CreateDatabase("demo");
  }

  void Run() {
    for (const Json& raw : exchange_["steps"]) {
      Json step = Json::parse(Fill(raw.dump()));
      SCOPED_TRACE(step.dump());
      if (step.value("drain", false)) server_->readiness().Drain();
      if (step.value("disk_fault", false)) process_->StopFilesFromGrowing();
      if (step.contains("http")) RunHttp(step);
      if (step.contains("raw")) RunRaw(step);
      if (step.contains("grpc")) RunGrpc(step);
      if (step.contains("stream")) RunStream(step);
    }
  }

 private:
  static fixture::RunningServer::Options OptionsOf(const Json& json) {
    return {.limits = {.max_tables = 4, .max_columns = 6},
            .max_body_bytes = json.value("max_body_bytes", kMaxBodyBytes),
            .auth = json.value("auth", false),
            .create_databases = json.value("create_databases", false),
            .max_memory_bytes = json.value("max_memory_bytes", size_t{1} << 30),
            .min_free_disk_bytes = json.value("min_free_disk_bytes", uint64_t{0}),
            .cors_origins = json.value("cors_origins", std::vector<std::string>())};
  }

  // Valid only long before the requests are made.
  std::string ExpiredToken() {
    auth::NewToken token = {.name = "expired", .expiry_ns = 10, .admin = true};
    return server_->authority().Create(token, 5)->text;
  }

  uint16_t http_port() const { return process_ ? process_->http_port() : server_->http_port(); }
  std::string grpc_address() const {
    return process_ ? process_->grpc_address() : server_->grpc_address();
  }

  // ${name} stands for a token, or what an earlier step has kept.
  std::string Fill(std::string text) const {
    for (const auto& [name, value] : names_) {
      text = absl::StrReplaceAll(text, {{fmt::format("${{{}}}", name), value}});
    }
    return text;
  }

  void RunHttp(const Json& step) {
    std::string line = step["http"];
    size_t space = line.find(' ');
    std::string headers;
    for (const auto& [name, value] : ObjectAt(step, "headers").items()) {
      headers += fmt::format("{}: {}\r\n", name, value.get<std::string>());
    }
    std::string body = BytesOf(step.value("body", Json("")));
    auto answer =
        fixture::Fetch(http_port(), line.substr(0, space), line.substr(space + 1), body, headers);
    ASSERT_TRUE(answer) << "no answer";
    Expect(*answer, step);
  }

  // Bytes as they are, and as many answers as `expect` has.
  void RunRaw(const Json& step) {
    fixture::HttpConnection connection(http_port());
    connection.Send(BytesOf(step["raw"]));
    for (const Json& expected : step["expect"]) {
      std::optional<fixture::HttpAnswer> answer = connection.Receive();
      ASSERT_TRUE(answer) << "no answer";
      Expect(*answer, {{"expect", expected}});
    }
  }

  void Expect(fixture::HttpAnswer answer, const Json& step) {
    const Json& expected = step["expect"];
    EXPECT_EQ(answer.status, expected["status"]) << answer.body;
    for (const auto& [name, value] : ObjectAt(expected, "headers").items()) {
      if (value.is_null()) {
        EXPECT_FALSE(answer.headers.contains(name)) << name;
      } else {
        EXPECT_EQ(answer.headers[name], value) << name;
      }
    }
    if (expected.contains("body")) {
      EXPECT_EQ(answer.body, expected["body"].get<std::string>());
    }
    if (!expected.contains("json") && !step.contains("keep")) return;
    Json body = Json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(Has(body, ObjectAt(expected, "json"))) << answer.body;
    Keep(body, step);
  }

  // Remembers values of an answer by the names that later steps use.
  void Keep(const Json& body, const Json& step) {
    for (const auto& [name, key] : ObjectAt(step, "keep").items()) {
      names_[name] = body[key.get<std::string>()];
    }
  }

  void RunGrpc(const Json& step) {
    const std::string method = step["grpc"];
    const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
        absl::StrReplaceAll(method, {{"/", "."}}));
    ASSERT_NE(descriptor, nullptr) << method;
    auto request = MessageOf(step.value("request", Json::object()), descriptor->input_type());
    const std::string bytes =
        step.contains("bytes") ? BytesOf(step["bytes"]) : request->SerializeAsString();
    grpc::ClientContext context;
    if (step.contains("token")) {
      context.AddMetadata("authorization", step["token"].get<std::string>());
    }
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto response = New(descriptor->output_type());
    grpc::Status status = Call("/" + method, bytes, context, *response);
    ExpectGrpc(status, context, ToJson(*response), step);
  }

  // Messages of the client, all at once; what comes back is `opened` and all `acks`.
  void RunStream(const Json& step) {
    grpc::ClientContext context;
    if (step.contains("token")) {
      context.AddMetadata("authorization", step["token"].get<std::string>());
    }
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto stub = v1::WriteService::NewStub(
        grpc::CreateChannel(grpc_address(), grpc::InsecureChannelCredentials()));
    auto stream = stub->WriteStream(&context);
    for (const Json& message : step["stream"]) {
      auto made = MessageOf(message, v1::WriteStreamRequest::descriptor());
      stream->Write(dynamic_cast<v1::WriteStreamRequest&>(*made));
    }
    stream->WritesDone();
    Json received = {{"acks", Json::array()}};
    v1::WriteStreamResponse response;
    while (stream->Read(&response)) {
      if (response.has_opened()) received["opened"] = ToJson(response.opened());
      for (const auto& ack : response.acks().acks()) received["acks"].push_back(ToJson(ack));
    }
    ExpectGrpc(stream->Finish(), context, received, step);
  }

  // Bytes are base64 in JSON; a case says them as they are.
  static Json Base64Of(Json json, const google::protobuf::Descriptor* type) {
    if (!json.is_object()) return json;
    for (auto& [key, value] : json.items()) {
      const auto* field = type->FindFieldByName(key);
      if (field == nullptr) continue;
      const auto convert = [&](const Json& item) -> Json {
        if (field->type() == google::protobuf::FieldDescriptor::TYPE_BYTES) {
          return absl::Base64Escape(BytesOf(item));
        }
        return field->message_type() == nullptr ? item : Base64Of(item, field->message_type());
      };
      if (field->is_repeated()) {
        for (Json& item : value) item = convert(item);
      } else {
        value = convert(value);
      }
    }
    return json;
  }

  static std::unique_ptr<Message> MessageOf(const Json& json,
                                            const google::protobuf::Descriptor* type) {
    auto message = New(type);
    const std::string text = Base64Of(json, type).dump();
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, message.get()).ok()) << text;
    return message;
  }

  static std::unique_ptr<Message> New(const google::protobuf::Descriptor* type) {
    auto* factory = google::protobuf::MessageFactory::generated_factory();
    return std::unique_ptr<Message>(factory->GetPrototype(type)->New());
  }

  grpc::Status Call(const std::string& method, const std::string& request,
                    grpc::ClientContext& context, Message& response) {
    grpc::GenericStub stub(grpc::CreateChannel(grpc_address(), grpc::InsecureChannelCredentials()));
    grpc::Slice bytes(request);
    grpc::ByteBuffer sent(&bytes, 1);
    grpc::CompletionQueue queue;
    auto call = stub.PrepareUnaryCall(&context, method, sent, &queue);
    call->StartCall();
    grpc::ByteBuffer received;
    grpc::Status status;
    call->Finish(&received, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    if (!status.ok() || !received.Dump(&slices).ok()) return status;
    std::string text;
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    EXPECT_TRUE(response.ParseFromString(text));
    return status;
  }

  void ExpectGrpc(const grpc::Status& status, const grpc::ClientContext& context, const Json& body,
                  const Json& step) {
    const Json& expected = step["expect"];
    EXPECT_EQ(absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code())),
              expected["code"].get<std::string>())
        << status.error_message();
    if (expected.contains("message")) {
      EXPECT_EQ(status.error_message(), expected["message"].get<std::string>());
    }
    EXPECT_LT(status.error_details().size(), 4096u);
    google::rpc::Status details;
    details.ParseFromString(status.error_details());
    if (expected.contains("details")) {
      EXPECT_TRUE(Has(ToJson(details)["details"], expected["details"])) << ToJson(details).dump();
    }
    for (const auto& [name, value] : ObjectAt(expected, "trailers").items()) {
      auto found = context.GetServerTrailingMetadata().find(name);
      std::string got = found == context.GetServerTrailingMetadata().end()
                            ? ""
                            : std::string(found->second.data(), found->second.size());
      EXPECT_EQ(got, value) << name;
    }
    EXPECT_TRUE(Has(body, ObjectAt(expected, "response"))) << body.dump();
    Keep(body, step);
  }

  static Json ToJson(const Message& message) {
    std::string text;
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
    return Json::parse(text);
  }

  const Json& exchange_;
  // One of them: a server in this process, or the real binary.
  std::optional<fixture::RunningServer> server_;
  fixture::TempDir directory_;
  std::optional<fixture::ServerProcess> process_;
  std::map<std::string, std::string> names_;
};

}  // namespace

void RunExchange(const Json& exchange) { Exchange(exchange).Run(); }

}  // namespace sluice::contract
