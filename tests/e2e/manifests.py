"""Pods and what stands around them, as short as tests want to write them."""

from typing import Any

BUSYBOX = "podwright/busybox:1"

WHO = r"""
mkdir -p /www/cgi-bin
cat > /www/cgi-bin/who <<'END'
#!/bin/sh
echo "Content-Type: text/plain"
echo
echo "$(hostname) $REMOTE_ADDR"
END
chmod +x /www/cgi-bin/who
trap 'kill $pid' TERM
httpd -f -p 8080 -h /www & pid=$!
wait $pid
"""
"""A web server whose `/cgi-bin/who` answers with its hostname and the address it was asked from."""


def container(script: str = "sleep 100000 & wait", **more: Any) -> dict[str, Any]:
    """A busybox container that runs a shell script and ends at TERM."""
    guarded = f"trap 'exit 143' TERM\n{script}" if "trap" not in script else script
    return {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", guarded], **more}


def pod(
    name: str, *containers: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {
            "containers": list(containers) or [container()],
            "terminationGracePeriodSeconds": 2,
            **spec,
        },
    }


def web_container(**more: Any) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/cgi-bin/who", "port": 8080}, "periodSeconds": 1}
    return {
        "name": "web",
        "image": BUSYBOX,
        "command": ["sh", "-c", WHO],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": probe,
        **more,
    }


def deployment(
    name: str, replicas: int, web: dict[str, Any] | None = None, **template: Any
) -> dict[str, Any]:
    spec = {
        "containers": [web or web_container()],
        "terminationGracePeriodSeconds": 5,
        **template,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def service(name: str, app: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app or name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            **spec,
        },
    }


def tolerates_loss(seconds: int) -> list[dict[str, Any]]:
    """Tolerations under which pods of a lost node are replaced after so many seconds."""
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    ]
