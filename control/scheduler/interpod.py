"""Affinity and anti-affinity between pods: near to these, away from those. Pure.

What pods that run already say counts too: one that wants no such neighbour keeps the new pod out,
one that likes it draws it near. Rules and words are those of Kubernetes' InterPodAffinity plugin.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from control.scheduler.census import Carries, Tally
from control.scheduler.request import Request
from control.scheduler.snapshot import Mask, Snapshot
from control.scheduler.terms import Term
from control.scheduler.verdict import Refusal, Verdict, verdict

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_FAR = "node(s) didn't match pod anti-affinity rules"
UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"
MAX_SCORE = 100.0
REQUIRED_WEIGHT = 1
"""What one pod that requires the new one nearby adds (Kubernetes' hardPodAffinityWeight)."""


def inter_pod_affinity(request: Request, snapshot: Snapshot, candidates: Mask) -> Verdict:
    """Near all that it must be near, away from what it shuns and from what shuns it."""
    passes = candidates
    refusals: list[Refusal] = []
    for rule, reason in ((_near, NOT_NEAR), (_far, NOT_FAR), (_welcome, UNWELCOME)):
        mask = rule(request, snapshot)
        if mask is not None:
            found = verdict(passes, passes & mask, reason)
            passes = found.passes
            refusals += found.refusals
    return Verdict(passes, tuple(refusals))


def preferred_neighbours(
    request: Request,
    snapshot: Snapshot,
    candidates: Mask,
    *,
    required_weight: int = REQUIRED_WEIGHT,
    only_own: bool = False,
) -> NDArray[np.float64] | float:
    """The weights of all preferences that a node would meet, scaled to 0..100.

    `only_own`: what pods that run prefer is passed over for a pod that prefers nothing itself.
    """
    if only_own and not request.terms.preferred:
        return 0.0
    wishes = [(one, one.weight, snapshot.census.count(one.pods)) for one in request.terms.preferred]
    for sort, term, carriers in snapshot.census.concerning(request):
        weight = {Carries.NEAR: required_weight, Carries.FAR: 0}.get(sort, term.weight)
        if weight:
            wishes.append((term, weight, carriers))
    if not wishes or not candidates.any():
        return 0.0
    sums = np.zeros(len(candidates))
    for term, weight, tally in wishes:
        sums += weight * _around(snapshot, tally, term.topology_key)
    least, most = sums[candidates].min(), sums[candidates].max()
    return 0.0 if most == least else MAX_SCORE * (sums - least) / (most - least)


def _near(request: Request, snapshot: Snapshot) -> Mask | None:
    """Places that have, for each required term, a pod that all of the terms are about; None: any.

    The first of a group that wants itself near has nobody to be near to: it may go anywhere where
    the labels are.
    """
    terms, mask = request.terms.near, snapshot.present
    if not terms:
        return None
    wanted = tuple(dict.fromkeys(term.pods for term in terms))
    tally = snapshot.census.count(*wanted)
    labelled, around, anywhere = mask, mask, False
    for term in terms:
        domains = snapshot.domains(term.topology_key)
        sums = domains.sums(tally.counts, snapshot.present)
        anywhere = anywhere or bool(sums.any())
        labelled = labelled & domains.known
        around = around & (domains.spread(sums) > 0)
    if not anywhere and snapshot.census.contains(wanted, request):
        return labelled
    return around


def _far(request: Request, snapshot: Snapshot) -> Mask | None:
    """Places without pods that the pod must not be near; None: any."""
    return _without(
        snapshot,
        [(term, snapshot.census.count(term.pods)) for term in request.terms.far],
    )


def _welcome(request: Request, snapshot: Snapshot) -> Mask | None:
    """Places without pods that must not have such a pod near them; None: any."""
    concerning = snapshot.census.concerning(request)
    return _without(
        snapshot, [(term, carriers) for sort, term, carriers in concerning if sort is Carries.FAR]
    )


def _without(snapshot: Snapshot, unwanted: Sequence[tuple[Term, Tally]]) -> Mask | None:
    if not unwanted:
        return None
    mask = np.ones(len(snapshot.present), dtype=np.bool_)
    for term, tally in unwanted:
        mask &= _around(snapshot, tally, term.topology_key) == 0
    return mask


def _around(snapshot: Snapshot, tally: Tally, topology_key: str) -> NDArray[np.float64]:
    """By row, how many of the counted pods are in its place."""
    domains = snapshot.domains(topology_key)
    return domains.spread(domains.sums(tally.counts, snapshot.present))
