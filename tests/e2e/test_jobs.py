"""Jobs and CronJobs with real pods: what they print, how they fail, what is left of them."""

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Kubectl
from tests.e2e.manifests import container

Eventually = Callable[..., Any]


def job(name: str, script: str, *, restart: str = "Never", **spec: Any) -> dict[str, Any]:
    pod = {
        "restartPolicy": restart,
        "containers": [container(script)],
        "terminationGracePeriodSeconds": 2,
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


def wait(kubectl: Kubectl, name: str, condition: str) -> dict[str, Any]:
    """The Job's status once it is over."""
    kubectl("wait", f"--for=condition={condition}", f"job/{name}", "--timeout=90s", timeout=100)
    found: dict[str, Any] = kubectl.json("get", "job", name)["status"]
    return found


def reason(status: dict[str, Any]) -> str:
    found: str = status["conditions"][-1]["reason"]
    return found


def test_each_index_does_its_part(kubectl: Kubectl, eventually: Eventually) -> None:
    script = "echo $JOB_COMPLETION_INDEX on $(hostname)"
    kubectl.apply(job("sums", script, completions=4, parallelism=2, completionMode="Indexed"))
    status = wait(kubectl, "sums", "Complete")
    assert (status["succeeded"], status["completedIndexes"]) == (4, "0-3")
    said = kubectl("logs", "-l", "app=sums", "--tail=-1").splitlines()
    assert sorted(said) == [f"{number} on sums-{number}" for number in range(4)]
    shown = kubectl("get", "pods", "-l", "batch.kubernetes.io/job-name=sums").splitlines()[1:]
    assert all(line.split()[1:3] == ["0/1", "Completed"] for line in shown)
    row = kubectl("get", "job", "sums").splitlines()[1].split()
    assert row[:3] == ["sums", "Complete", "4/4"]
    eventually(lambda: "Job completed" in kubectl("describe", "job", "sums"))
    kubectl("delete", "job", "sums")
    eventually(lambda: not kubectl.json("get", "pods")["items"])


def test_failures_are_counted_and_exit_codes_judged(kubectl: Kubectl) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    kubectl.apply(job("never", "exit 3", backoffLimit=1))
    kubectl.apply(job("in-place", "exit 3", restart="OnFailure", backoffLimit=1))
    kubectl.apply(job("at-once", "exit 42", podFailurePolicy={"rules": [rule]}))
    at_once = wait(kubectl, "at-once", "Failed")
    assert (reason(at_once), at_once["failed"]) == ("PodFailurePolicy", 1)
    assert "failed with exit code 42 matching FailJob rule" in at_once["conditions"][-1]["message"]
    assert reason(wait(kubectl, "in-place", "Failed")) == "BackoffLimitExceeded"
    never = wait(kubectl, "never", "Failed")
    assert (reason(never), never["failed"]) == ("BackoffLimitExceeded", 2)
    left = kubectl.json("get", "pods", "-l", "app=never")["items"]
    assert [pod["status"]["phase"] for pod in left] == ["Failed", "Failed"]


def test_a_deadline_ends_running_pods(kubectl: Kubectl, eventually: Eventually) -> None:
    kubectl.apply(job("slow", "sleep 1000 & wait", activeDeadlineSeconds=3, parallelism=2))
    status = wait(kubectl, "slow", "Failed")
    assert (reason(status), status.get("active", 0)) == ("DeadlineExceeded", 0)
    eventually(lambda: not kubectl.json("get", "pods", "-l", "app=slow")["items"])


def test_a_deleted_pod_is_replaced_when_it_has_ended(
    kubectl: Kubectl, eventually: Eventually
) -> None:
    """With the replacement policy Failed there are never two at a time."""
    script = "trap 'sleep 1; exit 7' TERM; sleep 1000 & wait"
    kubectl.apply(job("single", script, podReplacementPolicy="Failed"))

    def running() -> Any:
        found = kubectl.json("get", "pods", "-l", "app=single")["items"]
        return [one for one in found if one["status"]["phase"] == "Running"]

    (first,) = eventually(running)
    kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
    most = 0

    def replaced() -> bool:
        nonlocal most
        names = [one["metadata"]["name"] for one in running()]
        most = max(most, len(names))
        return bool(names) and first["metadata"]["name"] not in names

    eventually(replaced)
    assert most == 1
    status = kubectl.json("get", "job", "single")["status"]
    assert (status["failed"], status["active"]) == (1, 1)


def test_a_cron_job_and_a_job_made_from_it(kubectl: Kubectl, eventually: Eventually) -> None:
    command = ("--image=podwright/busybox:1", "--schedule=* * * * *", "--", "echo", "tick")
    kubectl("create", "cronjob", "clock", *command)
    kubectl("create", "job", "now", "--from=cronjob/clock")
    wait(kubectl, "now", "Complete")
    assert kubectl("logs", "job/now") == "tick\n"

    def made() -> Any:
        jobs = kubectl.json("get", "jobs")["items"]
        return [one for one in jobs if one["metadata"]["name"].startswith("clock-")]

    (first, *_) = eventually(made, 150)
    wait(kubectl, first["metadata"]["name"], "Complete")
    found = kubectl.json("get", "cronjob", "clock")["status"]
    assert found["lastScheduleTime"].endswith(":00Z")
    eventually(lambda: "lastSuccessfulTime" in kubectl.json("get", "cronjob", "clock")["status"])
