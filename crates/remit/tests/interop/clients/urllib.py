import sys
import urllib.error
import urllib.request

for step in sys.argv[1:]:
    kind, url = step.split(":", 1)
    try:
        request = urllib.request.Request(url, data=b"a body" if kind == "post" else None)
        with urllib.request.urlopen(request, timeout=20) as answer:
            print(answer.status, answer.read().decode().strip())
    except urllib.error.HTTPError as answer:
        print(answer.code, answer.read().decode().strip())
    except OSError as error:
        print("failed", error)
