# Streams both ways, each message sent only once the one before was answered.
import queue
import sys

import grpc

channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials())


def talk(method, messages):
    waiting = queue.Queue()
    answers = channel.stream_stream(method)(iter(waiting.get, None), timeout=30)
    try:
        for message in messages:
            waiting.put(message)
            answer = next(answers)
            print(len(answer), answer[:12].decode())
        waiting.put(None)
        print(next(answers, "the end"), answers.code().name)
    except grpc.RpcError as error:
        waiting.put(None)
        print(error.code().name, error.details()[:80])


talk("/v1.Echo/Talk", [b"one", b"two", b"x" * 2_000_000, b"three"])
talk("/v1.Echo/Talk", [b"one", b"fail"])
talk("/admin.Echo/Talk", [b"one"])
