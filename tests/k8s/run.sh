#!/bin/bash
# run.sh BIN [--if-cached] [PYTEST-ARGUMENT…]: the cases of tests/k8s against a real kube-apiserver.
#   --if-cached   only where Kubernetes' programs have been built already (`make test` says so)
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
bin=$(readlink -f "${1:?usage: run.sh BIN [--if-cached] [PYTEST-ARGUMENT…]}")
shift
if [ "${1:-}" = --if-cached ]; then
  shift
  if ! "$here/cluster-binaries.sh" cached; then
    echo "tests/k8s: NOT RUN: no kube-apiserver in the cache. 'make test-k8s' builds it (once," >&2
    echo "  about 5 minutes on two cores) and runs these cases; then 'make test' has them too." >&2
    exit 0
  fi
fi
"$here/cluster-binaries.sh" api > /dev/null
export TRIBUTARY_BIN=$bin
cd "$here"
exec /usr/bin/python3 -B -m pytest -q -p no:cacheprovider --tb=short \
  test_manifests.py test_current.py test_declarations.py test_injection.py "$@"
