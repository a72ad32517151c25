#include "server/grpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>

#include "storage/caught.h"

namespace sluice::grpc_door {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

void NotFound(const std::string& what, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response.mutable_error_response()->set_error_message(what + " is not known here");
}

// The file, and all that it needs.
void AddFile(const FileDescriptor* file, std::set<const FileDescriptor*>& added,
             ServerReflectionResponse& response) {
  if (!added.insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) {
    AddFile(file->dependency(i), added, response);
  }
}

void Tell(const FileDescriptor* file, const std::string& asked,
          ServerReflectionResponse& response) {
  std::set<const FileDescriptor*> added;
  if (file == nullptr) return NotFound(asked, response);
  AddFile(file, added, response);
}

const FileDescriptor* FileOfExtension(const DescriptorPool& pool,
                                      const grpc::reflection::v1::ExtensionRequest& request) {
  const auto* type = pool.FindMessageTypeByName(request.containing_type());
  if (type == nullptr) return nullptr;
  const auto* extension = pool.FindExtensionByNumber(type, request.extension_number());
  return extension == nullptr ? nullptr : extension->file();
}

class Conversation final
    : public grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse> {
 public:
  explicit Conversation(const std::vector<std::string>& services) : services_(services) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    const absl::Status thrown = storage::Caught([this] { Answer(); });
    if (!thrown.ok()) return Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "out of memory"));
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"));
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  void Answer() {
    const DescriptorPool& pool = *DescriptorPool::generated_pool();
    response_.Clear();
    response_.set_valid_host(request_.host());
    *response_.mutable_original_request() = request_;
    switch (request_.message_request_case()) {
      case ServerReflectionRequest::kListServices:
        for (const std::string& name : services_) {
          response_.mutable_list_services_response()->add_service()->set_name(name);
        }
        break;
      case ServerReflectionRequest::kFileByFilename:
        Tell(pool.FindFileByName(request_.file_by_filename()), request_.file_by_filename(),
             response_);
        break;
      case ServerReflectionRequest::kFileContainingSymbol:
        Tell(pool.FindFileContainingSymbol(request_.file_containing_symbol()),
             request_.file_containing_symbol(), response_);
        break;
      case ServerReflectionRequest::kFileContainingExtension:
        Tell(FileOfExtension(pool, request_.file_containing_extension()),
             request_.file_containing_extension().containing_type(), response_);
        break;
      case ServerReflectionRequest::kAllExtensionNumbersOfType: {
        const std::string& name = request_.all_extension_numbers_of_type();
        const auto* type = pool.FindMessageTypeByName(name);
        if (type == nullptr) return NotFound(name, response_);
        std::vector<const google::protobuf::FieldDescriptor*> extensions;
        pool.FindAllExtensions(type, &extensions);
        auto& answer = *response_.mutable_all_extension_numbers_response();
        answer.set_base_type_name(name);
        for (const auto* extension : extensions) answer.add_extension_number(extension->number());
        break;
      }
      case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
        response_.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
        response_.mutable_error_response()->set_error_message("the request asks for nothing");
        break;
    }
  }

  const std::vector<std::string>& services_;
  ServerReflectionRequest request_;
  ServerReflectionResponse response_;
};

}  // namespace

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>*
ReflectionService::ServerReflectionInfo(grpc::CallbackServerContext*) {
  return new Conversation(services_);
}

}  // namespace sluice::grpc_door
