#!/bin/bash
# test-cluster.sh BIN [PYTEST-ARGUMENT…]: the cases of test_pods.py on a whole one-node cluster,
# with images of the programs in BIN. Needs root; says what is missing.
# Environment: CASES (default test_pods.py), e.g. bench_pods.py.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
bin=$(readlink -f "${1:?usage: test-cluster.sh BIN}")
if [ "$(id -u)" -ne 0 ]; then
  echo "test-cluster: needs root, for namespaces and containers" >&2
  exit 1
fi
"$root/tests/install-packages.sh" containerd runc containernetworking-plugins iptables conntrack \
  ethtool iproute2 util-linux busybox-static redis-tools
"$here/cluster-binaries.sh" node > /dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/k8s/images/build.sh" "$bin" "$work"
"$here/images.sh" "$work"
/usr/bin/python3 -B "$here/node.py" "$work"/*.tar -- \
  env "TRIBUTARY_BIN=$bin" /usr/bin/python3 -B -m pytest -q -x -p no:cacheprovider --tb=short \
  "$here/${CASES:-test_pods.py}" "${@:2}"
