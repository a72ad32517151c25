#ifndef SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
#define SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_

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

 private:
  // Runs `act`, which returns a grpc::Status, on a worker, for an admin. `target` is what it is
  // about, for the audit log.
  template <typename Act>
  grpc::ServerUnaryReactor* ForAdmin(grpc::CallbackServerContext* context,
                                     const std::string& target, Act act,
                                     server::Workers* workers = nullptr);
  // Runs `act`, which takes the database `name`, on a worker, for who may read that.
  template <typename Act>
  grpc::ServerUnaryReactor* ForReader(grpc::CallbackServerContext* context, const std::string& name,
                                      const char* field, Act act);

  const server::Parts& parts_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
