"""The images of a `FakeRuntime` (tests of step 4 of the pod's walk).

Those on the node are there from the start or were pulled from a registry of a few names; a pull takes
the clock's time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from agent.containers.behaviour import pull_seconds
from agent.containers.errors import EngineError, ImageNotFound, RuntimeFailure
from agent.containers.records import ImageId, ImageRecord, PullProgress, RegistryAuth
from agent.containers.script import tagged
from api.core import Pod
from base.clock import Clock


class FakeImages(ABC):
    """The part of a fake `Runtime` that knows images."""

    def __init__(
        self,
        clock: Clock,
        *,
        images: Iterable[str],
        registry: Mapping[str, ImageRecord | RuntimeFailure | None],
        pods: Callable[[], Iterable[Pod]],
    ) -> None:
        self.clock = clock
        self.registry: dict[str, ImageRecord | RuntimeFailure | None] = dict(registry)
        self.pods = pods
        self.calls: list[tuple[str, str]] = []
        """(method, container name or image) of each change asked for, in order."""
        self.questions: Counter[str] = Counter()
        """How often each thing was asked that changes nothing."""
        self.pull_seconds = 0.0
        """Of every pull of which no annotation says how long it takes."""
        self._images: dict[str, ImageRecord] = {}
        self._serial = 0
        for reference in images:
            self.add_image(reference)

    def add_image(self, reference: str, **facts: object) -> ImageRecord:
        """Put an image on the node; `facts` are ImageRecord fields."""
        self._serial += 1
        record = ImageRecord(
            id=ImageId(f"sha256:{self._serial:064x}"),
            tags=(tagged(reference),),
            digests=(),
            size=1_000_000,
        )
        record = replace(record, **facts)  # type: ignore[arg-type]
        self._images[tagged(reference)] = record
        self._image_came()
        return record

    async def list_images(self) -> list[ImageRecord]:
        self._reach()
        return list({image.id: image for image in self._images.values()}.values())

    async def image(self, reference: str) -> ImageRecord | None:
        self._reach()
        self.questions["image"] += 1
        return self._lookup_image(reference)

    async def pull(
        self,
        reference: str,
        *,
        auth: RegistryAuth | None = None,
        progress: Callable[[PullProgress], None] | None = None,
    ) -> ImageRecord:
        self._reach()
        self.calls.append(("pull", reference))
        if seconds := pull_seconds(reference, self.pods()) or self.pull_seconds:
            await self.clock.sleep(seconds)
        if reference not in self.registry:
            raise ImageNotFound(f"manifest for {tagged(reference)} not found: manifest unknown")
        answer = self.registry[reference]
        if isinstance(answer, RuntimeFailure):
            raise answer
        if progress is not None:
            progress(PullProgress(layer="", status="Pull complete"))
        record = answer or self.add_image(reference)
        self._images[tagged(reference)] = record
        self._image_came()
        return record

    async def import_image(
        self, layer: bytes, reference: str, *, changes: Sequence[str] = ()
    ) -> ImageRecord:
        self._reach()
        self.calls.append(("import", reference))
        return self.add_image(reference, size=len(layer))

    async def load_image(self, archive: bytes) -> None:
        self._reach()
        self.add_image(archive.decode())

    async def save_image(self, reference: str) -> bytes:
        self._reach()
        if self._lookup_image(reference) is None:
            raise ImageNotFound(f"No such image: {tagged(reference)}")
        return tagged(reference).encode()

    async def remove_image(self, reference: str) -> None:
        self._reach()
        self.calls.append(("remove_image", reference))
        image = self._lookup_image(reference)
        if image is None:
            return
        if image.id in self._images_in_use():
            raise EngineError(f"conflict: image {reference} is being used by a container")
        for key in [key for key, held in self._images.items() if held.id == image.id]:
            if reference in (image.id, key) or tagged(reference) == key:
                del self._images[key]

    def _lookup_image(self, reference: str) -> ImageRecord | None:
        by_id = next((i for i in self._images.values() if i.id == reference), None)
        return by_id or self._images.get(tagged(reference))

    @abstractmethod
    def _reach(self) -> None:
        """Called first by all that the engine is asked. Raises EngineUnavailable."""

    @abstractmethod
    def _image_came(self) -> None:
        """Tell all that listen."""

    @abstractmethod
    def _images_in_use(self) -> set[ImageId]:
        """The images of all containers, running or not."""
