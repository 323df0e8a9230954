"""Drives Quarterdeck with the official Python SDK (mcp 2.3.0), as an assistant would.

usage: sdk_client.py [--mode auto|legacy|both] [--url URL --token TOKEN | --command COMMAND ARGS…]

Asserts: the handshake of the era, tools with honest annotations and a list that is short, a call that
reads, the resources of the screen, prompts with completion, an error that says what to do next. With
`--scale CLUSTER/NAMESPACE/NAME=REPLICAS` also that a change is held and ends as a person decides:
`--expect approved|refused` says which decision the caller of this script will make meanwhile.
Prints one line of JSON with what was seen, times in milliseconds. Exits with 1 at the first assertion
that does not hold.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport(options):
    if options.url:
        headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
        http = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(90))
        return streamable_http_client(options.url, http_client=http)
    command, *arguments = options.command
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=dict(__import__("os").environ)))


async def read_text(client, uri):
    result = await client.read_resource(uri)
    return result.contents[0].text


async def look(client, mode, seen):
    """What needs no cluster."""
    tools = (await client.list_tools()).tools
    names = {tool.name: tool for tool in tools}
    listing = json.dumps([tool.model_dump(by_alias=True, exclude_none=True) for tool in tools], separators=(",", ":"))
    seen["tools"], seen["tools_tokens"] = len(tools), len(listing) // 4
    assert seen["tools_tokens"] <= 3000, seen
    for name in ("pod_list", "focus_get", "operation_list"):
        assert names[name].annotations.read_only_hint is True, name
    scale = names["deployment_scale"]
    assert scale.annotations.read_only_hint is False and scale.annotations.destructive_hint is False
    assert "reason" in scale.input_schema["properties"]
    assert names["resource_delete"].annotations.destructive_hint is True
    assert names["operation_call"].annotations.destructive_hint is True

    found = await client.call_tool("operation_list", {"matching": "scale"})
    assert not found.is_error and "deployment_scale" in found.content[0].text, found
    described = await client.call_tool("operation_describe", {"operation": "statefulset_scale"})
    assert described.structured_content["effect"] == "change", described
    through = await client.call_tool("operation_call", {"operation": "participant_list"})
    assert not through.is_error, through
    me = [p for p in through.structured_content["participants"] if p["actor"]["door"] == "mcp"]
    assert me, ("an agent that is connected is present", through.structured_content)
    seen["actor"] = me[0]["actor"]["name"]

    wrong = await client.call_tool("object_point", {"kind": "pod", "nam": "x", "reason": "r"})
    assert wrong.is_error and wrong.structured_content["error"]["code"] == "invalid_argument", wrong
    assert wrong.structured_content["error"]["next"], wrong

    uris = {str(resource.uri) for resource in (await client.list_resources()).resources}
    assert {"console://focus", "console://selection", "console://screen"} <= uris, uris
    seen["focus"] = json.loads(await read_text(client, "console://focus"))
    seen["screen_lines"] = (await read_text(client, "console://screen")).count("\n") + 1
    templates = (await client.list_resource_templates()).resource_templates
    assert any(t.uri_template == "k8s://{cluster}/{namespace}/pods" for t in templates)

    prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert len(prompts) >= 6 and "pod_troubleshoot" in prompts, prompts
    text = (await client.get_prompt("pod_troubleshoot", {"pod": "api-0"})).messages[0].content.text
    assert "pod: api-0" in text and "resource_describe" in text


async def clusters(client, options, seen):
    """What needs a cluster: the first that answers."""
    result = await client.call_tool("cluster_list", {})
    assert not result.is_error, result.content[0].text
    listed = result.structured_content
    seen["clusters"], seen["down"] = listed["total"], listed["down"]
    if listed["total"] == listed["down"]:
        return
    arguments = {"all_namespaces": True}
    if options.cluster:
        arguments["cluster"] = options.cluster
    pods = await client.call_tool("pod_list", arguments)
    assert not pods.is_error, pods.content[0].text
    page = pods.structured_content
    seen["pods"] = page["total"]
    seen["page_tokens"], seen["page_rows"] = len(pods.content[0].text) // 4, len(page["rows"])
    assert seen["page_tokens"] <= 3000, seen
    completion = await client.complete(
        ref={"type": "ref/prompt", "name": "cluster_status"}, argument={"name": "cluster", "value": ""}
    )
    assert completion.completion.values, completion
    if not page["rows"]:
        return
    name = page["rows"][0][page["columns"].index("NAME")]
    namespace = page["rows"][0][page["columns"].index("NAMESPACE")] if "NAMESPACE" in page["columns"] else "default"
    one = {"kind": "pods", "name": name, "namespace": namespace}
    if options.cluster:
        one["cluster"] = options.cluster
    times = []
    for _ in range(50):
        started = time.perf_counter()
        got = await client.call_tool("resource_get", one)
        times.append((time.perf_counter() - started) * 1000)
        assert not got.is_error, got.content[0].text
    seen["get_ms_p50"] = round(statistics.median(times), 2)
    seen["get_ms_p90"] = round(statistics.quantiles(times, n=10)[8], 2)
    started = time.perf_counter()
    await client.call_tool("pod_list", arguments)
    seen["list_ms"] = round((time.perf_counter() - started) * 1000, 2)


async def change(client, options, seen):
    """A change is held; somebody else decides while this waits."""
    place, replicas = options.scale.split("=")
    cluster, namespace, name = place.rsplit("/", 2)
    arguments = {
        "cluster": cluster, "namespace": namespace, "name": name, "replicas": int(replicas),
        "reason": "the load doubled",
    }
    started = time.perf_counter()
    result = await client.call_tool("deployment_scale", arguments, read_timeout_seconds=300)
    # The last rung of the ladder: wait by the approval that the result names.
    while "pending" in (result.structured_content or {}):
        approval = result.structured_content["pending"]["approval"]
        result = await client.call_tool("approval_wait", {"approval": approval, "timeout_seconds": 40})
        waited = result.structured_content or {}
        if waited.get("done") is False:
            result.structured_content = {"pending": {"approval": waited["approval"]}}
    seen["decided_after_s"] = round(time.perf_counter() - started, 1)
    seen["change"] = result.structured_content
    text = " ".join(block.text for block in result.content)
    ended = (result.structured_content or {}).get("result") or {}
    assert options.expect == "refused" or "error" not in ended, ended
    if options.expect == "refused":
        assert "refused" in text, text
    else:
        assert not result.is_error and str(replicas) in text, text


async def session(options, mode):
    seen = {"mode": mode}
    started = time.perf_counter()
    async with Client(transport(options), mode=mode, read_timeout_seconds=60) as client:
        seen["connect_ms"] = round((time.perf_counter() - started) * 1000, 1)
        seen["protocol"] = client.protocol_version
        assert client.server_info.name == "quarterdeck", client.server_info
        assert (seen["protocol"] >= "2026-07-28") == (mode == "auto"), seen
        await look(client, mode, seen)
        if not options.offline:
            await clusters(client, options, seen)
        if options.scale:
            await change(client, options, seen)
    print(json.dumps(seen), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="both", choices=["auto", "legacy", "both"])
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--cluster", help="the kubeconfig context to read")
    parser.add_argument("--offline", action="store_true", help="ask no cluster")
    parser.add_argument("--scale", metavar="CLUSTER/NAMESPACE/NAME=REPLICAS")
    parser.add_argument("--expect", default="approved", choices=["approved", "refused"])
    parser.add_argument("--command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.url and not options.command:
        parser.error("give --url or --command")
    for mode in ["auto", "legacy"] if options.mode == "both" else [options.mode]:
        asyncio.run(session(options, mode))


if __name__ == "__main__":
    sys.exit(main())
