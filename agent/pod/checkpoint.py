"""Pods on disk, so that an agent can start while the control plane is away (step 4).

One file per pod: the object as the API gave it, with its status (the address and the readiness that
were last told); of a pod that has ended the status says how, whether the API has heard of that or not.
ConfigMaps and Secrets are only named in it, never contained; their contents are never written. Files
are 0600 all the same, since environments hold what people put there.

A checkpoint is a hint about what was wanted, never about what is: the truth about containers is
Docker's. A file that cannot be read is set aside with a warning, and its pod's containers wait for
the API's word.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from api.core import Pod
from base.clock import Clock
from base.files import atomic_write, make_directory, remove_unfinished

log = logging.getLogger(__name__)

INTERVAL = 1.0
SUFFIX, AHEAD = ".json", ".ahead"

_decoder = msgspec.json.Decoder(Pod)
_encoder = msgspec.json.Encoder()


class Checkpoints:
    """The directory of pod checkpoints.

    `save` only notes; `run` writes in a thread, at most once a second: a checkpoint waits for the
    disk twice, and a pod's start must not. What a kill loses is asked of the API again.

    A version after which the agent ends something must not be lost so: without the API, the next
    agent would start again what was being deleted, or go back to the image before; nor must the end of
    a pod, or the next agent would run it again once its containers are collected. Such a version is in
    a file before anything is done about it, without waiting for the disk: a kill leaves it there, and a
    power cut leaves nothing that runs. That file is one of its own, since the other may just be
    written, with an older version; it counts until the other has as new a one.

    For the seconds in which a file system keeps the removal of a file to itself, a power cut may
    bring back the checkpoint of a pod that has just gone: without the API it would run until the API
    is there. Waiting for the disk at the end of every pod is too high a price for that.
    """

    def __init__(self, directory: Path, *, clock: Clock) -> None:
        self._directory = make_directory(directory, 0o700)
        self._clock = clock
        self._unsaved: dict[str, Pod] = {}
        self._noted = asyncio.Event()
        self._writing = asyncio.Lock()
        self._under_way = ""
        """Which pod's file a thread writes now; empty once the pod was removed meanwhile."""
        self._written = 0

    def save(self, pod: Pod, *, at_once: bool = False) -> None:
        """Have this version written soon; `at_once`: no kill may lose it from now on."""
        uid = pod.metadata.uid
        self._unsaved[uid] = pod
        self._noted.set()
        if at_once:
            try:
                atomic_write(self._ahead(uid), _encoder.encode(pod), 0o600, durable=False)
            except OSError as error:
                log.warning("checkpoint of pod %s is not written: %s", uid, error)

    def remove(self, uid: str) -> None:
        """Forget the pod. May be called twice."""
        self._unsaved.pop(uid, None)
        if uid == self._under_way:
            self._under_way = ""
        self._unlink(uid)

    async def run(self) -> None:
        """Write what is noted, until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            await self.flush()
            await self._clock.sleep(INTERVAL)

    async def flush(self) -> None:
        """Write all that is noted now."""
        async with self._writing:
            while self._unsaved:
                await self._write(*self._unsaved.popitem())

    def load(self) -> list[Pod]:
        """All pods that were wanted when this agent last heard of the API. Before the first `save`."""
        remove_unfinished(self._directory)
        pods = {}
        for suffix in (SUFFIX, AHEAD):
            for path in sorted(self._directory.glob(f"*{suffix}")):
                try:
                    pods[path.stem] = _decoder.decode(path.read_bytes())
                except (OSError, msgspec.DecodeError) as error:
                    log.warning("checkpoint %s cannot be read and is set aside: %s", path, error)
                    path.rename(path.with_suffix(".broken"))
        return list(pods.values())

    def statistics(self) -> dict[str, float]:
        return {"checkpoints_written": self._written, "checkpoints_unsaved": len(self._unsaved)}

    async def _write(self, uid: str, pod: Pod) -> None:
        self._under_way = uid
        try:
            await asyncio.to_thread(atomic_write, self._path(uid), _encoder.encode(pod), 0o600)
        except OSError as error:  # a full disk must not stop pods
            log.warning("checkpoint of pod %s is not written: %s", uid, error)
        else:
            if uid not in self._unsaved:
                self._ahead(uid).unlink(missing_ok=True)
        if not self._under_way:
            self._unlink(uid)
        self._written += 1

    def _unlink(self, uid: str) -> None:
        self._path(uid).unlink(missing_ok=True)
        self._ahead(uid).unlink(missing_ok=True)

    def _path(self, uid: str) -> Path:
        return self._directory / f"{uid}{SUFFIX}"

    def _ahead(self, uid: str) -> Path:
        return self._directory / f"{uid}{AHEAD}"
