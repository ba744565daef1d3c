# A gRPC server whose methods answer every message, at the address in the first word.
import sys
from concurrent import futures

import grpc


def echo(messages, context):
    for message in messages:
        if message == b"fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        yield b"echo " + message


class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.stream_stream_rpc_method_handler(echo)


address, key, certificate = sys.argv[1:]
pair = open(key, "rb").read(), open(certificate, "rb").read()
server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[Handler()])
server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
server.start()
print("serving", flush=True)
server.wait_for_termination()
