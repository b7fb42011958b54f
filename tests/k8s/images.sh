#!/bin/bash
# images.sh OUT: the images that the cases need beside Tributary's, as archives in OUT:
# localhost/pause, what a pod's sandbox runs, and localhost/app, a stand-in for an application: sh
# and redis-cli.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
images=$(readlink -f "$here/../../k8s/images")
out=$(readlink -f "${1:?usage: images.sh OUT}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/pause"
cat > "$work/pause.c" <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, stop), signal(SIGTERM, stop), signal(SIGCHLD, reap);
  for (;;) pause();
}
C
gcc -Os -static -s -o "$work/pause/pause" "$work/pause.c"
/usr/bin/python3 "$images/mkimage.py" "$out/pause.tar" localhost/pause:1 "$work/pause" /pause
"$images/rootfs.sh" "$(command -v redis-cli)" "$work/app"
install -m 0755 "$(command -v busybox)" "$work/app/usr/bin/busybox"
for name in sh sleep cat echo date id ls seq nc printf test true false; do
  ln -s busybox "$work/app/usr/bin/$name"
done
/usr/bin/python3 "$images/mkimage.py" "$out/app.tar" localhost/app:1 "$work/app"
