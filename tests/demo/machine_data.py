"""Real data that every Debian machine has: apt's package index and dpkg's status."""
import glob
import json
import pathlib
import subprocess

FIELDS = ("Version", "Architecture", "Section", "Installed-Size", "Maintainer", "Description",
          "Depends", "Status")


def stanzas(text):
    """(package, JSON) of a file in Debian's control format."""
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines()
                      if ": " in line and line[0] != " ")
        if "Package" in fields:
            value = {f.lower().replace("-", "_"): fields[f] for f in FIELDS if f in fields}
            yield fields["Package"], json.dumps(value, ensure_ascii=False)


def machine_data():
    """Two {package: JSON}, all that apt knows of and what is installed, and a word on both."""
    installed = dict(stanzas(pathlib.Path("/var/lib/dpkg/status").read_text(errors="replace")))
    index = {}
    for file in sorted(glob.glob("/var/lib/apt/lists/*_Packages*")):
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", file], capture_output=True)
        index.update(stanzas(text.stdout.decode(errors="replace")))
    if index:
        note = f"{len(index):,} packages known to apt, {len(installed):,} installed"
    else:
        index = dict(installed)
        note = (f"no package index (apt-get update would fetch it): dpkg's {len(index):,} installed"
                " packages serve as both")
    return index, installed, note
