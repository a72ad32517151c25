#ifndef SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
#define SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "server/gate/parts.h"
#include "sluice/v1/admin.grpc.pb.h"

namespace sluice::grpc_door {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // `parts` must outlive it.
  explicit AdminService(const server::Parts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* CreateDatabase(grpc::CallbackServerContext* context,
                                           const v1::CreateDatabaseRequest* request,
                                           v1::CreateDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* ListDatabases(grpc::CallbackServerContext* context,
                                          const v1::ListDatabasesRequest* request,
                                          v1::ListDatabasesResponse* response) override;
  grpc::ServerUnaryReactor* GetDatabase(grpc::CallbackServerContext* context,
                                        const v1::GetDatabaseRequest* request,
                                        v1::GetDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* UpdateDatabase(grpc::CallbackServerContext* context,
                                           const v1::UpdateDatabaseRequest* request,
                                           v1::UpdateDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* DropDatabase(grpc::CallbackServerContext* context,
                                         const v1::DropDatabaseRequest* request,
                                         v1::DropDatabaseResponse* response) override;
  grpc::ServerUnaryReactor* ListTables(grpc::CallbackServerContext* context,
                                       const v1::ListTablesRequest* request,
                                       v1::ListTablesResponse* response) override;
  grpc::ServerUnaryReactor* DescribeTable(grpc::CallbackServerContext* context,
                                          const v1::DescribeTableRequest* request,
                                          v1::DescribeTableResponse* response) override;
  grpc::ServerUnaryReactor* ListRejections(grpc::CallbackServerContext* context,
                                           const v1::ListRejectionsRequest* request,
                                           v1::ListRejectionsResponse* response) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context,
                                        const v1::CreateTokenRequest* request,
                                        v1::CreateTokenResponse* response) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context,
                                       const v1::ListTokensRequest* request,
                                       v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* DeleteToken(grpc::CallbackServerContext* context,
                                        const v1::DeleteTokenRequest* request,
                                        v1::DeleteTokenResponse* response) override;
  grpc::ServerUnaryReactor* CreateBackup(grpc::CallbackServerContext* context,
                                         const v1::CreateBackupRequest* request,
                                         v1::CreateBackupResponse* response) override;
  grpc::ServerUnaryReactor* ListBackups(grpc::CallbackServerContext* context,
                                        const v1::ListBackupsRequest* request,
                                        v1::ListBackupsResponse* response) override;
  grpc::ServerUnaryReactor* VerifyBackup(grpc::CallbackServerContext* context,
                                         const v1::VerifyBackupRequest* request,
                                         v1::VerifyBackupResponse* response) override;
  grpc::ServerUnaryReactor* DeleteBackup(grpc::CallbackServerContext* context,
                                         const v1::DeleteBackupRequest* request,
                                         v1::DeleteBackupResponse* response) override;

 private:
  // For the audit log: what a call is about, and what it asks for, if that says more.
  struct About {
    std::string target = {};
    const google::protobuf::Message* asked = nullptr;
  };
  // Runs `act`, which returns a grpc::Status, on a worker, for an admin.
  template <typename Act>
  grpc::ServerUnaryReactor* ForAdmin(grpc::CallbackServerContext* context, const About& about,
                                     Act act, server::Workers* workers = nullptr);
  // Runs `act`, which takes the database `name`, on a worker, for who may read that.
  template <typename Act>
  grpc::ServerUnaryReactor* ForReader(grpc::CallbackServerContext* context, const std::string& name,
                                      const char* field, Act act);

  // Runs `act` with the id of a backup on their worker, for an admin.
  grpc::ServerUnaryReactor* ForBackup(grpc::CallbackServerContext* context, int64_t id,
                                      std::function<absl::Status(uint32_t id)> act);

  const server::Parts& parts_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
