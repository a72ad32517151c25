"""Writes the lines of a request, which comes as JSON on standard input, by python3-grpcio."""
import json
import sys

import grpc

from sluice.v1 import write_pb2, write_pb2_grpc

request = json.load(sys.stdin)
service_config = {
    "methodConfig": [{
        "name": [{"service": "sluice.v1.WriteService"}],
        "retryPolicy": {
            "maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "2s", "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }],
}
options = [("grpc.service_config", json.dumps(service_config)),
           ("grpc.max_reconnect_backoff_ms", 200)]
with grpc.insecure_channel(request["grpc"], options=options) as channel:
    try:
        write_pb2_grpc.WriteServiceStub(channel).Write(
            write_pb2.WriteRequest(database=request["database"],
                                   line_protocol=request["lines"].encode(),
                                   partial_as_error=True),
            metadata=[("authorization", "Bearer " + request["token"])], timeout=15)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
