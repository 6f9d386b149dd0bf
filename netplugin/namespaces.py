"""Network namespaces: making them, entering them, and joining them with cables.

The attachment of a pod runs a few netlink messages inside the pod's namespace through `run_inside`;
local clusters and tests build whole networks of machines from the other functions.

A namespace is given as a name (`/run/netns/NAME`, as `ip netns` keeps them), a path, a pid whose
namespace is meant, or None for the one of the calling thread.

Concurrency: `run_inside` starts a thread, moves that thread alone into the namespace with setns(2),
and waits for it; the caller's thread never leaves its own namespace, so no error can strand it
there. Programs started by the function run inside the namespace too. All functions here block for
about a millisecond and may be called from any thread; an event loop calls them in a thread.

Invariant: every function is safe to run again after a killed attempt.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from base.errors import PermanentError
from netplugin.netlink import Link, Netlink

T = TypeVar("T")
Namespace = str | Path | int | None

NAMESPACES = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def namespace_path(namespace: Namespace) -> Path:
    """The file that stands for a namespace."""
    match namespace:
        case None:
            return Path("/proc/thread-self/ns/net")
        case int():
            return Path(f"/proc/{namespace}/ns/net")
        case Path():
            return namespace
        case str() if "/" in namespace:
            return Path(namespace)
        case str():
            return NAMESPACES / namespace


@contextmanager
def open_namespace(namespace: Namespace) -> Iterator[int]:
    """A file descriptor that holds the namespace."""
    path = namespace_path(namespace)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise PermanentError(
            f"cannot open network namespace {path}: {error.strerror}",
            hint="Its process or `ip netns` name is gone.",
        ) from error
    try:
        yield handle
    finally:
        os.close(handle)


def enter(namespace: Namespace) -> None:
    """Move the calling thread into the namespace for good. Meant for threads with that one purpose."""
    with open_namespace(namespace) as handle:
        if _libc.setns(handle, _CLONE_NEWNET) != 0:
            raise _os_error(f"cannot enter network namespace {namespace_path(namespace)}")


def run_inside(namespace: Namespace, function: Callable[[], T]) -> T:
    """Call `function` in a thread of its own inside the namespace; its result or error comes back."""
    if namespace is None:
        return function()

    def body() -> T:
        enter(namespace)
        return function()

    return _in_thread(body)


def create_namespace(name: str) -> Path:
    """Ensure a namespace with its loopback up. The file is a mount, so it outlives every process."""
    path = NAMESPACES / name
    _prepare_directory()
    if not _is_namespace(path):  # absent, or the empty file of an attempt killed before the mount
        path.touch()

        def body() -> None:
            if _libc.unshare(_CLONE_NEWNET) != 0:
                raise _os_error("cannot make a network namespace")
            _mount("/proc/thread-self/ns/net", path, _MS_BIND)

        _in_thread(body)
    set_up(name, "lo")
    return path


def delete_namespace(name: str) -> None:
    """Forget the namespace; the kernel ends it when no process is left in it."""
    path = NAMESPACES / name
    if not path.exists():
        return
    while _is_namespace(path):
        if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
            raise _os_error(f"cannot unmount {path}")
    path.unlink(missing_ok=True)


def namespace_exists(name: str) -> bool:
    return _is_namespace(NAMESPACES / name)


def namespaces() -> list[str]:
    """The names of all that exist."""
    if not NAMESPACES.is_dir():
        return []
    return sorted(path.name for path in NAMESPACES.iterdir() if _is_namespace(path))


# -- links and routes inside a namespace ---------------------------------------------------------


def create_bridge(namespace: Namespace, name: str) -> None:
    """Ensure a bridge: the switch of a network of namespaces."""

    def body() -> None:
        with Netlink() as netlink:
            found = netlink.find(name) or netlink.add_bridge(name)
            netlink.set_link(found.index, up=True)

    run_inside(namespace, body)


def connect(
    namespace_a: Namespace,
    link_a: str,
    namespace_b: Namespace,
    link_b: str,
    *,
    bridge: str = "",
    mtu: int = 0,
) -> None:
    """Ensure a cable: a veth pair with one end in each namespace, both up. With `bridge`, end b is
    plugged into that bridge of namespace b. A cable with only one of the two ends right is remade."""

    def body() -> None:
        with Netlink() as netlink, open_namespace(namespace_a) as far:
            port = netlink.find(link_b)
            if port is not None and not _joined(port, namespace_a, link_a):
                netlink.delete_link(link_b)
                port = None
            if port is None:
                netlink.add_veth(link_b, peer_name=link_a, peer_namespace=far, mtu=mtu)
                port = netlink.link(link_b)
            master = netlink.link(bridge).index if bridge else None
            netlink.set_link(port.index, master=master, up=True)

    run_inside(namespace_b, body)
    set_up(namespace_a, link_a)


def _joined(port: Link, namespace: Namespace, name: str) -> bool:
    def body() -> bool:
        with Netlink() as netlink:
            end = netlink.find(name)
            return end is not None and end.kind == "veth" and end.index == port.peer

    return port.kind == "veth" and run_inside(namespace, body)


def delete_link(namespace: Namespace, name: str) -> bool:
    """True when there was one."""
    return _with_netlink(namespace, lambda netlink: netlink.delete_link(name))


def move_link(namespace: Namespace, name: str, target: Namespace) -> None:
    """Move a link of `namespace` to another one."""

    def body() -> None:
        with Netlink() as netlink, open_namespace(target) as handle:
            netlink.move_link(netlink.link(name).index, handle)

    run_inside(namespace, body)


def set_address(namespace: Namespace, name: str, address: IPv4Interface | str) -> None:
    """Ensure the address on the link, for example `192.0.2.1/24`."""
    _with_netlink(
        namespace,
        lambda netlink: netlink.ensure_address(netlink.link(name).index, IPv4Interface(address)),
    )


def set_up(namespace: Namespace, name: str) -> None:
    _with_netlink(namespace, lambda netlink: netlink.set_link(netlink.link(name).index, up=True))


def set_down(namespace: Namespace, name: str) -> None:
    """Cut the cable: both ends lose their carrier."""
    _with_netlink(namespace, lambda netlink: netlink.set_link(netlink.link(name).index, up=False))


def link_is_up(namespace: Namespace, name: str) -> bool:
    """False when the link is down or not there."""

    def body(netlink: Netlink) -> bool:
        found = netlink.find(name)
        return found is not None and found.up

    return _with_netlink(namespace, body)


def add_route(
    namespace: Namespace,
    destination: IPv4Network | str,
    *,
    gateway: IPv4Address | str | None = None,
    link: str = "",
) -> None:
    """Ensure a route by gateway, by link or both; destination `default` is everything."""
    network = IPv4Network("0.0.0.0/0" if destination == "default" else destination)

    def body(netlink: Netlink) -> None:
        via = None if gateway is None else IPv4Address(gateway)
        if link:
            index = netlink.link(link).index
        else:
            way = None if via is None else netlink.route_to(via)
            if way is None:
                raise PermanentError(f"no link leads to the gateway {gateway} of {destination}")
            index = way.link
        netlink.ensure_route(network, link=index, gateway=via, protocol=4)  # RTPROT_STATIC

    _with_netlink(namespace, body)


def _with_netlink(namespace: Namespace, function: Callable[[Netlink], T]) -> T:
    def body() -> T:
        with Netlink() as netlink:
            return function(netlink)

    return run_inside(namespace, body)


# -- system calls --------------------------------------------------------------------------------


def _in_thread(body: Callable[[], T]) -> T:
    result: list[T] = []
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            result.append(body())
        except BaseException as error:  # noqa: BLE001 (carried over to the caller, not swallowed)
            failure.append(error)

    thread = threading.Thread(target=guarded, name="namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _is_namespace(path: Path) -> bool:
    # A mounted namespace lives on the kernel's nsfs, not on the file system of its directory.
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def _prepare_directory() -> None:
    """A directory of mounts that every mount namespace sees, exactly as `ip netns add` makes it."""
    NAMESPACES.mkdir(parents=True, exist_ok=True)
    try:
        _mount(None, NAMESPACES, _MS_SHARED | _MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: not a mount point yet
            raise
        _mount(NAMESPACES, NAMESPACES, _MS_BIND | _MS_REC)
        _mount(None, NAMESPACES, _MS_SHARED | _MS_REC)


def _mount(source: str | Path | None, target: Path, flags: int) -> None:
    origin = b"none" if source is None else os.fsencode(source)
    if _libc.mount(origin, os.fsencode(target), b"none", flags, None) != 0:
        raise _os_error(f"cannot mount {target}")


def _os_error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")
