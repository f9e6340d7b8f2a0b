"""The Kubernetes manifests: parsed, held together by their names, hardened, naming what exists."""

import shutil
import subprocess

import pytest

from tests.deploy.files import (
    KUBERNETES,
    PORT,
    SECRETS,
    image,
    is_command,
    is_route,
    memory,
    read_yaml,
)
from tradefleet.settings import NAMES

FILES = {path.name: read_yaml(path) for path in sorted(KUBERNETES.glob("*.yaml"))}
BY_KIND = {each["kind"]: each for each in FILES.values()}
# Where each kind lives; none of them is a beta.
API = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Namespace": "v1",
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "Deployment": "apps/v1",
    "Service": "v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
}
SPEC = BY_KIND["Deployment"]["spec"]
POD = SPEC["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS = SPEC["template"]["metadata"]["labels"]


def test_each_kind_is_there_once_at_its_version():
    assert {kind: each["apiVersion"] for kind, each in BY_KIND.items()} == API
    assert len(FILES) == len(API)


def test_all_files_are_applied_together():
    others = {name for name in FILES if name != "kustomization.yaml"}
    assert set(FILES["kustomization.yaml"]["resources"]) == others
    assert FILES["kustomization.yaml"]["namespace"] == BY_KIND["Namespace"]["metadata"]["name"]


def test_kubectl_reads_them():
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("NO KUBECTL HERE: what kustomize makes of the manifests was not looked at")
    made = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("namespace: tradefleet\n") == len(API) - 2
    assert "image: registry.example.org/tradefleet:" in made.stdout


def test_whoever_selects_pods_selects_ours():
    assert SPEC["selector"]["matchLabels"] == LABELS
    assert BY_KIND["Service"]["spec"]["selector"] == LABELS
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert BY_KIND[kind]["spec"][key]["matchLabels"] == LABELS


def test_a_request_finds_its_way_to_the_port():
    (rule,) = BY_KIND["Ingress"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    service = BY_KIND["Service"]
    (port,) = service["spec"]["ports"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] == port["name"]
    (inside,) = CONTAINER["ports"]
    assert (port["targetPort"], PORT) == (inside["name"], inside["containerPort"])
    (entrance,) = BY_KIND["NetworkPolicy"]["spec"]["ingress"]
    assert entrance["ports"] == [{"protocol": "TCP", "port": inside["name"]}]
    assert BY_KIND["Ingress"]["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert BY_KIND["ConfigMap"]["data"]["PUBLIC_URL"] == f"https://{rule['host']}"


def test_the_settings_exist():
    named = {each["name"] for each in CONTAINER["env"]}
    assert named | BY_KIND["ConfigMap"]["data"].keys() <= NAMES.keys()
    assert CONTAINER["envFrom"] == [
        {"configMapRef": {"name": BY_KIND["ConfigMap"]["metadata"]["name"]}}
    ]


def test_secrets_are_named_and_not_told():
    assert not BY_KIND["ConfigMap"]["data"].keys() & SECRETS
    assert "Secret" not in BY_KIND
    for each in CONTAINER["env"]:
        assert each.keys() == {"name", "valueFrom"}
        assert each["valueFrom"]["secretKeyRef"]["key"] == each["name"]
    required = {
        each["name"]
        for each in CONTAINER["env"]
        if not each["valueFrom"]["secretKeyRef"].get("optional")
    }
    assert required == {"DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "JWT_SECRET"}


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")],
)
def test_a_probe_asks_a_route_that_exists(probe, path):
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "http"}
    assert is_route(path)


def test_the_command_is_the_programs():
    assert is_command(CONTAINER["command"])


def test_a_pod_is_as_little_as_it_can_be():
    (user,) = (step.rest for step in image().steps if step.word == "USER")
    context = POD["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert POD["enableServiceLinks"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_no_two_processes_can_have_one_name():
    """Leases are held under host name and process id: pods must not share the first."""
    shared = {"hostNetwork", "hostPID", "hostIPC", "hostname", "subdomain"}
    assert POD.keys().isdisjoint(shared)


def test_volumes_that_are_mounted_are_there():
    volumes = {each["name"] for each in POD["volumes"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == volumes
    mounted = {each["mountPath"] for each in CONTAINER["volumeMounts"]}
    backups = BY_KIND["ConfigMap"]["data"]["BACKUP_DIR"]
    assert mounted == {"/var/lib/tradefleet", backups, "/tmp"}
    (claim,) = (v["persistentVolumeClaim"] for v in POD["volumes"] if v["name"] == "backups")
    assert claim["claimName"] == BY_KIND["PersistentVolumeClaim"]["metadata"]["name"]
    assert BY_KIND["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_it_has_the_time_to_stop_and_one_goes_on_meanwhile():
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] >= pause + 10
    assert SPEC["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert SPEC["replicas"] > BY_KIND["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_its_memory_is_more_than_was_measured_and_its_processor_has_no_limit():
    resources = CONTAINER["resources"]
    measured = 161  # MB, with 1,000 bots: tradefleet bench hot-path
    assert measured * 2 < memory(resources["requests"]["memory"])
    assert measured * 6 < memory(resources["limits"]["memory"])
    assert "cpu" not in resources["limits"]


def test_the_schema_is_brought_up_to_date_by_its_owner_before_the_service_starts():
    (migrate,) = POD["initContainers"]
    keys = {each["name"]: each["valueFrom"]["secretKeyRef"]["key"] for each in migrate["env"]}
    assert keys["DATABASE_URL"] == "DATABASE_OWNER_URL"
    assert is_command(migrate["command"])
    assert migrate["image"] == CONTAINER["image"]
    assert migrate["securityContext"] == CONTAINER["securityContext"]
