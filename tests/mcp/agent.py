"""An assistant that does as it is told, with the official Python SDK (mcp 2.3.0).

usage: agent.py [--mode auto|legacy] --command COMMAND ARGS…

Reads orders from stdin, one JSON object a line, and prints what comes of each, with the order's number `n`:

  {"n": 1, "call": "deployment_scale", "arguments": {…}}    calls a tool and waits as the SDK does
  {"n": 2, "call": …, "once": true, "state": "…"}           one round only; gives `state` when input is required
  {"cancel": 1}                                             gives the call up, as a user who presses Esc does

It ends with stdin. What it is told to do meanwhile runs side by side.
"""

import argparse
import asyncio
import json
import sys

from mcp import Client

from sdk_client import transport


def say(**what):
    print(json.dumps(what), flush=True)


async def obey(client, order):
    name, arguments = order["call"], order.get("arguments") or {}
    try:
        if order.get("once"):
            result = await client.session.call_tool(
                name, arguments, request_state=order.get("state"), allow_input_required=True
            )
        else:
            result = await client.call_tool(name, arguments, read_timeout_seconds=120)
    except asyncio.CancelledError:
        say(n=order["n"], cancelled=True)
        raise
    except Exception as error:
        say(n=order["n"], failed=f"{type(error).__name__}: {error}")
        return
    content = getattr(result, "structured_content", None) or {}
    text = "\n".join(getattr(block, "text", "") for block in getattr(result, "content", None) or [])
    say(
        n=order["n"],
        is_error=bool(getattr(result, "is_error", False)),
        text=text,
        content=content,
        state=getattr(result, "request_state", None),
    )


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="auto", choices=["auto", "legacy"])
    parser.add_argument("--command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    options.url = options.token = None
    loop = asyncio.get_running_loop()
    async with Client(transport(options), mode=options.mode, read_timeout_seconds=60) as client:
        await client.list_tools()
        say(ready=client.protocol_version)
        running = {}
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            order = json.loads(line)
            if "cancel" in order:
                running[order["cancel"]].cancel()
            else:
                running[order["n"]] = asyncio.create_task(obey(client, order))


asyncio.run(main())
