#!/usr/bin/python3
"""Keeps the generated parts of docs/ equal to the programs.

  docs.py BIN          exit 1 when a part is stale, naming it
  docs.py BIN --write  writes them anew (make docs)

A part stands between "<!-- generated: WHAT -->" and "<!-- end -->". WHAT is `control-plane`,
`agent` or `commands` (tables, from the tool `reference`), or `help VERB` (what tributaryctl VERB
--help prints).
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PART = re.compile(r"(<!-- generated: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def run(*argv):
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True).stdout


def generate(bin_dir, what):
    if what.partition(" ")[0] == "help":
        text = run(bin_dir / "tributaryctl", *what.split()[1:], "--help")
        lines = [line.rstrip() for line in text.strip().splitlines()]
        return "```\n" + "\n".join(lines) + "\n```\n"
    return run(bin_dir / "reference", what).rstrip("\n") + "\n"


def renewed(bin_dir, text):
    return PART.sub(lambda part: part[1] + generate(bin_dir, part[2]) + part[3], text)


def verbs(bin_dir):
    listing = run(bin_dir / "tributaryctl", "--help").partition("Subcommands:")[2]
    return re.findall(r"^  (\w+) ", listing, re.MULTILINE)


def main():
    bin_dir, write = pathlib.Path(sys.argv[1]), "--write" in sys.argv
    faults, found = [], []
    for page in sorted((ROOT / "docs").glob("*.md")):
        old = page.read_text()
        found += [part[2] for part in PART.finditer(old)]
        new = renewed(bin_dir, old)
        if new != old and write:
            page.write_text(new)
        elif new != old:
            faults.append(f"docs/{page.name} is stale: run `make docs` and commit it")
    wanted = ["control-plane", "agent", "commands", "help"] + [f"help {v}" for v in verbs(bin_dir)]
    faults += [f"no page of docs/ has a part \"<!-- generated: {what} -->\""
               for what in wanted if what not in found]
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
