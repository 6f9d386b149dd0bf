"""AppArmor profiles of the node's own (step 5 of the pod's walk): whether the kernel has one.

The engine creates a container whose profile nobody loaded and fails to start it, without a name in what it
says. Kubernetes' runtimes refuse to create it and go on asking, so that it starts once the profile is there
("Restrict a Container's Access to Resources with AppArmor" in Kubernetes' documentation).
"""

from __future__ import annotations

from pathlib import Path

from api.core import Container, Pod, PodSecurityContext, SecurityContext

PROFILES = Path("/sys/kernel/security/apparmor/profiles")


def localhost_profile(pod: Pod, container: Container) -> str | None:
    """The profile of the node that a container asks for."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    profile = own.app_armor_profile or shared.app_armor_profile
    if profile is None or profile.type != "Localhost":
        return None
    return profile.localhost_profile or None


def unloaded(profile: str, profiles: Path | None = None) -> bool:
    """Whether the kernel says that it has no such profile; false where it cannot be asked."""
    try:
        lines = (profiles or PROFILES).read_text().splitlines()
    except OSError:
        return False
    return profile not in {line.rpartition(" (")[0] for line in lines}
