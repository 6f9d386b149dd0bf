"""Calling asynchronous interfaces (the runtime, the API's client) from this package's blocking code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def wait(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine to its end. It gets a thread and an event loop of its own, so that this also
    works when the caller's thread already runs a loop, as a test's does."""
    result: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            result.append(asyncio.run(start()))
        except BaseException as error:  # noqa: BLE001 (carried over to the caller, not swallowed)
            failure.append(error)

    thread = threading.Thread(target=body, name="coroutine")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
