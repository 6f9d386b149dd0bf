"""Which CPUs a container may run on: the policies `none` and `static` (step 4 of the pod's walk).

With `static` every container of a Guaranteed pod that asks for whole CPUs gets CPUs of its own; all others
share the rest, those reserved for the system included, which are never given away. What is given stands
in a file, so that a restarted agent takes nothing from a running program. An init container's CPUs pass on
to the containers after it.

Invariants: the sets of two containers that run side by side are disjoint; the shared set is all CPUs
without them. Concurrency: one event loop; writing the file is small and rare.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Set
from pathlib import Path

import msgspec

from agent.resources import cpusets
from agent.resources.cpusets import NONE, CpuSet, Topology
from api import quantity
from api.core import Container, Pod
from api.pods import all_containers, qos_class
from base.errors import PermanentError
from base.files import atomic_write

log = logging.getLogger(__name__)

FILE = "cpu_manager_state"


FULL_CORES, STRICT = "full-pcpus-only", "strict-cpu-reservation"
OPTIONS = (FULL_CORES, STRICT)
"""Of the policy `static` ("Static policy options")."""


class NotEnoughCpus(PermanentError):
    """The pod asks for more CPUs of its own than are free; in Kubernetes' words."""

    reason = "UnexpectedAdmissionError"


class NotWholeCores(NotEnoughCpus):
    """Only whole cores are given away, and it asks for a part of one, or there are not so many."""

    reason = "SMTAlignmentError"


class _State(msgspec.Struct, rename="camel"):
    """The file, as the kubelet has it."""

    policy_name: str
    default_cpu_set: str
    entries: dict[str, dict[str, str]] = {}


class CpuManager:
    """The CPUs of one node; this one is the policy `none`: everybody may run everywhere."""

    policy = "none"

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called when the shared set is another one."""

    def admit(self, pod: Pod) -> None:
        """Give a pod what it asks for. May be called twice. Raises NotEnoughCpus."""

    def release(self, uid: str) -> None:
        """Take it back. May be called twice."""

    def keep(self, uids: Collection[str]) -> None:
        """Release all other pods."""

    def owners(self) -> Set[str]:
        """The uids of pods that have some of their own."""
        return frozenset()

    def of(self, uid: str, container: str) -> str:
        """Where a container may run, as cgroups write it; empty for everywhere."""
        return ""

    def pinned(self, uid: str) -> Collection[str]:
        """Containers of a pod that have CPUs of their own: no quota bounds them besides."""
        return ()

    def statistics(self) -> dict[str, float]:
        return {}


class StaticCpus(CpuManager):
    """The policy `static`."""

    policy = "static"

    def __init__(
        self,
        topology: Topology,
        reserved: CpuSet,
        directory: Path,
        *,
        options: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._topology = topology
        self._full_cores, self._strict = FULL_CORES in options, STRICT in options
        self._all = frozenset(cpu.id for cpu in topology)
        self._reserved = reserved & self._all
        self._file = directory / FILE
        self._given: dict[str, dict[str, CpuSet]] = self._load()

    @property
    def shared(self) -> CpuSet:
        """Where everybody runs who has no CPUs of its own."""
        return self._all - self._taken() - (self._reserved if self._strict else NONE)

    def admit(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        if uid in self._given:
            return
        if self._full_cores:
            self._check_cores(pod)
        made = self._choose(pod)
        if made:
            self._given[uid] = made
            self._changed()

    def release(self, uid: str) -> None:
        if self._given.pop(uid, None) is not None:
            self._changed()

    def keep(self, uids: Collection[str]) -> None:
        for uid in [uid for uid in self._given if uid not in uids]:
            self.release(uid)

    def owners(self) -> Set[str]:
        return self._given.keys()

    def of(self, uid: str, container: str) -> str:
        own = self._given.get(uid, {}).get(container)
        # Where all others are given away, better on the system's CPUs than on somebody's own.
        return cpusets.written(own or self.shared or self._reserved)

    def pinned(self, uid: str) -> Collection[str]:
        return self._given.get(uid, {}).keys()

    def statistics(self) -> dict[str, float]:
        return {
            "shared_cpus": len(self.shared),
            "exclusive_cpus": len(self._taken()),
            "reserved_cpus": len(self._reserved),
        }

    def _choose(self, pod: Pod) -> dict[str, CpuSet]:
        free = self.shared - self._reserved
        made: dict[str, CpuSet] = {}
        reusable: CpuSet = NONE
        """What init containers had that have ended when the next one starts."""
        for container in pod.spec.init_containers:
            if not (count := whole_cpus(pod, container)):
                continue
            made[container.name] = chosen = self._take(free, reusable, count)
            free -= chosen
            if container.restart_policy == "Always":
                reusable -= chosen
            else:
                reusable |= chosen
        for container in pod.spec.containers:
            if not (count := whole_cpus(pod, container)):
                continue
            made[container.name] = chosen = self._take(free, reusable, count)
            free, reusable = free - chosen, reusable - chosen
        return made

    def _check_cores(self, pod: Pod) -> None:
        """Raises NotWholeCores where a container would share a core with somebody else."""
        cores = Counter(cpu.core for cpu in self._topology)
        size = max(cores.values())
        whole = Counter(
            cpu.core for cpu in self._topology if cpu.id in self.shared - self._reserved
        )
        free = sum(count for core, count in whole.items() if count == cores[core])
        for container in all_containers(pod.spec):
            count = whole_cpus(pod, container)
            if count % size:
                raise NotWholeCores(
                    f"SMT Alignment Error: requested {count} cpus not multiple cpus per core = {size}"
                )
            if count > free:
                raise NotWholeCores(
                    "SMT Alignment Error: not enough free physical CPUs: available physical CPUs = "
                    f"{free}, requested CPUs = {count}, CPUs per core = {size}"
                )

    def _take(self, free: CpuSet, reusable: CpuSet, count: int) -> CpuSet:
        first = cpusets.take(self._topology, reusable, min(count, len(reusable)))
        rest = count - len(first)
        try:
            return first | cpusets.take(self._topology, free - reusable, rest)
        except ValueError:
            raise NotEnoughCpus(
                "Allocate failed due to not enough cpus available to satisfy request: "
                f"requested={count}, available={len(free | reusable)}, which is unexpected"
            ) from None

    def _taken(self) -> CpuSet:
        return frozenset(
            cpu
            for containers in self._given.values()
            for cpus in containers.values()
            for cpu in cpus
        )

    def _changed(self) -> None:
        state = _State(
            policy_name=self.policy,
            default_cpu_set=cpusets.written(self.shared),
            entries={
                uid: {name: cpusets.written(cpus) for name, cpus in containers.items()}
                for uid, containers in self._given.items()
            },
        )
        try:
            atomic_write(self._file, msgspec.json.encode(state), 0o600)
        except OSError as error:  # a full disk must not stop pods
            log.error("who has which CPUs is not kept: %s", error)
        self.on_change()

    def _load(self) -> dict[str, dict[str, CpuSet]]:
        """What an earlier agent gave; nothing of it if the machine has other CPUs since."""
        try:
            state = msgspec.json.decode(self._file.read_bytes(), type=_State)
            given = {
                uid: {name: cpusets.parse(text) for name, text in containers.items()}
                for uid, containers in state.entries.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("who has which CPUs is not known, all is given anew: %s", error)
            return {}
        named = {
            cpu for containers in given.values() for cpus in containers.values() for cpu in cpus
        }
        if state.policy_name != self.policy or not named <= self._all - self._reserved:
            log.warning("CPUs that containers had are gone or reserved now; all is given anew")
            return {}
        return given


def whole_cpus(pod: Pod, container: Container) -> int:
    """How many CPUs a container gets for itself; 0 for those who share, and in pods whose amounts are
    given for the pod as a whole, which the policy does not know."""
    if qos_class(pod) != "Guaranteed" or pod.spec.resources is not None:
        return 0
    asked = container.resources.requests.get("cpu") or container.resources.limits.get("cpu")
    milli = quantity.milli(asked) if asked else 0
    return milli // 1000 if milli % 1000 == 0 else 0


def make(
    policy: str,
    directory: Path,
    *,
    reserved: str,
    reserved_milli: int,
    topology: Topology,
    options: Collection[str] = (),
) -> CpuManager:
    """The manager for these settings. Raises PermanentError for settings that contradict each other."""
    if policy == "none" and options:
        raise PermanentError(
            f"--cpu-manager-policy-options {min(options)}=true is an option of the policy static",
            hint="Give --cpu-manager-policy static as well.",
        )
    if policy == "none":
        (directory / FILE).unlink(missing_ok=True)
        return CpuManager()
    every = frozenset(cpu.id for cpu in topology)
    if reserved:
        chosen = cpusets.parse(reserved)
        if not chosen <= every:
            raise PermanentError(
                f"--reserved-cpus {reserved}: this machine has the CPUs {cpusets.written(every)}"
            )
    else:
        chosen = cpusets.take(topology, every, min(len(every), -(-reserved_milli // 1000)))
    if not chosen or chosen == every:
        raise PermanentError(
            "--cpu-manager-policy static needs CPUs for the system, and others for pods",
            hint="Give --reserved-cpus 0, or --system-reserved cpu=1.",
        )
    return StaticCpus(topology, chosen, directory, options=options)
