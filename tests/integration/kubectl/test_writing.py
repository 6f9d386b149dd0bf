"""apply, create, edit, patch, label, scale, delete and the like, in every version of kubectl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.kubectl.conftest import MANIFEST, Kubectl

REPLICAS = "{.spec.replicas}"
IMAGE = "{.spec.template.spec.containers[0].image}"


def test_apply_creates_changes_and_leaves_alone(kubectl: Kubectl) -> None:
    assert kubectl.apply(MANIFEST).splitlines() == [
        "configmap/settings created",
        "deployment.apps/web created",
        "service/web created",
    ]
    assert kubectl.apply(MANIFEST).count("unchanged") == 3
    kubectl("scale", "deploy/web", "--replicas=5")
    without = MANIFEST.replace("  replicas: 2\n", "").replace("colour: red", "shade: red")
    without = without.replace("web:1", "web:2").replace("  labels: {app: web}\n", "", 1)
    assert "deployment.apps/web configured" in kubectl.apply(without)
    found = kubectl.json("cm/settings")
    assert found["data"] == {"shade": "red"} and "labels" not in found["metadata"]
    assert kubectl.path("deploy/web", IMAGE) == "web:2"


def test_apply_keeps_what_others_set(web: Kubectl) -> None:
    web("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"size":"big"}}')
    web("set", "env", "deploy/web", "LEVEL=debug")
    web.apply(MANIFEST.replace("red", "green").replace("web:1", "web:2"))
    assert web.json("cm/settings")["data"] == {"colour": "green", "size": "big"}
    (container,) = web.json("deploy/web")["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == (
        "web:2",
        [{"name": "LEVEL", "value": "debug"}],
    )


def test_apply_remembers_what_was_applied(web: Kubectl) -> None:
    last = json.loads(web("apply", "view-last-applied", "cm/settings", "-o", "json"))
    assert last["data"] == {"colour": "red"}
    web.apply(MANIFEST.replace("red", "green"))
    assert '"green"' in web("apply", "view-last-applied", "cm/settings", "-o", "json")


def test_apply_prunes_what_is_no_longer_in_the_file(kubectl: Kubectl) -> None:
    two = "\n---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: mine}}}}"
        for name in ("one", "two")
    )
    kubectl.apply(two)
    allowed = ("--prune", "-l", "set=mine", "--prune-whitelist=core/v1/ConfigMap")
    if kubectl.version >= (1, 26):
        allowed = ("--prune", "-l", "set=mine", "--prune-allowlist=core/v1/ConfigMap")
    printed = kubectl.apply(two.partition("\n---\n")[0], *allowed)
    assert "configmap/two pruned" in printed
    assert kubectl("get", "cm", "-l", "set=mine", "-o", "name") == "configmap/one\n"


def test_apply_on_the_server(kubectl: Kubectl) -> None:
    assert "serverside-applied" in kubectl.apply(MANIFEST, "--server-side")
    assert "serverside-applied" in kubectl.apply(MANIFEST, "--server-side")
    kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"colour":"blue"}}')
    done = kubectl.run("apply", "-f", "-", "--server-side", input=MANIFEST)
    assert done.returncode != 0
    assert "conflict" in done.stderr and ".data.colour" in done.stderr
    kubectl.apply(MANIFEST, "--server-side", "--force-conflicts")
    assert kubectl.path("cm/settings", "{.data.colour}") == "red"
    kubectl.apply(MANIFEST.replace("  labels: {app: web}\n", "", 1), "--server-side")
    assert "labels" not in kubectl.json("cm/settings")["metadata"]


def test_what_was_applied_here_goes_on_on_the_server(web: Kubectl) -> None:
    changed = MANIFEST.replace("colour: red", "shade: dark")
    web.apply(changed, "--server-side", "--force-conflicts")
    if web.version >= (1, 26):  # from then on kubectl hands its fields over
        assert web.json("cm/settings")["data"] == {"shade": "dark"}
    else:
        assert web.json("cm/settings")["data"]["shade"] == "dark"


def test_dry_runs_store_nothing(kubectl: Kubectl) -> None:
    printed = kubectl.apply(MANIFEST, "--dry-run=server")
    assert "configmap/settings created (server dry run)" in printed
    assert "(dry run)" in kubectl.apply(MANIFEST, "--dry-run=client")
    made = kubectl("create", "configmap", "c", "--dry-run=server", "-o", "json")
    assert json.loads(made)["metadata"]["uid"]
    assert kubectl("get", "cm,deploy", "-o", "name").split() in (
        [],
        ["configmap/kube-root-ca.crt"],
    )


def test_create_and_replace(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=MANIFEST)
    assert "already exists" in kubectl("create", "-f", "-", input=MANIFEST, fails=True)
    kubectl("replace", "-f", "-", input=MANIFEST.replace("red", "green"))
    assert kubectl.path("cm/settings", "{.data.colour}") == "green"
    before = kubectl.path("cm/settings", "{.metadata.uid}")
    forced = ("--force", "--grace-period=0")
    kubectl("replace", *forced, "-f", "-", input=MANIFEST.split("---")[0])
    assert kubectl.path("cm/settings", "{.metadata.uid}") != before
    missing = MANIFEST.split("---")[0].replace("settings", "missing")
    assert "not found" in kubectl("replace", "-f", "-", input=missing, fails=True)


def test_edit(web: Kubectl) -> None:
    printed = web("edit", "cm", "settings", KUBE_EDITOR="sed -i s/red/blue/")
    assert printed == "configmap/settings edited\n"
    assert web.path("cm/settings", "{.data.colour}") == "blue"
    assert "cancelled" in web.run("edit", "cm", "settings", KUBE_EDITOR="true").stderr
    wrong = web.run("edit", "deploy", "web", KUBE_EDITOR="sed -i 's/replicas: 2/replicas: -1/'")
    assert wrong.returncode != 0 and "is invalid" in wrong.stderr


@pytest.mark.parametrize(
    ("kind", "body", "path", "value"),
    [
        ("merge", '{"data":{"colour":null,"size":"big"}}', "{.data}", '{"size":"big"}'),
        (
            "json",
            '[{"op":"replace","path":"/data/colour","value":"blue"}]',
            "{.data.colour}",
            "blue",
        ),
        ("strategic", '{"metadata":{"labels":{"tier":"x"}}}', "{.metadata.labels.app}", "web"),
    ],
)
def test_patch(web: Kubectl, kind: str, body: str, path: str, value: str) -> None:
    assert "configmap/settings patched" in web(
        "patch", "cm", "settings", f"--type={kind}", "-p", body
    )
    assert web.path("cm/settings", path) == value
    assert (
        "no change" in web("patch", "cm", "settings", f"--type={kind}", "-p", body)
        or kind == "json"
    )


LISTS = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
DELETED = '{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}'


def test_a_strategic_patch_merges_lists_as_kubectl_itself_does(
    web: Kubectl, tmp_path: Path
) -> None:
    for body in (json.dumps(LISTS), DELETED):
        (tmp_path / "before").write_text(web("get", "deploy", "web", "-o", "json"))
        here = ("patch", "--local", "-f", str(tmp_path / "before"), "-o", "json", "-p", body)
        expected = json.loads(web(*here))["spec"]
        web("patch", "deploy", "web", "-p", body)
        found = web.json("deploy/web")["spec"]
        filled_in = found["template"]["spec"]["containers"]
        names = [container["name"] for container in filled_in]
        assert names == [one["name"] for one in expected["template"]["spec"]["containers"]]
        assert found["selector"] == expected["selector"]


def test_labels_and_annotations(web: Kubectl) -> None:
    web("label", "cm", "settings", "tier=front")
    assert "already has a value" in web("label", "cm", "settings", "tier=back", fails=True)
    web("label", "cm", "settings", "tier=back", "--overwrite")
    web("annotate", "cm", "settings", "note=hello there")
    web("annotate", "cm", "--all", "seen=yes")
    metadata = web.json("cm/settings")["metadata"]
    assert metadata["labels"] == {"app": "web", "tier": "back"}
    assert metadata["annotations"]["note"] == "hello there"
    assert metadata["annotations"]["seen"] == "yes"
    web("label", "cm", "settings", "tier-")
    web("annotate", "cm", "settings", "note-")
    assert web.json("cm/settings")["metadata"]["labels"] == {"app": "web"}
    assert "invalid label value" in web("label", "cm", "settings", "a=-", fails=True)


def test_scale(web: Kubectl) -> None:
    assert web("scale", "deploy/web", "--replicas=5") == "deployment.apps/web scaled\n"
    assert web.path("deploy/web", REPLICAS) == "5"
    said = web("scale", "deploy/web", "--current-replicas=2", "--replicas=1", fails=True)
    assert "xpected replicas" in said
    web("scale", "--replicas=0", "deploy", "--all")
    assert web.path("deploy/web", REPLICAS) == "0"


def test_set(web: Kubectl) -> None:
    web("set", "image", "deploy/web", "web=web:4")
    web("set", "env", "deploy/web", "A=1", "B=2")
    web("set", "env", "deploy/web", "A-")
    web("set", "resources", "deploy/web", "--limits=cpu=200m,memory=64Mi")
    web("set", "serviceaccount", "deploy/web", "robot")
    web("set", "selector", "svc/web", "app=other")
    template = web.json("deploy/web")["spec"]["template"]["spec"]
    (container,) = template["containers"]
    assert container["image"] == "web:4"
    assert container["env"] == [{"name": "B", "value": "2"}]
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "64Mi"}
    assert template["serviceAccountName"] == "robot"
    assert web.json("svc/web")["spec"]["selector"] == {"app": "other"}


def test_delete_in_every_way(web_with_pods: Kubectl) -> None:
    web = web_with_pods
    assert 'configmap "settings" deleted' in web("delete", "cm", "settings")
    assert "not found" in web("delete", "cm", "settings", fails=True)
    web("delete", "cm", "settings", "--ignore-not-found")
    web("delete", "deploy", "web", "--cascade=orphan")
    assert web("get", "rs", "-o", "name").startswith("replicaset.apps/web-")
    web("delete", "rs", "-l", "app=web", "--cascade=foreground")
    web("delete", "-f", "-", "--ignore-not-found", input=MANIFEST)
    web("run", "p", "--image=i")
    web("delete", "pod", "p", "--now")
    web("run", "p", "--image=i")
    web("delete", "pod", "p", "--force", "--grace-period=0")
    assert 'pods "p" not found' in web("get", "pod", "p", fails=True)
    web("delete", "pods,svc,cm", "--all")
    assert web("get", "po,svc", "-o", "name") == ""


def test_mistakes_name_the_field(kubectl: Kubectl) -> None:
    wrong = MANIFEST.replace("image: web:1", "imagee: web:1")
    said = kubectl("create", "-f", "-", input=wrong, fails=True)
    assert "imagee" in said and "nknown field" in said
    wrong = MANIFEST.replace("containerPort: 8080", "containerPort: 80800")
    said = kubectl("apply", "-f", "-", input=wrong, fails=True)
    assert "spec.template.spec.containers[0].ports[0].containerPort" in said
    modern = MANIFEST.replace("apps/v1", "extensions/v1beta1")
    assert "apps/v1" in kubectl("apply", "-f", "-", input=modern, fails=True)


def test_kustomize(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(MANIFEST)
    (tmp_path / "kustomization.yaml").write_text("resources: [base.yaml]\nnamePrefix: my-\n")
    kubectl("apply", "-k", str(tmp_path))
    assert kubectl.path("cm/my-settings", "{.data.colour}") == "red"
