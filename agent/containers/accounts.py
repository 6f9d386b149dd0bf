"""Users and groups of an image (step 4 of the pod's walk).

An image may name its user, and its /etc/group may put users into further groups. The engine looks
both up by itself, but neither says what it found nor leaves a group out, so where a pod asks for more
(`runAsNonRoot` of a user with a name, `supplementalGroupsPolicy`), the agent reads the two files of the
image (passwd(5), group(5)) and gives the engine numbers.

Only the engine can look into an image, and only through a container: `AccountsOfImages` makes one that
is never started, once per image. Concurrency: one at a time per image, others wait for what it finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from agent.containers.errors import NameInUse
from agent.containers.interface import Runtime
from agent.containers.records import ContainerCreate, ContainerId, ImageId

KEPT = 256
"""Images that are remembered; the one known longest is forgotten first."""

PASSWD = "/etc/passwd"
GROUP = "/etc/group"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who a container's processes are."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Further groups that /etc/group has the user in."""


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The two files of an image; empty when it has none."""

    passwd: str = ""
    group: str = ""

    def find(self, user: str) -> Account | None:
        """The account that an image's `USER` or a number means; None for an unknown name.

        `user:group` gives the group itself. A number that no line has is a user of group 0.
        """
        name, colon, group = user.partition(":")
        name = name or "0"
        uid, gid, known_as = (int(name), 0, "") if name.isdigit() else (-1, 0, "")
        for line in _lines(self.passwd, 4):
            if line[0] == name or (uid >= 0 and line[2] == str(uid)):
                if not (line[2].isdigit() and line[3].isdigit()):
                    continue
                uid, gid, known_as = int(line[2]), int(line[3]), line[0]
                break
        if uid < 0:
            return None
        if colon and group:
            found = self._gid(group)
            if found is None:
                return None
            gid = found
        return Account(uid=uid, gid=gid, groups=self._groups_of(known_as))

    def _gid(self, group: str) -> int | None:
        if group.isdigit():
            return int(group)
        for line in _lines(self.group, 3):
            if line[0] == group and line[2].isdigit():
                return int(line[2])
        return None

    def _groups_of(self, name: str) -> tuple[int, ...]:
        if not name:
            return ()
        return tuple(
            int(line[2])
            for line in _lines(self.group, 4)
            if line[2].isdigit() and name in line[3].split(",")
        )


class AccountsOfImages:
    """Reads the accounts of images, and remembers them: an image never changes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[ImageId, Accounts] = {}
        self._reading: dict[ImageId, asyncio.Lock] = {}

    async def of(self, image: ImageId) -> Accounts:
        """The accounts of an image that the node has. Raises RuntimeFailure."""
        async with self._reading.setdefault(image, asyncio.Lock()):
            if image not in self._known:
                while len(self._known) >= KEPT:
                    oldest = next(iter(self._known))
                    del self._known[oldest], self._reading[oldest]
                self._known[image] = await self._read(image)
        return self._known[image]

    async def _read(self, image: ImageId) -> Accounts:
        runtime = self._runtime
        id = await self._container(image)
        try:
            passwd = await runtime.read_file(id, PASSWD)
            group = await runtime.read_file(id, GROUP)
        finally:
            await runtime.remove(id)
        return Accounts(passwd=_text(passwd), group=_text(group))

    async def _container(self, image: ImageId) -> ContainerId:
        name = f"podwright-accounts-{image.removeprefix('sha256:')[:12]}"
        spec = ContainerCreate(name=name, image=image, command=("-",))
        try:
            return await self._runtime.create(spec)
        except NameInUse:  # left by an agent that was killed here
            await self._runtime.remove(ContainerId(name))
            return await self._runtime.create(spec)


def _text(content: bytes | None) -> str:
    return "" if content is None else content.decode(errors="replace")


def _lines(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) >= fields and not line.startswith("#"):
            yield parts
