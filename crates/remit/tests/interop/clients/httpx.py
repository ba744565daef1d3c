import sys

import httpx

http2 = sys.argv[1] == "2"
with httpx.Client(http2=http2, timeout=20) as client:
    for step in sys.argv[2:]:
        kind, url = step.split(":", 1)
        try:
            answer = client.post(url, content=b"a body") if kind == "post" else client.get(url)
            print(answer.status_code, answer.text.strip())
        except httpx.HTTPError as error:
            print("failed", error)
