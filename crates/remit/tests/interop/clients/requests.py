import sys

import requests

session = requests.Session()
for step in sys.argv[1:]:
    kind, url = step.split(":", 1)
    try:
        if kind == "post":
            answer = session.post(url, data=b"a body", timeout=20)
        else:
            answer = session.get(url, timeout=20)
        print(answer.status_code, answer.text.strip())
    except requests.RequestException as error:
        print("failed", error)
