"""Calls a method of greeter.v1.Greeter so many times, with a service config, and prints each status.

    grpcio_client.py ADDRESS METHOD CALLS SERVICE_CONFIG
"""

import sys

import grpc

address, method, calls, service_config = sys.argv[1:]
options = [("grpc.enable_retries", 1), ("grpc.service_config", service_config)]
with grpc.insecure_channel(address, options=options) as channel:
    # The messages are of no interest: an empty request is a valid one.
    call = channel.unary_unary(f"/greeter.v1.Greeter/{method}")
    for _ in range(int(calls)):
        try:
            call(b"", timeout=30)
            print("OK", flush=True)
        except grpc.RpcError as error:
            print(error.code().name, flush=True)
