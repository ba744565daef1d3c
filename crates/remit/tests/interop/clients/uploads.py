# Large, chunked and refused uploads; each line is a finding.
import http.client
import sys
import threading

import httpx
import requests

host = sys.argv[1]
large = b"x" * 20_000_000


def parts():
    for number in range(50):
        yield b"part %d;" % number


def say(name, answer):
    print(name, answer.status_code, answer.headers.get("remit-reason"))


with requests.Session() as session:
    answer = session.post(f"https://{host}/echo", data=parts())
    print("chunked", answer.json()["body"] == b"".join(parts()).decode())
    answer = session.post(f"https://{host}/echo", data=large)
    print("large", len(answer.json()["body"]))
    say("refused, large", session.post(f"https://{host}/refused", data=large))
    say("refused, chunked", session.post(f"https://{host}/refused", data=parts()))
    answer = session.head(f"https://{host}/bytes/12")
    print("head", answer.status_code, answer.headers["content-length"], answer.text == "")
for http2 in [False, True]:
    with httpx.Client(http2=http2, timeout=60) as client:
        answer = client.post(f"https://{host}/echo", content=parts())
        print("chunked", answer.json()["body"] == b"".join(parts()).decode())
        say("refused, large", client.post(f"https://{host}/refused", content=large))
        print("after it", client.get(f"https://{host}/bytes/3").text)
connection = http.client.HTTPSConnection(host)
try:
    connection.request("POST", "/refused", large)
    answer = connection.getresponse()
    print("refused, large", answer.status, answer.getheader("remit-reason"))
except OSError as error:
    print("refused, large", error)

wrong = []


def many():
    with requests.Session() as session:
        for _ in range(40):
            if session.get(f"https://{host}/bytes/5").text != "xxxxx":
                wrong.append(1)


threads = [threading.Thread(target=many) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("many at once", len(wrong))
