"""What joining and renewing need of cryptography, in a process of its own (before step 4 of the walk).

The package is 9 MB of memory, and an agent needs it a few times in its life: to make a key and a request
for a certificate, and to find the cluster's CA among what a server presents. So a child does these,
and takes the memory along when it ends. It is this module run as a program: one request as JSON on
stdin, one answer on stdout; keys pass through pipes only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from base.errors import PermanentError, TemporaryError
from base.process import CommandError, run_async
from base.tls import CertificateRequest, PkiError

PATIENCE = 60.0
"""Seconds for one child: a start of Python on a machine that is busy, and a server that is slow."""
SHOWN = 1000
"""Characters of what a child said before it broke."""


async def make_request(
    *,
    common_name: str,
    organizations: Sequence[str] = (),
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    key_pem: bytes | None = None,
) -> CertificateRequest:
    """A request for a certificate, with a new key unless one is given."""
    made = await _child(
        "make_request",
        common_name=common_name,
        organizations=list(organizations),
        dns_names=list(dns_names),
        ip_addresses=list(ip_addresses),
        key_pem=None if key_pem is None else key_pem.decode(),
    )
    return CertificateRequest(made["csr_pem"].encode(), made["key_pem"].encode())


async def fetch_ca(host: str, port: int, expected_hash: str) -> bytes:
    """The CA certificate that the server presents and that has the expected hash."""
    found = await _child("fetch_ca", host=host, port=port, expected_hash=expected_hash)
    return str(found["ca_pem"]).encode()


async def _child(what: str, **arguments: Any) -> dict[str, Any]:
    """Let a child do it; its errors are ours."""
    # It finds the modules where this process found them, however that was started.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    asked = json.dumps({"what": what, "arguments": arguments}).encode()
    argv = [sys.executable, "-P", "-m", "agent.node.keys"]
    try:
        done = await run_async(argv, input=asked, timeout=PATIENCE, env=env, check=False)
    except CommandError as error:  # no memory for it now, or too much to do
        raise TemporaryError(error.message, hint=error.hint) from error
    if done.returncode:
        # Never with what it said on stdout: that may hold a key.
        said = done.stderr.decode(errors="replace").strip()[-SHOWN:]
        kind = TemporaryError if done.returncode < 0 else PkiError
        raise kind(f"{what} ended with exit code {done.returncode}: {said}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        refusal = TemporaryError if answer["temporary"] else PkiError
        raise refusal(answer["error"], hint=answer["hint"])
    return answer


def _perform(what: str, arguments: dict[str, Any]) -> dict[str, str]:
    """In the child."""
    from base import pki

    if what == "fetch_ca":
        return {"ca_pem": pki.fetch_ca(**arguments).decode()}
    key = arguments.pop("key_pem")
    made = pki.make_csr(**arguments, key_pem=None if key is None else key.encode())
    return {"csr_pem": made.csr_pem.decode(), "key_pem": made.key_pem.decode()}


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    try:
        answer: dict[str, Any] = _perform(asked["what"], asked["arguments"])
    except (PermanentError, TemporaryError) as error:
        temporary = isinstance(error, TemporaryError)
        answer = {"error": error.message, "hint": error.hint, "temporary": temporary}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
