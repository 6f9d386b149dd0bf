"""Nothing acknowledged is lost: a writing process is killed at any moment and at every step (S1, S2).

After each kill the store is opened again and compared with what the process said on its way:
every acknowledged write is there, revisions are in order and none was given twice, a transaction is
there whole or not at all.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from base.clock import SystemClock
from control.store.interface import Change
from control.store.sqlite import SqliteStore
from tests.leftovers import end_with_us
from tests.thorough import LONG
from tests.unit.store.model import drain

ROUNDS = 200 if LONG else 8
STEPS = ["before-write", "before-commit", "after-commit"]
ROOT = Path(__file__).parents[3]


class Account:
    """What the processes said, over all their lives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.acknowledged: dict[int, dict[str, str | None]] = {}  # revision → what was written
        self.state: dict[str, str | None] = {}
        self.trying: dict[str, dict[str, str | None]] = {}  # writer → the write under way
        self.life = 0

    def live_and_die(self, seconds: float = 0.0, **order: Any) -> int:
        """One life of a process; returns how many writes were acknowledged in it."""
        self.life += 1
        self.trying = {}
        order |= {"directory": str(self.directory), "life": self.life}
        said = self.directory.with_name(f"said-{self.life}")
        with said.open("wb") as stdout:  # not a pipe: a full one would hold the writers up
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.store.victim", json.dumps(order)],
                stdout=stdout,
                cwd=ROOT,
                preexec_fn=end_with_us,
            )
        try:
            opened = json.loads(_first_line(said, process))["opened"]
            assert opened >= max(self.acknowledged, default=1), "back in time"
            if seconds:
                time.sleep(seconds)  # the moment of the kill: any moment will do
                process.kill()
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL
        lines = said.read_bytes().split(b"\n")[1:-1]  # the last one may be torn
        return sum(self._note(json.loads(line)) for line in lines)

    def _note(self, fact: dict[str, Any]) -> bool:
        if "trying" in fact:
            self.trying[_writer(fact["trying"])] = fact["trying"]
        if "revision" not in fact:
            return False
        assert fact["revision"] not in self.acknowledged, "a revision was given twice"
        self.acknowledged[fact["revision"]] = fact["wrote"]
        self.trying.pop(_writer(fact["wrote"]), None)
        self.state |= fact["wrote"]
        return True

    async def audit(self) -> None:
        """Open the store and look for everything."""
        store = await SqliteStore.open(self.directory, clock=SystemClock())
        try:
            assert store.revision() >= max(self.acknowledged, default=1)
            oldest = int(store.statistics()["compacted_revision"])
            changes = await drain(store.watch("/kill/", after=oldest), store.revision())
            self._check_history(changes, oldest)
            found = {i.key: i.value.decode() for i in (await store.range("/kill/")).items}
            self._check_state(found)
        finally:
            await store.close()

    def _check_history(self, changes: list[Change], oldest: int) -> None:
        by_revision: dict[int, dict[str, str | None]] = {}
        for change in changes:
            written = by_revision.setdefault(change.revision, {})
            assert change.key not in written
            written[change.key] = change.value.decode() if change.value is not None else None
        assert list(by_revision) == sorted(by_revision)
        for revision, wrote in self.acknowledged.items():
            if revision > oldest:
                assert by_revision[revision] == wrote

    def _check_state(self, found: dict[str, str]) -> None:
        for key in found.keys() | self.state.keys():
            there = found.get(key)
            if there == self.state.get(key):
                continue
            under_way = self.trying.get(_writer({key: None}), {})
            assert key in under_way and under_way[key] == there, f"{key} lost its last write"
            for other, value in under_way.items():
                assert found.get(other) == value, "half a transaction"
        self.state = dict(found)


def _first_line(said: Path, process: subprocess.Popen[bytes]) -> bytes:
    deadline = time.monotonic() + 60
    while b"\n" not in (text := said.read_bytes()):
        assert time.monotonic() < deadline, "the process did not open the store"
        if process.poll() is not None and b"\n" not in said.read_bytes():
            raise AssertionError(f"the process ended by itself: {process.returncode}")
        time.sleep(0.005)
    return text.split(b"\n")[0]


def _writer(keys: dict[str, Any]) -> str:
    return next(iter(keys)).split("/")[2]


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path / "store")


def test_killed_at_any_moment(account: Account) -> None:
    chance = random.Random(4)
    written = 0
    for round_ in range(ROUNDS):
        written += account.live_and_die(seconds=chance.uniform(0.02, 0.3), compact=round_ % 2 == 1)
        asyncio.run(account.audit())
    assert written > ROUNDS, "the processes never got to write"


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_of_the_commit(account: Account, step: str) -> None:
    for times in (1, 2, 17):
        account.live_and_die(step=step, times=times, rows_per_statement=1)
        asyncio.run(account.audit())


def test_killed_between_the_disk_and_the_answer(account: Account) -> None:
    """A write that was durable but never acknowledged is there: its client could not know."""
    account.live_and_die(step="after-commit", times=1)
    under_way = len(account.trying)
    asyncio.run(account.audit())
    assert under_way and len(account.state) == 2 * under_way
