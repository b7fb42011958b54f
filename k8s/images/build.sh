#!/bin/bash
# build.sh BIN OUT [TAG]: the images of agent and control plane as archives in OUT, from programs
# that are built already (BIN: build/release/bin). Needs no registry, no Docker and no root.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
bin=${1:?usage: build.sh BIN OUT [TAG]}
out=${2:?usage: build.sh BIN OUT [TAG]}
tag=${3:-0.1.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for name in agent control-plane; do
  "$here/rootfs.sh" "$bin/tributary-$name" "$work/$name"
  /usr/bin/python3 "$here/mkimage.py" "$out/$name.tar" "ghcr.io/tributary/$name:$tag" \
    "$work/$name" "/usr/bin/tributary-$name"
done
