#!/bin/bash
# Installs the Debian packages that are missing: those of tests/packages.txt, or those named as
# arguments. Says nothing when none is missing. Works as root or with sudo.
set -euo pipefail
list=$(dirname "$0")/packages.txt

wanted() {
  if (($#)); then printf '%s\n' "$@"; else grep -v '^#' "$list"; fi
}

missing=()
while read -r package command; do
  if [ -n "$command" ] && command -v "$command" > /dev/null; then continue; fi
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done < <(wanted "$@")
((${#missing[@]})) || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || {
    echo "install-packages: not root and no sudo; install by hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"
}

echo "install-packages: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "install-packages: apt-get failed (see above). Without a network, install by hand:" >&2
  echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
