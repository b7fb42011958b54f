#!/usr/bin/python3
"""mkimage.py OUT.tar NAME:TAG ROOT [PROGRAM]: a container image from a directory, without any tool.

Writes a docker-archive of one layer, as `docker load`, `kind load image-archive` and
`ctr images import` take it. Same files, same bytes: names are sorted, times and owners are none.
PROGRAM is the entry point; it runs as user 65532.
"""
import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile


def layer(root):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(path, arcname=str(path.relative_to(root)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with open(path, "rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return out.getvalue()


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def main(out, name, root, program=None):
    content = layer(pathlib.Path(root))
    digest = hashlib.sha256(content).hexdigest()
    settings = {"User": "65532:65532", "Env": ["PATH=/usr/bin"]}
    if program:
        settings["Entrypoint"] = [program]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = json.dumps({"architecture": machine, "os": "linux", "config": settings,
                         "created": "1970-01-01T00:00:00Z",
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
                         "history": [{"created_by": "mkimage.py"}]}, sort_keys=True).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name],
                            "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, config_name, config)
        add(archive, f"{digest}/layer.tar", content)
        add(archive, "manifest.json", manifest)
    print(f"{out}: {name}, {len(content) / 2**20:.1f} MiB, sha256:{digest}")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
