"""Jobs and CronJobs as kubectl shows them, waits for them, and ends them."""

from __future__ import annotations

from tests.integration.kubectl.conftest import Kubectl
from tests.patience import wait_until

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: sums}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  template:
    metadata: {labels: {app: sums}}
    spec:
      restartPolicy: Never
      containers: [{name: adder, image: adder:1}]
"""


def pods(kubectl: Kubectl) -> list[str]:
    return kubectl("get", "pods", "-l", "job-name=sums", "-o", "name").split()


def test_a_job_is_shown(kubectl: Kubectl) -> None:
    assert kubectl.apply(JOB) == "job.batch/sums created\n"
    assert kubectl.apply(JOB) == "job.batch/sums unchanged\n"
    wait_until(lambda: kubectl.path("job/sums", "{.status.active}") == "2")
    head, row = kubectl.lines("get", "jobs", "-o", "wide")
    assert head == [
        *("NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE", "CONTAINERS", "IMAGES", "SELECTOR")
    ]
    assert row[:3] == ["sums", "Running", "0/3"]
    assert row[-3:-1] == ["adder", "adder:1"]
    uid = kubectl.path("job/sums", "{.metadata.uid}")
    assert row[-1] == f"batch.kubernetes.io/controller-uid={uid}"
    lines = ("Parallelism:", "Completions:", "Pods Statuses:", "Created pod: sums-")

    def told() -> bool:
        described = kubectl("describe", "job", "sums")
        return all(line in described for line in lines)

    wait_until(told)
    assert kubectl("get", "all", "-o", "name").split().count("job.batch/sums") == 1


def test_a_job_that_says_nothing_of_restarts_is_refused(kubectl: Kubectl) -> None:
    wrong = JOB.replace("restartPolicy: Never", "restartPolicy: Always")
    said = kubectl("apply", "-f", "-", input=wrong, fails=True)
    assert (
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        in said
    )
    kubectl.apply(JOB)
    other = JOB.replace("adder:1", "adder:2")
    said = kubectl("apply", "-f", "-", input=other, fails=True)
    assert "field is immutable" in said


def test_pods_go_with_their_job_unless_they_are_to_stay(kubectl: Kubectl) -> None:
    kubectl.apply(JOB)
    wait_until(lambda: len(pods(kubectl)) == 2)
    cascade = "--cascade=orphan" if kubectl.version >= (1, 20) else "--cascade=false"
    assert "deleted" in kubectl("delete", "job", "sums", cascade)
    left = pods(kubectl)
    assert len(left) == 2
    kubectl("delete", *left, "--force", "--grace-period=0")
    kubectl.apply(JOB)
    wait_until(lambda: len(pods(kubectl)) == 2)
    kubectl("delete", "job", "sums")
    wait_until(lambda: not pods(kubectl))


def test_a_cron_job_is_shown(kubectl: Kubectl) -> None:
    kubectl.apply(
        """
        apiVersion: batch/v1
        kind: CronJob
        metadata: {name: nightly}
        spec:
          schedule: 30 2 * * 1-5
          timeZone: Europe/Berlin
          suspend: true
          jobTemplate:
            spec:
              template:
                spec:
                  restartPolicy: OnFailure
                  containers: [{name: adder, image: adder:1}]
        """
    )
    head, row = kubectl.lines("get", "cj")
    assert head[:5] == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE"]
    assert row[:9] == ["nightly", "30", "2", "*", "*", "1-5", "Europe/Berlin", "True", "0"]
    assert row[9] == "<none>"
    if kubectl.version >= (1, 21):
        told = kubectl("describe", "cronjob", "nightly")
        assert "30 2 * * 1-5" in told and "Concurrency Policy:" in told
    assert "the schedule" in kubectl("explain", "cronjob.spec.timeZone").lower()
