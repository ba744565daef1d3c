import sys

import httplib2

http = httplib2.Http(timeout=20)
for step in sys.argv[1:]:
    kind, url = step.split(":", 1)
    try:
        if kind == "post":
            answer, body = http.request(url, "POST", body="a body")
        else:
            answer, body = http.request(url)
        print(answer.status, body.decode().strip())
    except (OSError, httplib2.HttpLib2Error) as error:
        print("failed", error)
