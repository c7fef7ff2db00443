"""The Helm chart: what comes out is what Kubernetes and dragoman take. Rendered by support/gotemplate.py, and by Helm
where that is installed: both must say the same."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from gotemplate import ChartError, render

import dragoman
from dragoman.gateway.config.config import load

CHART = Path(__file__).parents[2] / "deploy/helm/dragoman"
SECRETS = {
    "DRAGOMAN_DATABASE": "postgresql://u:p@db/n",
    "DRAGOMAN_SECRET": "a secret of sixteen or more",
    "DRAGOMAN_COUNTERS": "redis://:p@r:6379/0",
}
CASES: dict[str, dict[str, Any]] = {
    "as it is": {"secrets": SECRETS},
    "a secret of ours": {"existingSecret": "ours", "replicas": 3},
    "all": {
        "secrets": SECRETS,
        "extraSecrets": {"OPENAI_API_KEY": 'with "quotes" and \\'},
        "image": {"repository": "registry.example/dragoman", "tag": "2"},
        "imagePullSecrets": [{"name": "pull"}],
        "config": 'retired = "refuse"\n\n[providers.openai]\napi_key = "${OPENAI_API_KEY}"\n',
        "serverConfig": "ping_after_s = 4.0\nbody_limit_mb = 8\n",
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls", "annotations": {"a": "b"}},
        "autoscaling": {"enabled": True},
        "files": {"existingClaim": "files"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "podLabels": {"team": "x"},
        "podAnnotations": {"note": "noted"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "serviceAccount": {"annotations": {"role": "r"}},
        "service": {"annotations": {"size": "large"}, "type": "LoadBalancer"},
        "shutdown": {"delaySeconds": 20, "graceSeconds": 300},
        "workers": 4,
    },
    "nothing more than it must be": {
        "existingSecret": "ours",
        "counters": {"shared": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False, "name": "default"},
        "fullnameOverride": "dm",
    },
}

Json = dict[str, Any]


def objects(values: Json) -> dict[str, Json]:
    """What is rendered, by kind."""
    texts = [text for name, text in render(CHART, values).items() if name.endswith(".yaml")]
    found = [each for text in texts if (each := yaml.safe_load(text)) is not None]
    return {each["kind"]: each for each in found}


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest) -> dict[str, Json]:
    return objects(CASES[request.param])


def pod(rendered: dict[str, Json]) -> Json:
    found: Json = rendered["Deployment"]["spec"]["template"]["spec"]
    return found


def test_objects_find_each_other(rendered: dict[str, Json]) -> None:
    deployment = rendered["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        rendered["Service"]["spec"]["selector"],
        pod(rendered)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        *(each["spec"]["selector"]["matchLabels"] for each in [rendered.get("PodDisruptionBudget")] if each),
    ):
        assert selector
        assert selector.items() <= labels
    name = deployment["metadata"]["name"]
    assert rendered["Service"]["metadata"]["name"] == name
    (volume,) = [each for each in pod(rendered)["volumes"] if each["name"] == "config"]
    assert volume["configMap"]["name"] == rendered["ConfigMap"]["metadata"]["name"]
    if "HorizontalPodAutoscaler" in rendered:
        assert rendered["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployment["spec"], "they would fight over it"
    if "Ingress" in rendered:
        (rule,) = rendered["Ingress"]["spec"]["rules"]
        assert rule["http"]["paths"][0]["backend"]["service"] == {"name": name, "port": {"name": "http"}}
    (container,) = pod(rendered)["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod(rendered)["volumes"]}
    secret = container["envFrom"][0]["secretRef"]["name"]
    assert secret == (rendered["Secret"]["metadata"]["name"] if "Secret" in rendered else "ours")
    account = pod(rendered)["serviceAccountName"]
    assert account == (rendered["ServiceAccount"]["metadata"]["name"] if "ServiceAccount" in rendered else "default")


def test_pods_end_gracefully_and_are_probed(rendered: dict[str, Json]) -> None:
    server = tomllib.loads(rendered["ConfigMap"]["data"]["dragoman.toml"])["server"]
    whole = server["shutdown_delay_s"] + server["shutdown_grace_s"]
    assert pod(rendered)["terminationGracePeriodSeconds"] >= whole + 10
    (container,) = pod(rendered)["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    readiness = container["readinessProbe"]
    assert server["shutdown_delay_s"] > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert rendered["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_have_no_rights(rendered: dict[str, Json]) -> None:
    (container,) = pod(rendered)["containers"]
    assert pod(rendered)["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod(rendered)["automountServiceAccountToken"] is False
    assert "p@db" not in str({**rendered, "Secret": None}), "secrets are in the Secret alone"


def test_the_configuration_is_one_that_we_take(rendered: dict[str, Json]) -> None:
    text = rendered["ConfigMap"]["data"]["dragoman.toml"]
    env = {**SECRETS, "OPENAI_API_KEY": "sk-1", "DRAGOMAN_LISTEN": "0.0.0.0:8000"}
    config = load(None, env, text=text)
    assert str(config.server.listen) == "0.0.0.0:8000"
    assert config.server.database == SECRETS["DRAGOMAN_DATABASE"]
    has_files = "/files" in {each["mountPath"] for each in pod(rendered)["containers"][0]["volumeMounts"]}
    assert (config.server.files_folder == "/files", config.server.files_limit_mb > 0) == (has_files, has_files)


def test_what_is_set_arrives() -> None:
    found = objects(CASES["all"])
    server = tomllib.loads(found["ConfigMap"]["data"]["dragoman.toml"])["server"]
    assert server["ping_after_s"] == 4.0
    assert server["workers"] == 4
    assert found["Secret"]["stringData"]["OPENAI_API_KEY"] == 'with "quotes" and \\'
    (container,) = pod(found)["containers"]
    assert container["image"] == "registry.example/dragoman:2"
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    assert pod(found)["terminationGracePeriodSeconds"] == 335


def test_a_changed_configuration_starts_new_pods() -> None:
    def noted(config: str) -> Json:
        values = {"secrets": SECRETS, "config": config}
        return dict(objects(values)["Deployment"]["spec"]["template"]["metadata"]["annotations"])

    one, other = noted('retired = "serve"'), noted('retired = "refuse"')
    assert one["checksum/config"] != other["checksum/config"]
    assert one["checksum/secret"] == other["checksum/secret"]


@pytest.mark.parametrize("missing", SECRETS)
def test_a_secret_that_is_missing_is_told(missing: str) -> None:
    with pytest.raises(ChartError, match=missing):
        objects({"secrets": {**SECRETS, missing: ""}})


def test_the_schema_takes_the_values_and_no_others() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert values.keys() <= schema["properties"].keys()
    for name, given in values.items():
        if isinstance(given, dict) and "properties" in schema["properties"][name]:
            assert given.keys() == schema["properties"][name]["properties"].keys(), name
    for case in CASES.values():
        jsonschema.validate(case, schema)
    for wrong in ({"replica": 2}, {"workers": 0}, {"secrets": {"DRAGOMAN_DATABASE": "sqlite:///a.db"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_templates_use_no_value_that_is_not_listed() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    used = {
        path
        for file in (CHART / "templates").iterdir()
        for path in re.findall(r"\.Values\.([A-Za-z_.]+)", file.read_text())
    }
    for path in used - {"nameOverride", "fullnameOverride"}:
        found = values
        for name in path.split("."):
            assert name in found, path
            found = found[name]


def test_the_version_is_ours() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == dragoman.__version__


@pytest.mark.skipif(shutil.which("helm") is None, reason="Helm is not installed: what it would say is not compared")
@pytest.mark.parametrize("case", CASES)
def test_helm_says_the_same(case: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(CASES[case]))
    command = ["helm", "template", "t", str(CHART), "--values", str(values), "--kube-version", "1.30.0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    by_helm = {each["kind"]: each for each in yaml.safe_load_all(said) if each is not None}
    ours = objects(CASES[case])
    for each in (by_helm, ours):  # hashes of texts in which only spaces may differ
        each["Deployment"]["spec"]["template"]["metadata"].pop("annotations")
    assert by_helm == ours
