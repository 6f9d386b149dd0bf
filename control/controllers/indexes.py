"""Which pods does a label select, and who selects this pod: answered without looking at all of them.

Indexes of the shared informers, for the controllers that match selectors with labels. A selector is
filed under one of its pairs, a pod under each of its labels; what is found that way is a small set
of candidates that the caller still has to match. Adding the same index twice (two controllers that
need it) is the same as once, as long as it happens before the informers run.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from api import objects
from api.core import Pod, Service
from api.informer import Informer
from api.selectors import Operator, Selector
from api.struct import ApiStruct

T = TypeVar("T", bound=ApiStruct)

_EQUAL = frozenset({Operator.IN, Operator.EQUALS})

LABEL = "label"
FREE = "free"
SELECTOR = "selector"
CONTROLLER = "controller"
NODE = "node"


def index_pods(informer: Informer[Pod]) -> None:
    """File pods under their labels (those that nobody controls once more), and under who does."""
    informer.add_index(LABEL, _by_label)
    informer.add_index(FREE, lambda pod: [] if objects.controller_of(pod) else _by_label(pod))
    index_controlled(informer)


def index_placed(informer: Informer[Pod]) -> None:
    """File pods under the node that they are on."""
    informer.add_index(NODE, lambda pod: [pod.spec.node_name] if pod.spec.node_name else [])


def index_controlled(informer: Informer[T]) -> None:
    """File objects under who controls them, or under the namespace where nobody does."""
    informer.add_index(CONTROLLER, _by_controller)


def index_services(informer: Informer[Service]) -> None:
    """File Services under a pair of their selector."""
    informer.add_index(SELECTOR, lambda one: _one_pair(one.metadata.namespace, one.spec.selector))


def index_selecting(informer: Informer[T], pairs: Callable[[T], Mapping[str, str]]) -> None:
    """File workloads under a pair of their selector, or under none where it has only expressions."""

    def by_selector(workload: T) -> list[str]:
        namespace = objects.meta(workload).namespace
        return _one_pair(namespace, pairs(workload)) or [_free(namespace)]

    informer.add_index(SELECTOR, by_selector)


def selected(informer: Informer[Pod], namespace: str, selector: Mapping[str, str]) -> list[Pod]:
    """The pods of a namespace whose labels have every pair of a selector; none if it is empty."""
    return _with_labels(informer, LABEL, namespace, selector)


def matching(informer: Informer[Pod], namespace: str, selector: Selector) -> list[Pod]:
    """The pods of a namespace that a selector matches, among those of its rarest label."""
    pairs = {
        one.key: one.values[0]
        for one in selector.requirements
        if one.operator in _EQUAL and len(one.values) == 1
    }
    # Without any pair, which is rare, all are looked at.
    among = selected(informer, namespace, pairs) if pairs else informer.items(namespace)
    return [pod for pod in among if selector.matches(pod.metadata.labels)]


def pods_on(informer: Informer[Pod], node: str) -> list[Pod]:
    """The pods of a node."""
    return informer.by_index(NODE, node)


def free_pods(informer: Informer[Pod], namespace: str, labels: Mapping[str, str]) -> list[Pod]:
    """Pods of a namespace that nobody controls; with all of `labels`, where any are given."""
    if labels:
        return _with_labels(informer, FREE, namespace, labels)
    return uncontrolled(informer, namespace)


def pods_of(informer: Informer[Pod], owner_uid: str) -> list[Pod]:
    """The pods that an object controls."""
    return controlled_by(informer, owner_uid)


def controlled_by(informer: Informer[T], owner_uid: str) -> list[T]:
    """The objects of a kind that another object controls."""
    return informer.by_index(CONTROLLER, owner_uid)


def uncontrolled(informer: Informer[T], namespace: str) -> list[T]:
    """The objects of a namespace that nobody controls."""
    return informer.by_index(CONTROLLER, _free(namespace))


def services_selecting(informer: Informer[Service], pod: Pod) -> list[Service]:
    """The Services whose selector the pod's labels satisfy."""
    labels, namespace = pod.metadata.labels, pod.metadata.namespace
    return [
        service
        for pair in labels.items()
        for service in informer.by_index(SELECTOR, _filed(namespace, *pair))
        if service.spec.selector.items() <= labels.items()
    ]


def perhaps_selecting(informer: Informer[T], pod: Pod) -> list[T]:
    """Workloads that may select the pod: those that share a pair, or that have none."""
    namespace = pod.metadata.namespace
    keys = [_filed(namespace, *pair) for pair in pod.metadata.labels.items()]
    return [one for key in (*keys, _free(namespace)) for one in informer.by_index(SELECTOR, key)]


def _with_labels(
    informer: Informer[Pod], index: str, namespace: str, labels: Mapping[str, str]
) -> list[Pod]:
    keys = [_filed(namespace, *pair) for pair in labels.items()]
    rarest = min(keys, key=lambda key: informer.count(index, key), default=None)
    fewest = [] if rarest is None else informer.by_index(index, rarest)
    return [pod for pod in fewest if labels.items() <= pod.metadata.labels.items()]


def _filed(namespace: str, key: str, value: str) -> str:
    return f"{namespace}/{key}={value}"


def _free(namespace: str) -> str:
    return f"free/{namespace}"


def _by_label(pod: Pod) -> list[str]:
    namespace = pod.metadata.namespace
    return [_filed(namespace, key, value) for key, value in pod.metadata.labels.items()]


def _by_controller(one: ApiStruct) -> list[str]:
    owner = objects.controller_of(one)
    return [owner.uid if owner is not None else _free(objects.meta(one).namespace)]


def _one_pair(namespace: str, pairs: Mapping[str, str]) -> list[str]:
    return [_filed(namespace, *min(pairs.items()))] if pairs else []
