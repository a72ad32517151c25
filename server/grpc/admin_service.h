#ifndef SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
#define SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_

#include "server/workers.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "storage/store.h"

namespace sluice::grpc_door {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // The references must outlive it.
  AdminService(storage::Store& store, server::Workers& workers)
      : store_(store), workers_(workers) {}

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

 private:
  storage::Store& store_;
  server::Workers& workers_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_ADMIN_SERVICE_H_
