"""manifests.py FOLDER DIRECTORY VERSION: checks the Kubernetes manifests below FOLDER, writes each ConfigMap's files to DIRECTORY/MAP/."""
import os
import sys

import yaml

folder, target, version = sys.argv[1:]
problems = []
objects = []
for directory, _, names in os.walk(folder):
    for name in sorted(names):
        path = os.path.join(directory, name)
        objects += [(os.path.relpath(path, folder), item) for item in yaml.safe_load_all(open(path, encoding="utf-8"))]
namespaces = {item["metadata"]["name"] for _, item in objects if item["kind"] == "Namespace"}
# By folder and name: another folder may replace a map.
maps = {
    os.path.join(os.path.dirname(file), item["metadata"]["name"]): item["data"]
    for file, item in objects if item["kind"] == "ConfigMap"
}


def check(where, condition, what):
    if not condition:
        problems.append(f"{where}: {what}")


def container(where, item, volumes):
    where = f"{where}, container {item['name']}"
    context = item.get("securityContext", {})
    capabilities = context.get("capabilities", {})
    check(where, context.get("readOnlyRootFilesystem") is True, "its root is not read-only")
    check(where, context.get("allowPrivilegeEscalation") is False, "it may gain privileges")
    check(where, capabilities.get("drop") == ["ALL"], "capabilities are not dropped")
    check(where, set(capabilities.get("add", [])) <= {"NET_ADMIN", "NET_BIND_SERVICE"}, "a capability it does not need")
    check(where, not context.get("privileged"), "it is privileged")
    check(where, "latest" not in item["image"] and ":" in item["image"], "no version of its image")
    if item["name"] == "evpnd":
        check(where, item["image"] == f"localhost/evpnd:{version}", f"the image is not of version {version}")
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            check(where, item.get(probe, {}).get("httpGet", {}).get("path") == path, f"{probe} is not {path}")
    for mount in item.get("volumeMounts", []):
        check(where, mount["name"] in volumes, f"no volume {mount['name']}")


for file, item in objects:
    where = f"{file}: {item['kind']} {item['metadata']['name']}"
    check(where, "apiVersion" in item, "no apiVersion")
    if item["kind"] != "Namespace":
        check(where, item["metadata"].get("namespace") in namespaces, "not in a namespace of these manifests")
    if item["kind"] not in ("Deployment", "DaemonSet"):
        continue
    pod = item["spec"]["template"]
    check(where, item["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"], "its selector misses its pods")
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    for volume in volumes.values():
        if "configMap" in volume:
            name = os.path.join(os.path.dirname(file), volume["configMap"]["name"])
            check(where, name in maps, f"no ConfigMap {name}")
    check(where, pod["spec"].get("automountServiceAccountToken") is False, "a token that nobody needs")
    for one in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        container(where, one, volumes)
    for one in pod["spec"].get("initContainers", []):
        with open(os.path.join(target, f"{one['name']}.command"), "w", encoding="utf-8") as out:
            out.write(one["command"][-1])
for name, data in maps.items():
    os.makedirs(os.path.join(target, name), exist_ok=True)
    for file, text in data.items():
        with open(os.path.join(target, name, file), "w", encoding="utf-8") as out:
            out.write(text)
check(folder, sum(kind in ("Deployment", "DaemonSet") for kind in (item["kind"] for _, item in objects)) >= 3, "too few")
print("\n".join(problems))
sys.exit(bool(problems))
