"""Disks that pods name themselves, without a claim: some can be on a node only once. Pure. Walk step 3.

As Kubernetes' plugin VolumeRestrictions has it: a GCE disk, an iSCSI target and a Ceph image are shared
on a node by those who only read them, an EBS volume by nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from api.core import PodSpec, Volume


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk as a pod wants it. `alone`: nobody else may have it there, not even to read."""

    sort: str
    name: str
    alone: bool

    def conflicts(self, other: "Disk") -> bool:
        """Whether the two cannot be on one node."""
        same = (self.sort, self.name) == (other.sort, other.name)
        return same and (self.alone or other.alone)


def disks_of(spec: PodSpec) -> frozenset[Disk]:
    """What a pod wants alone, or not with others who write."""
    return frozenset(disk for volume in spec.volumes for disk in _of(volume))


def _of(volume: Volume) -> Iterator[Disk]:
    if (gce := volume.gce_persistent_disk) is not None:
        yield Disk("gce", gce.pd_name, not gce.read_only)
    if (ebs := volume.aws_elastic_block_store) is not None:
        yield Disk("ebs", ebs.volume_id, alone=True)
    if (iscsi := volume.iscsi) is not None:
        yield Disk("iscsi", iscsi.iqn, not iscsi.read_only)
    if (rbd := volume.rbd) is not None:
        for monitor in rbd.monitors:
            yield Disk("rbd", f"{monitor}/{rbd.pool}/{rbd.image}", not rbd.read_only)
