import http.client
import ssl
import sys

try:
    context = ssl.create_default_context(cafile="pinned.pem")
    connection = http.client.HTTPSConnection(sys.argv[1], context=context, timeout=20)
    connection.request("GET", "/v1/models")
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
except OSError as error:
    print("failed", error)
