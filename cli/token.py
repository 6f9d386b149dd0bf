"""`podwright token`: the tokens that let machines join, and the command that uses one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from base import settings
from base.clock import SystemClock
from base.errors import PermanentError
from cli import clusters
from cli.reporting import age, table
from local import access
from local.tokens import Listed

DEFAULT_TTL = "24h"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="podwright token", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a token and print the join command")
    create.add_argument(
        "--ttl",
        default=DEFAULT_TTL,
        help="how long it lets machines join, such as 30m or 24h; 0 is for ever (default: %(default)s)",
    )
    create.add_argument("--description", default="", help="a note for `token list`")
    commands.add_parser("list", help="the tokens there are, without their secrets")
    delete = commands.add_parser("delete", help="take tokens back; machines that joined stay")
    delete.add_argument("ids", nargs="+", metavar="ID", help="the part before the dot")
    for command in commands.choices.values():
        clusters.add_kubeconfig(command)
    arguments = parser.parse_args(argv)
    kubeconfig = clusters.kubeconfig(arguments)
    match arguments.command:
        case "create":
            return _create(kubeconfig, arguments.ttl, arguments.description)
        case "list":
            return _list(kubeconfig)
        case _:
            return _delete(kubeconfig, arguments.ids)


def rows(found: Sequence[Listed], now: datetime) -> list[tuple[str, ...]]:
    """The lines of `token list`."""
    return [(each.id, _ttl(each, now), each.description) for each in found]


def _ttl(token: Listed, now: datetime) -> str:
    if token.expires is None:
        return "for ever"
    left = (token.expires - now).total_seconds()
    return "expired" if left <= 0 else age(left)


def _create(kubeconfig: Path, ttl: str, description: str) -> int:
    seconds = _seconds(ttl)
    token = access.create_token(kubeconfig, seconds=seconds, description=description)
    facts = access.join_facts(kubeconfig)
    print(
        f"podwright agent --join {facts.server} --token {token} --ca-hash {facts.ca_hash}",
    )
    return 0


def _list(kubeconfig: Path) -> int:
    found = access.list_tokens(kubeconfig)
    print(table(("ID", "EXPIRES IN", "DESCRIPTION"), rows(found, SystemClock().now())))
    return 0


def _delete(kubeconfig: Path, ids: Sequence[str]) -> int:
    for token in ids:
        # A whole token is understood too: that is what people have at hand.
        access.delete_token(kubeconfig, token.partition(".")[0])
        print(f"token {token.partition('.')[0]} deleted")
    return 0


def _seconds(text: str) -> float | None:
    if text in ("0", "0s"):
        return None
    try:
        return settings.duration(text)
    except ValueError:
        raise PermanentError(
            f"--ttl: expected {settings.duration.__doc__}, found {text!r}"
        ) from None
