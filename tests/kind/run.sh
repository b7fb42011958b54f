#!/bin/bash
# run.sh [BIN]: the cases of tests/k8s/test_pods.py on a kind cluster with a current Kubernetes
# (native sidecars, PodSecurity admission). Needs Docker, kind (https://kind.sigs.k8s.io) and
# kubectl ≥ 1.21.
# KIND_IMAGE chooses the version, e.g. kindest/node:v1.33.1.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
for program in docker kind kubectl; do
  command -v "$program" > /dev/null || {
    echo "tests/kind: there is no $program here. These cases need Docker, kind and kubectl;" >&2
    echo "  on a machine without, 'make test-cluster' runs them on Kubernetes 1.20." >&2
    exit 1
  }
done
docker info > /dev/null 2>&1 || { echo "tests/kind: Docker does not answer" >&2; exit 1; }
bin=$(readlink -f "${1:-$root/build/release/bin}")
cluster=tributary-$$
work=$(mktemp -d)
trap 'kind delete cluster --name "$cluster" > /dev/null 2>&1; rm -rf "$work"' EXIT
kind create cluster --name "$cluster" --kubeconfig "$work/kubeconfig" --wait 180s \
  ${KIND_IMAGE:+--image "$KIND_IMAGE"}
"$root/k8s/images/build.sh" "$bin" "$work"
"$root/tests/k8s/images.sh" "$work"
for image in agent control-plane app; do
  kind load image-archive --name "$cluster" "$work/$image.tar"
done
KUBECONFIG=$work/kubeconfig TRIBUTARY_KUBECTL=$(command -v kubectl) \
  TRIBUTARY_NODE_EXEC="docker exec $cluster-control-plane" TRIBUTARY_BIN=$bin \
  /usr/bin/python3 -B -m pytest -q -x -p no:cacheprovider "$root/tests/k8s/test_pods.py"
