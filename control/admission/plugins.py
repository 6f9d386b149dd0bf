"""The admission plugins in the order in which they run: the one list that names them."""

from __future__ import annotations

from control.admission.certificates import CertificateRequester
from control.admission.chain import Chain, Reader
from control.admission.namespacelifecycle import NamespaceLifecycle
from control.admission.noderestriction import NodeRestriction
from control.admission.serviceaccount import ServiceAccountName
from control.admission.tolerations import DefaultTolerationSeconds


def default_chain(reader: Reader, *, toleration_seconds: int) -> Chain:
    """What every request passes through."""
    return Chain(
        (
            NamespaceLifecycle(reader),
            NodeRestriction(),
            ServiceAccountName(),
            DefaultTolerationSeconds(toleration_seconds),
            CertificateRequester(),
        )
    )
