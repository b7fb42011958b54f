#!/bin/bash
# cluster-binaries.sh api|node|cached: prints the folder of Kubernetes' programs; builds what is
# missing.
#   api    kube-apiserver, kubectl, etcd: enough for `make test-k8s`; and kubectl-current, of Debian
#          13, which knows the types of a current Kubernetes
#   cached succeeds if those are there; builds nothing, prints nothing
#   node   beside them kubelet, kube-controller-manager, kube-scheduler, kube-proxy
# Debian 12 has Kubernetes 1.20's source and Go 1.19, but no server programs, so they are built here
# (docs/decisions/0014-real-kubernetes-from-debian.md). Needs apt's mirrors; no root, nothing is
# installed: packages are unpacked in the cache, ${XDG_CACHE_HOME:-~/.cache}/tributary-k8s.
# Environment: K8S_BUILD_JOBS (default: all cores).
set -euo pipefail
recipe=1 # raise it when a change below changes what is built
want=${1:?usage: cluster-binaries.sh api|node|cached}
cache=${TRIBUTARY_K8S_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary-k8s}
home=$cache/1.20-go1.19-$recipe
bin=$home/bin
server=(kube-apiserver)
[ "$want" != node ] || server+=(kubelet kube-controller-manager kube-scheduler kube-proxy)

say() { echo "cluster-binaries: $*" >&2; }

complete() {
  local program
  for program in "${server[@]}" kubectl kubectl-current etcd; do
    [ -x "$bin/$program" ] || return 1
  done
}

if [ "$want" = cached ]; then
  complete
  exit
fi

# private_apt SUITE ARGUMENT…: an apt that neither needs root nor knows what is installed here.
private_apt() {
  local root=$home/apt-$1 suite=$1
  shift
  if [ ! -f "$root/sources.list" ]; then
    mkdir -p "$root"/{lists/partial,archives/partial,empty}
    local key=/usr/share/keyrings/debian-archive-keyring.gpg mirror=http://deb.debian.org/debian
    printf "%s [signed-by=$key] $mirror $suite main\n" deb deb-src > "$root/sources.list.new"
    apt_here "$root" sources.list.new update > "$home/apt.log" 2>&1
    mv "$root/sources.list.new" "$root/sources.list"
  fi
  apt_here "$root" sources.list "$@"
}
apt_here() {
  local root=$1 list=$2
  shift 2
  apt-get -q -y -o "Dir::Etc::SourceList=$root/$list" -o "Dir::Etc::SourceParts=$root/empty" \
    -o "Dir::State::Lists=$root/lists" -o Dir::State::status=/dev/null \
    -o "Dir::Cache=$root" -o "Dir::Cache::archives=$root/archives" \
    -o APT::Sandbox::User= -o Acquire::Retries=3 "$@"
}

unpack() { # SUITE PACKAGE…: into $home/SUITE
  local suite=$1 package
  shift
  mkdir -p "$home/$suite" "$home/debs"
  (cd "$home/debs" && private_apt "$suite" download "$@" >> "$home/apt.log" 2>&1)
  for package in "$@"; do dpkg -x "$home/debs/$package"_*.deb "$home/$suite"; done
}

fetch_clients() {
  if [ ! -x "$bin/etcd" ]; then
    say "fetching kubectl and etcd (Debian's packages)"
    unpack bookworm kubernetes-client etcd-server
    install -D "$home/bookworm/usr/bin/kubectl" "$bin/kubectl"
    install -D "$home/bookworm/usr/bin/etcd" "$bin/etcd"
  fi
  if [ ! -x "$bin/kubectl-current" ]; then
    say "fetching a current kubectl (Debian 13's)"
    unpack trixie kubectl
    install -D "$home/trixie/usr/bin/kubectl" "$bin/kubectl-current"
  fi
}

fetch_tools() { # asked for by name, not by a mark: parts of a cache may have been cleared away
  [ -x "$home/bookworm/usr/lib/go-1.19/bin/go" ] && return
  say "fetching Go (about 75 MB)"
  unpack bookworm golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev rsync libpopt0
}

fetch_source() {
  [ -f "$home/source.ready" ] && return
  say "fetching Kubernetes' source (about 35 MB)"
  rm -rf "$tree" "$home/src"
  mkdir -p "$home/src" "$(dirname "$tree")"
  (cd "$home/src" && private_apt bookworm source kubernetes >> "$home/apt.log" 2>&1)
  mv "$home"/src/kubernetes-1.20.*/ "$tree"
  # reflect2 1.0.1 crashes with Go 1.18 and newer on the first custom resource; Debian's is mended.
  local unpacked=$home/bookworm vendored=$tree/vendor/github.com/modern-go/reflect2
  rm -f "$vendored"/*.go "$vendored"/*.s
  cp "$unpacked"/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$vendored"/
  rm -f "$vendored"/*_test.go
  touch "$home/source.ready"
}

build() {
  export GOROOT=$home/bookworm/usr/lib/go-1.19 GOPATH=$home/go GOCACHE=$home/gocache HOME=$home
  export GO111MODULE=off GOFLAGS= GOPROXY=off CGO_ENABLED=0 GOMAXPROCS=${K8S_BUILD_JOBS:-$(nproc)}
  export PATH=$GOROOT/bin:$home/bookworm/usr/bin:$PATH
  export LD_LIBRARY_PATH=$home/bookworm/usr/lib/x86_64-linux-gnu
  export KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=clean
  export KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20
  cd "$tree"
  if [ ! -f "$home/generated.ready" ]; then # the package lacks the generated OpenAPI
    make -s generated_files > "$home/generate.log" 2>&1
    touch "$home/generated.ready"
  fi
  local flags="-s -w" package program
  for package in component-base/version client-go/pkg/version; do
    local at=k8s.io/kubernetes/vendor/k8s.io/$package
    flags+=" -X $at.gitVersion=v1.20.2 -X $at.gitMajor=1 -X $at.gitMinor=20"
    flags+=" -X $at.gitTreeState=clean -X $at.gitCommit=debian"
  done
  for program in "${server[@]}"; do
    [ -x "$bin/$program" ] && continue
    go build -p "$GOMAXPROCS" -trimpath -ldflags "$flags" -o "$home/new-$program" \
      "k8s.io/kubernetes/cmd/$program"
    mv "$home/new-$program" "$bin/$program"
    say "$program built after $SECONDS s"
  done
}

if ! complete; then
  mkdir -p "$bin"
  exec 9> "$home/lock"
  flock 9
  tree=$home/go/src/k8s.io/kubernetes
  fetch_clients
  if ! complete; then
    say "NOT IN THE CACHE: building ${server[*]} of Kubernetes 1.20"
    say "from Debian's source into $home;"
    say "this takes 4 to 8 minutes on two quiet cores, once"
    fetch_tools
    fetch_source
    build
  fi
  exec 9>&-
fi
echo "$bin"
