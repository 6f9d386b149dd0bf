"""The file systems of the test machine, made from Debian's packages and this checkout.

    root.ext4   systemd, kernel, Docker, Python: made once per recipe (mmdebstrap, about two minutes)
    venv.ext4   this checkout's Python environment: made anew when its packages change
    tree.ext4   the checkout itself and `guest.sh`: made for every run, in seconds

All are filled by mke2fs, so nothing is mounted on the host. Kept below $PODWRIGHT_TEST_VM; only one run at a
time may make them, which a lock sees to.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.errors import PermanentError
from base.process import run

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
CACHE = Path(os.environ.get("PODWRIGHT_TEST_VM", "/var/cache/podwright-test-vm"))
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}
PACKAGES = (
    "linux-image-cloud-amd64",
    "systemd-sysv",
    "dbus",
    "docker.io",
    "iptables",
    "iproute2",
    "python3",
    "busybox-static",
    "apparmor",
    "kubernetes-client",
    "nfs-common",
    "nfs-kernel-server",
    "procps",
    "kmod",
)
UNIT = """\
[Unit]
Description=Tests of podwright
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mount LABEL=tree /mnt && exec bash /mnt/guest.sh'
TimeoutStartSec=infinity
ExecStopPost=/bin/systemctl poweroff --no-block

[Install]
WantedBy=graphical.target
"""
"""Not wanted by multi-user.target, which it waits for."""
IGNORED = shutil.ignore_patterns(".git", ".venv", ".vagrant", ".*_cache", ".hypothesis")
COPIED_SIZE = "3G"
BUILD_TIMEOUT = 1800.0


@dataclass(frozen=True, kw_only=True)
class Images:
    """What a test machine boots from."""

    kernel: Path
    initrd: Path
    root: Path
    venv: Path
    tree: Path


def missing() -> str:
    """Why no test machine can be made here; empty when one can."""
    if platform.machine() != "x86_64":
        return "the test machine is an x86_64 one"
    if os.geteuid() != 0:
        return "needs root"
    absent = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if absent:
        return f"needs Debian's packages {', '.join(absent)}"
    if Path(sys._base_executable).resolve().parent != Path("/usr/bin") or not release():  # type: ignore[attr-defined]
        return "needs an environment made with Debian's own Python"
    return ""


def release() -> str:
    """The name of this machine's Debian release; empty on other systems."""
    told = platform.freedesktop_os_release()
    return told.get("VERSION_CODENAME", "") if told.get("ID") == "debian" else ""


def images(run_directory: Path, script: str) -> Images:
    """All of them: made if they are not there yet, the tree of this moment in the run's directory."""
    if reason := missing():
        raise PermanentError(f"no test machine: {reason}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root, venv = _root(), _venv()
    tree = run_directory / "tree.ext4"
    _tree(tree, run_directory / "tree", script)
    return Images(
        kernel=root / "vmlinuz",
        initrd=root / "initrd.img",
        root=root / "root.ext4",
        venv=venv,
        tree=tree,
    )


def _root() -> Path:
    recipe = "\n".join((release(), *PACKAGES, UNIT))
    made = CACHE / f"root-{_key(recipe)}"
    if made.is_dir():
        return made
    _say(f"making a root file system of Debian {release()}; this takes some minutes, once")
    for old in CACHE.glob("root-*"):
        shutil.rmtree(old)
    partial = CACHE / "root-unfinished"
    files = partial / "files"
    files.mkdir(parents=True)
    unit = partial / "podwright-tests.service"
    unit.write_text(UNIT)
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            f"--customize-hook=copy-in {unit} /etc/systemd/system",
            '--customize-hook=chroot "$1" systemctl enable podwright-tests.service',
            # Tests start engines of their own; the machine's is for those that ask for it.
            '--customize-hook=chroot "$1" systemctl disable docker containerd nfs-server',
            '--customize-hook=chroot "$1" systemctl set-default graphical.target',
            '--customize-hook=echo vm >"$1/etc/hostname"',
            '--customize-hook=echo "127.0.0.1 localhost vm" >"$1/etc/hosts"',
            release(),
            files,
        ],
        timeout=BUILD_TIMEOUT,
    )
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy2((files / name).resolve(), partial / name)
    _fill(partial / "root.ext4", files, label="root", size="8G")
    shutil.rmtree(files)
    partial.rename(made)
    return made


def _venv() -> Path:
    """The environment, by what is installed in it."""
    inside = VENV.resolve()
    installed = sorted(path.name for path in inside.glob("lib/python*/site-packages/*.dist-info"))
    made = CACHE / f"venv-{_key(chr(10).join((str(inside), *installed)))}.ext4"
    if not made.exists():
        for old in CACHE.glob("venv-*.ext4"):
            old.unlink()
        partial = CACHE / "venv-unfinished"
        _fill(partial, inside, label="venv", size=COPIED_SIZE)
        partial.rename(made)
    return made


def _tree(image: Path, folder: Path, script: str) -> None:
    """The checkout, compiled here: a machine that is emulated takes minutes for it."""
    shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=IGNORED)
    compiler = [sys.executable, "-m", "compileall", "-q", str(folder / "tree")]
    subprocess.run(compiler, check=False, capture_output=True)
    (folder / "guest.sh").write_text(script)
    _fill(image, folder, label="tree", size=COPIED_SIZE)
    shutil.rmtree(folder)


def _fill(image: Path, folder: Path, *, label: str, size: str) -> None:
    image.unlink(missing_ok=True)
    options: Sequence[str] = ("-E", "lazy_itable_init=1,root_owner=0:0", "-m", "0", "-L", label)
    run(["mke2fs", "-q", "-t", "ext4", *options, "-d", folder, image, size], timeout=BUILD_TIMEOUT)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _say(text: str) -> None:
    print(f"podwright: {text}", file=sys.stderr, flush=True)
