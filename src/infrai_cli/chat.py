"""``infrai chat``: one prompt, its answer, and what it took."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from infrai_cli.connection import ROUTING, add_connection, add_routing, client_of
from infrai_cli.screen import paint
from infrai_core import ChatReply, ConfigError, Infrai

_SAMPLING = ("temperature", "max_tokens", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The prompt and its flags."""
    parser.epilog = 'example: infrai chat --base-url embedded "What is 12 % of 250?"'
    parser.add_argument("prompt", help="what to ask; - reads it from standard input")
    parser.add_argument("--system", metavar="TEXT", help="a system message in front of the prompt")
    parser.add_argument("--stream", action="store_true", help="print the answer while it comes")
    parser.add_argument("--json", action="store_true", help="print the whole reply as JSON")
    parser.add_argument("--temperature", type=float, metavar="X")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N")
    add_routing(parser)
    add_connection(parser)


def run(args: Any) -> int:
    """Prints the answer, then one line of vendor, model, tokens and cost."""
    if args.json and args.stream:
        raise ConfigError("--json with --stream: allowed is one of them")
    params = {name: getattr(args, name) for name in (*ROUTING, *_SAMPLING)}
    with client_of(args) as client:
        ask = _streamed if args.stream else _whole
        reply = ask(client, _messages(args), params, quiet=args.json)
    print(_as_json(reply) if args.json else paint(summary(reply), "dim"))
    return 0


def _messages(args: Any) -> list[dict[str, str]]:
    prompt = sys.stdin.read() if args.prompt == "-" else args.prompt
    if not prompt.strip():
        raise ConfigError("prompt: it is empty")
    system = [{"role": "system", "content": args.system}] if args.system else []
    return [*system, {"role": "user", "content": prompt}]


def _whole(client: Infrai, messages: Any, params: Any, *, quiet: bool) -> ChatReply:
    reply: ChatReply = client.chat(messages, **params)
    if not quiet:
        print(reply.content or reply.refusal or "")
    return reply


def _streamed(client: Infrai, messages: Any, params: Any, *, quiet: bool) -> ChatReply:
    with client.stream_chat(messages, **params) as stream:
        for chunk in stream:
            print(chunk.delta.content or chunk.delta.refusal or "", end="", flush=True)
        print()
        reply: ChatReply = stream.so_far
        return reply


def _as_json(reply: ChatReply) -> str:
    shown = reply.model_dump(mode="json") | {"content": reply.content}
    return json.dumps(shown, ensure_ascii=False, indent=2)


def summary(reply: ChatReply) -> str:
    """Who answered, with what, for how much: one line."""
    about, usage = reply.metadata, reply.usage
    cost = "cost unknown" if about.cost_usd is None else f"${about.cost_usd.normalize():f}"
    tokens = f"{usage.prompt_tokens} + {usage.completion_tokens} tokens" if usage else "tokens unknown"
    latency = "" if about.latency_ms is None else f", {about.latency_ms:.0f} ms"
    hit = ", from the cache" if about.cache_hit else ""
    return f"[{about.vendor or 'unknown vendor'} / {about.model or 'unknown model'}, {tokens}, {cost}{latency}{hit}]"
