"""`podwright why pod/NAME`: why a pod is as it is, and what would help."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from api import timestamps
from api.client import HttpClient
from api.codec import decode
from api.why import Death, Explanation, Finding, NodeVerdict
from base.clock import Clock, SystemClock
from base.errors import PermanentError
from cli import clusters
from cli.reporting import age, table
from local import access

_POD_WORDS = ("pod", "pods", "po")
SHOWN_DEATHS = 3
SHOWN_NODES = 20
"""Verdicts printed; all of them are in the answer to `--output json`."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="podwright why", description=__doc__)
    parser.add_argument("pod", metavar="pod/NAME", help="the pod; `pod/` may be left out")
    parser.add_argument("-n", "--namespace", default="default", help="default: %(default)s")
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s"
    )
    clusters.add_kubeconfig(parser)
    arguments = parser.parse_args(argv)
    path = (
        f"/apis/podwright.io/v1alpha1/namespaces/{arguments.namespace}"
        f"/pods/{pod_name(arguments.pod)}/why"
    )

    async def asked(client: HttpClient) -> bytes:
        return await client.raw("GET", path)

    answer = access.call(clusters.kubeconfig(arguments), asked)
    if arguments.output == "json":
        print(answer.decode())
    else:
        print(text(decode.decode_body(answer, "application/json", Explanation).obj, SystemClock()))
    return 0


def pod_name(word: str) -> str:
    """`pod/web-0` and `web-0` → `web-0`.

    Raises:
        PermanentError: it is another kind of object.
    """
    kind, slash, name = word.rpartition("/")
    if slash and kind not in _POD_WORDS:
        raise PermanentError(
            f"expected pod/NAME, found {word!r}", hint="Pods are what can be asked about so far."
        )
    return name


def text(answer: Explanation, clock: Clock) -> str:
    """The answer for a person."""
    lines = [answer.summary, *_findings(answer.findings, clock)]
    if answer.deaths:
        lines += ["", "How its containers died, the last first:", *_deaths(answer.deaths, clock)]
    if answer.nodes:
        lines += ["", table(("NODE", "SCORE", "VERDICT"), [_row(one) for one in _shown(answer)])]
        if len(answer.nodes) > SHOWN_NODES:
            lines.append(f"and {len(answer.nodes) - SHOWN_NODES} more (--output json has them)")
    if answer.remedies:
        lines += ["", "What would help:", *(f"- {remedy}" for remedy in answer.remedies)]
    return "\n".join(lines)


def _findings(findings: Sequence[Finding], clock: Clock) -> Iterator[str]:
    """What the summary, which ends with the first finding, has not said yet."""
    for finding in findings[1:]:
        since = ""
        if finding.since:
            since = f" ({age(timestamps.age(clock, finding.since).total_seconds())} ago)"
        yield f"- {finding.topic}: {finding.message}{since}"


def _deaths(deaths: Sequence[Death], clock: Clock) -> Iterator[str]:
    for one in deaths[:SHOWN_DEATHS]:
        when = ""
        if one.finished_at:
            when = f", {age(timestamps.age(clock, one.finished_at).total_seconds())} ago"
        yield f"- {one.container} (life {one.restart_count + 1}{when}): {one.cause}"
        yield from (f"    {change}" for change in one.changes)
        yield from (f"    | {line}" for line in one.last_lines)
    if len(deaths) > SHOWN_DEATHS:
        yield f"and {len(deaths) - SHOWN_DEATHS} more (--output json has them)"


def _shown(answer: Explanation) -> list[NodeVerdict]:
    return answer.nodes[:SHOWN_NODES]


def _row(verdict: NodeVerdict) -> tuple[str, str, str]:
    if not verdict.filter:
        parts = sorted(verdict.scores.items(), key=lambda part: -part[1])
        scores = ", ".join(f"{name} {value}" for name, value in parts if value)
        return verdict.node, str(verdict.score), f"fits; {scores}" if scores else "fits"
    lacking = {
        f"Insufficient {one.resource}": f"Insufficient {one.resource}"
        f" (needs {one.needed}, has {one.free} left)"
        for one in verdict.lacking
    }
    reasons = "; ".join(lacking.get(reason, reason) for reason in verdict.reasons)
    return verdict.node, "-", f"{verdict.filter}: {reasons}"
