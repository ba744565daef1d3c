import asyncio
import sys

import websockets


async def main():
    for url in sys.argv[1:]:
        try:
            async with websockets.connect(url) as socket:
                await socket.send("a text")
                await socket.send(b"x" * 300_000)
                first, second = await socket.recv(), await socket.recv()
                print("open", first, len(second))
        except websockets.InvalidStatus as error:
            print(error.response.status_code, error.response.body.decode().strip())
        except OSError as error:
            print("failed", error)


asyncio.run(main())
