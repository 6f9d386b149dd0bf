"""A process that writes into a store until it is killed, and tells on stdout what was acknowledged.

Each writer owns its keys, so what must be found afterwards is known: what was acknowledged last, or
the one write that was under way. Run as: python -m tests.integration.store.victim '{...}'.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from base.clock import SystemClock
from control.store.interface import Delete, Put
from control.store.sqlite import SqliteStore, writer

WRITERS = 16


def tell(**fact: Any) -> None:
    os.write(1, json.dumps(fact).encode() + b"\n")


def killer(step: str, times: int) -> Any:
    """Kill this process when a step of the commit path is reached for the nth time."""
    left = [times]

    def on_step(reached: str) -> None:
        if reached == step:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return on_step


async def write(store: SqliteStore, number: int, life: int) -> None:
    """Create two keys together, update them apart, delete one: over and over."""
    one, two = f"/kill/{number}/one", f"/kill/{number}/two"
    found = [await store.get(one), await store.get(two)]
    at = {item.key: item.mod_revision for item in found if item}
    count = 0

    async def acknowledged(**values: str | None) -> None:
        wrote = {f"/kill/{number}/{name}": value for name, value in values.items()}
        operations: list[Put | Delete] = []
        for key, value in wrote.items():
            expected = at.get(key, 0)
            operations.append(
                Delete(key, expected) if value is None else Put(key, value.encode(), expected)
            )
        tell(trying=wrote)
        revision = await store.txn(operations)
        tell(revision=revision, wrote=wrote)
        for operation in operations:
            at[operation.key] = revision if isinstance(operation, Put) else 0

    while True:
        count += 1
        value = f"{life}.{count}." + "x" * (count * 97 % 3000)
        await acknowledged(one=value, two=value)
        await acknowledged(one=value + "again")
        await acknowledged(two=None)


async def compact(store: SqliteStore) -> None:
    while True:
        await asyncio.sleep(0.02)
        await store.compact(max(1, store.revision() - 50))
        tell(compacted=store.revision() - 50)


async def main(order: dict[str, Any]) -> None:
    writer.ROWS_PER_STATEMENT = order.get("rows_per_statement", writer.ROWS_PER_STATEMENT)
    on_step = killer(order["step"], order["times"]) if "step" in order else lambda step: None
    store = await SqliteStore.open(Path(order["directory"]), clock=SystemClock(), on_step=on_step)
    tell(opened=store.revision())
    tasks = [write(store, number, order["life"]) for number in range(WRITERS)]
    if order.get("compact"):
        tasks.append(compact(store))
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
