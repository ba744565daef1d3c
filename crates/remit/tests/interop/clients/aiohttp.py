import asyncio
import sys

import aiohttp


async def main():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        for step in sys.argv[1:]:
            kind, url = step.split(":", 1)
            method, body = ("POST", b"a body") if kind == "post" else ("GET", None)
            try:
                async with session.request(method, url, data=body) as answer:
                    print(answer.status, (await answer.text()).strip())
            except aiohttp.ClientError as error:
                print("failed", error)


asyncio.run(main())
