# One method for each step: the name of the host, and whether it is permitted.
import sys

import grpc

for step in sys.argv[1:]:
    host, method = step.split("://")[1].split("/", 1)
    with grpc.secure_channel(f"{host}:443", grpc.ssl_channel_credentials()) as channel:
        call = channel.unary_unary("/" + method)
        try:
            answer, end = call.with_call(b"a body", timeout=20)
            print(200, answer.decode(), end.code().name)
        except grpc.RpcError as error:
            refused = error.code() == grpc.StatusCode.PERMISSION_DENIED
            print(403 if refused else "failed", error.code(), error.details())
