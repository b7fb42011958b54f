"""The files of k8s/ as objects, for servers and kubectls of any age.

Kubernetes before 1.21 has PodDisruptionBudgets in policy/v1beta1 only, and its kubectl's kustomize
knows directories as `bases` and patches as `patchesStrategicMerge`: such a kubectl gets a copy of
k8s/ in its own words.
"""
import pathlib
import re
import shutil

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"


def in_old_words(directory):
    shutil.copytree(K8S, directory, dirs_exist_ok=True)
    for file in directory.glob("overlays/*/kustomization.yaml"):
        text = file.read_text()
        text = text.replace("resources:\n- ../../base\n", "bases:\n- ../../base\nresources:\n")
        text = text.replace("resources:\npatches:", "patches:")
        text = re.sub(r"^patches:\n((?:- path: .*\n?)+)", lambda match: "patchesStrategicMerge:\n"
                      + match[1].replace("- path: ", "- "), text, flags=re.MULTILINE)
        file.write_text(text)
    return directory


def render(kubectl, scratch, overlay):
    """Objects of k8s/<overlay>, e.g. "base" or "overlays/dev"."""
    old = kubectl.version() < (1, 21)
    directory = in_old_words(scratch / "k8s") if old else K8S
    text = kubectl("kustomize", directory / overlay)
    if old:
        text = re.sub(r"policy/v1$", "policy/v1beta1", text, flags=re.MULTILINE)
    return objects(text)


def load(file):
    return objects(file.read_text())


def objects(text):
    return [one for one in yaml.safe_load_all(text) if one]


def at_url(webhooks, url):
    """Webhook configurations that call a program on this host instead of a Service."""
    for webhook in webhooks["webhooks"]:
        path = webhook["clientConfig"].pop("service")["path"]
        webhook["clientConfig"]["url"] = url + path
    return webhooks
