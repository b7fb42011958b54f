#!/bin/bash
# rootfs.sh PROGRAM DIR: a root file system for one program: itself in /usr/bin, the shared
# libraries that it loads, a user 65532 and empty directories to mount on. Nothing else: no shell,
# no package manager. The same program and libraries give the same files.
set -euo pipefail
program=$(readlink -f "${1:?usage: rootfs.sh PROGRAM DIR}")
root=${2:?usage: rootfs.sh PROGRAM DIR}
mkdir -p "$root"/{usr/bin,usr/lib,etc/ssl/certs,tmp,run/tributary,var/lib/tributary}
ln -sfn usr/bin "$root/bin"
ln -sfn usr/lib "$root/lib"
ln -sfn usr/lib "$root/lib64"
install -m 0755 "$program" "$root/usr/bin/"
strip --strip-unneeded "$root/usr/bin/$(basename "$program")"
# The loader finds each library by its soname in /usr/lib.
ldd "$program" | while read -r name arrow path _; do
  [ "$arrow" = "=>" ] || { path=$name; name=$(basename "$path"); }
  [ -f "$path" ] || continue
  install -m 0755 "$path" "$root/usr/lib/$name"
done
# Names of hosts are resolved by libraries that glibc opens by name.
for name in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
  found=$(find /lib /usr/lib -name "$name" -print -quit 2> /dev/null)
  if [ -n "$found" ]; then install -m 0755 "$(readlink -f "$found")" "$root/usr/lib/$name"; fi
done
echo "tributary:x:65532:65532::/:/nonexistent" > "$root/etc/passwd"
echo "tributary:x:65532:" > "$root/etc/group"
echo "hosts: files dns" > "$root/etc/nsswitch.conf"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  install -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
chmod 1777 "$root/tmp"
