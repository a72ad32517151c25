"""Writes points as columns over one stream, across restarts of the server.

From the top of the repository:
Stubs: mkdir -p stubs && protoc -I proto --python_out=stubs --grpc_out=stubs \\
         --plugin=protoc-gen-grpc=$(which grpc_python_plugin) proto/sluice/v1/{points,write}.proto
Run:   PYTHONPATH=stubs python3 client/examples/python/example.py 127.0.0.1:8182 demo writer-1
"""
import os
import queue
import random
import sys
import time

import grpc

from sluice.v1 import points_pb2, write_pb2, write_pb2_grpc

BATCHES = 100
POINTS = 100

# So that a restart of the server is over for this client as soon as it is for the server.
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30000),
    ("grpc.keepalive_timeout_ms", 10000),
]
# Others would be the same the next time.
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN,
           grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


def read(variable):
    """What is in the file that the environment names; None where it names none."""
    path = os.environ.get(variable)
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def connect(address):
    """Over TLS where the environment has the certificates."""
    roots, key, chain = read("SLUICE_CA_FILE"), read("SLUICE_KEY_FILE"), read("SLUICE_CERT_FILE")
    if roots is None and chain is None:
        return grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


def batch(number):
    """The points of a batch; the same each time that it is sent."""
    times = [1_700_000_000_000_000_000 + (number * POINTS + i) * 1_000_000 for i in range(POINTS)]
    table = points_pb2.TableBatch(
        table=b"python",
        row_count=POINTS,
        timestamps=times,
        tag_set_count=1,
        tags=[points_pb2.TagColumn(key=b"host", dictionary=[b"example"], values=[1])],
        fields=[points_pb2.FieldColumn(
            key=b"n",
            integers=points_pb2.FieldColumn.Integers(
                values=[number * POINTS + i for i in range(POINTS)]))])
    return write_pb2.WriteStreamRequest(batch=write_pb2.WriteStreamBatch(
        sequence=number, columns=points_pb2.ColumnBatch(tables=[table])))


def write_once(stub, database, writer, token, done):
    """One stream, from batch `done` on, as long as it lasts. Yields how far the server is."""
    requests = queue.SimpleQueue()
    requests.put(write_pb2.WriteStreamRequest(open=write_pb2.WriteStreamOpen(
        database=database, writer_id=writer, first_sequence=done)))
    metadata = [("authorization", "Bearer " + token)] if token else []
    call = stub.WriteStream(iter(requests.get, None), metadata=metadata, wait_for_ready=True)
    sent = done
    draining = False
    for response in call:
        if response.HasField("drain"):
            # What has been sent is still acknowledged; the rest goes over the next stream.
            draining = True
        for ack in response.acks.acks:
            if ack.HasField("error"):
                sys.exit(f"batch {ack.sequence}: {ack.error.message}")
            if ack.HasField("already_written"):
                print(f"batch {ack.sequence} had been written before under this writer's name")
            for error in ack.written.errors:
                print(f"point {error.index} of batch {ack.sequence}: {error.message}")
            done = ack.sequence + 1
            yield done
        # A few under way at once; each call of send() is one batch.
        while not draining and sent < BATCHES and sent < done + 8:
            requests.put(batch(sent))
            sent += 1
            time.sleep(0.02)  # Only so that there is time for a restart.
        if done == sent and (draining or sent == BATCHES):
            requests.put(None)


def main(address, database, writer):
    token = os.environ.get("SLUICE_TOKEN", "")
    done = 0
    wait = 0.1
    with connect(address) as channel:
        stub = write_pb2_grpc.WriteServiceStub(channel)
        while done < BATCHES:
            try:
                for done in write_once(stub, database, writer, token, done):
                    wait = 0.1
            except grpc.RpcError as error:
                if error.code() not in RETRIED:
                    sys.exit(f"{error.code().name}: {error.details()}")
                time.sleep(random.uniform(0, wait))
                wait = min(2 * wait, 5)
    print(f"{done} batches are written")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: example.py HOST:PORT DATABASE WRITER")
    main(*sys.argv[1:])
