#!/usr/bin/python3
"""Holds the sources to the rules that a compiler does not know.

  tidy.py            checks the tree, and that every sample in samples/ is caught; exit 1 on a fault
  tidy.py --ratchet  lowers the numbers in ratchet.txt to today's; never raises one

Each check takes {path: text} and yields Faults. ratchet.txt lists known offenders against the size
limits: "<check> <path> <amount>"; an amount may only shrink. A sample tells in its first line which
path it pretends to have ("as: <path>") and is named after the check that must catch it.
"""
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/tidy"
LINE_MAX, FUNCTION_MAX, FILE_MAX = 100, 70, 400
CODE = (".h", ".cc")
TEXT = CODE + (".py", ".sh", ".js", ".mjs", ".proto", ".md", ".txt", ".cmake", ".json", ".yaml")
PRODUCT = ("agent/", "control-plane/", "common/")

# (pattern, where it holds, files let off, reason)
BANNED = [
    (r"\bstd::(mutex|lock_guard|unique_lock|condition_variable)\b", PRODUCT,
     {"common/mutex.h", "common/log.cc"},  # spdlog's sinks name their mutex
     "use common::Mutex, which clang's thread-safety analysis knows"),
    (r"\bsleep_(for|until)\b|\busleep\(", PRODUCT, set(), "wait for an event or a timer instead"),
    (r"\busing namespace std\b", ("",), set(), "write std::"),
    (r"\bGTEST_SKIP\b|\bDISABLED_|\bpytest\.(mark\.)?skip", ("",), {"tests/tidy/tidy.py"},
     "a test that does not run is no test"),
    (r"\bstd::(regex|async)\b", PRODUCT, set(), "slow, or a thread nobody owns"),
    (r"(?<![\w./])/(?:work|root|home)/\w", ("",), {"tests/tidy/tidy.py"},
     "names a path of one machine"),
    (r"(?m)^(?:<{7}|>{7}) ", ("",), set(), "a merge left this behind"),
]


class Fault(NamedTuple):
    check: str
    path: str
    line: int
    amount: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.check}: {self.message}"


def without_comments_and_strings(text):
    """The same lines, so that braces and words in text do not count."""
    pattern = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    keep_lines = lambda match: "\n" * match.group().count("\n")
    return re.sub(pattern, keep_lines, text, flags=re.DOTALL)


def check_line_length(files):
    for path, text in files.items():
        if not path.endswith(CODE + (".py", ".sh", ".js", ".mjs", ".proto")):
            continue
        long = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > LINE_MAX]
        if long:
            yield Fault("line_length", path, long[0], len(long),
                        f"{len(long)} lines longer than {LINE_MAX} characters")


def check_file_length(files):
    for path, text in files.items():
        lines = text.count("\n")
        if path.endswith(CODE + (".py", ".sh", ".js", ".mjs")) and lines > FILE_MAX:
            yield Fault("file_length", path, lines, lines, f"{lines} lines, limit {FILE_MAX}")


def function_bodies(text):
    """(first line, lines) of every outermost block that is not a namespace, type or initialiser."""
    depth, start, statement, stack = 0, None, "", []
    for number, line in enumerate(without_comments_and_strings(text).splitlines(), 1):
        if line.startswith("#"):
            continue
        for char in line:
            if char == "{":
                is_scope = re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$",
                                     statement)
                is_function = not is_scope and ")" in statement
                if is_function and start is None:
                    start, depth = number, len(stack)
                stack.append(number)
                statement = ""
            elif char == "}" and stack:
                stack.pop()
                if start is not None and len(stack) == depth:
                    yield start, number - start + 1
                    start = None
                statement = ""
            else:
                statement = "" if char == ";" else statement + char
        statement += " "


def check_function_length(files):
    for path, text in files.items():
        if not path.endswith(CODE):
            continue
        for line, lines in function_bodies(text):
            if lines > FUNCTION_MAX:
                yield Fault("function_length", path, line, lines,
                            f"function of {lines} lines, limit {FUNCTION_MAX}")


def check_banned(files):
    for path, text in files.items():
        code = without_comments_and_strings(text) if path.endswith(CODE) else text
        for pattern, places, let_off, reason in BANNED:
            if path in let_off or not path.startswith(places):
                continue
            source = text if "machine" in reason else code
            for match in re.finditer(pattern, source):
                line = source.count("\n", 0, match.start()) + 1
                yield Fault("banned", path, line, 1, f"{match.group()!r}: {reason}")


def layers():
    table = {}
    for line in (ROOT / "docs/layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, below = line.partition(":")
            table[name.strip()] = below.split()
    return table


def layer_of(path, table):
    folder = pathlib.PurePosixPath(path).parent
    return next((str(f) for f in (folder, *folder.parents) if str(f) in table), None)


def check_includes(files):
    table = layers()
    for path, text in files.items():
        own = layer_of(path, table)
        if not path.endswith(CODE) or own is None:
            continue
        for match in re.finditer(r'^#include "([^"]+)"', text, re.MULTILINE):
            other = layer_of(match[1], table)
            if other and other != own and other not in table[own]:
                line = text.count("\n", 0, match.start()) + 1
                yield Fault("includes", path, line, 1,
                            f"{own} must not include {match[1]} (docs/layers.txt)")


def check_titles(files):
    for path, text in files.items():
        if path.startswith("docs/") and path.endswith(".md"):
            prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
            titles = re.findall(r"^# ", prose, re.MULTILINE)
            if len(titles) != 1 or not text.startswith("# "):
                yield Fault("titles", path, 1, 1, "wants exactly one '# ' title, in its first line")


def check_unlisted(files):
    builds = {str(pathlib.PurePosixPath(p).parent): t for p, t in files.items()
              if p.endswith("CMakeLists.txt")}
    included = {name for text in files.values()
                for name in re.findall(r'#include "([^"]+)"', text)}
    for path in files:
        if path.endswith(".cc"):
            parents = [str(p) for p in pathlib.PurePosixPath(path).parents]
            names = [str(pathlib.PurePosixPath(path).relative_to(p)) for p in parents]
            if not any(re.search(rf"(?<![\w/.]){re.escape(name)}\b", builds.get(parent, ""))
                       for parent, name in zip(parents, names)):
                yield Fault("unlisted", path, 1, 1, "no CMakeLists.txt names this file")
        elif path.endswith(".h") and path not in included:
            yield Fault("unlisted", path, 1, 1, "nobody includes this file")


CHECKS = [check_line_length, check_file_length, check_function_length, check_banned,
          check_includes, check_titles, check_unlisted]


def run_checks(files):
    return [fault for check in CHECKS for fault in check(files)]


def tree():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [p for p in listed if not p.startswith("tests/tidy/samples/")
             and (p.endswith(TEXT) or p == "Makefile") and (ROOT / p).is_file()
             and not p.endswith("package-lock.json")]
    return {path: (ROOT / path).read_text() for path in paths}


def check_samples():
    for sample in sorted((HERE / "samples").iterdir()):
        text = sample.read_text()
        path = re.search(r"as: (\S+)", text.splitlines()[0])[1]
        body = text.split("\n", 1)[1]
        if sample.stem.split("-")[0] not in {fault.check for fault in run_checks({path: body})}:
            yield Fault("samples", str(sample.relative_to(ROOT)), 1, 1, "no check caught it")


def read_ratchet():
    rows = [line.split() for line in (HERE / "ratchet.txt").read_text().splitlines()
            if line and not line.startswith("#")]
    return {(check, path): int(amount) for check, path, amount in rows}


def worst(faults):
    amounts = {}
    for fault in faults:
        key = (fault.check, fault.path)
        amounts[key] = max(amounts.get(key, 0), fault.amount)
    return amounts


def over_ratchet(faults, ratchet):
    amounts = worst(faults)
    yield from (f for f in faults if f.amount > ratchet.get((f.check, f.path), 0))
    for (check, path), allowed in ratchet.items():
        if amounts.get((check, path), 0) < allowed:
            yield Fault("ratchet", path, 1, 1,
                        f"{check} is better than {allowed} now: run tests/tidy/tidy.py --ratchet")


def write_ratchet(faults, ratchet):
    amounts = worst(faults)
    rows = [f"{check} {path} {min(allowed, amounts[check, path])}"
            for (check, path), allowed in sorted(ratchet.items()) if (check, path) in amounts]
    head = "# Known offenders against the size limits; an amount may only shrink (tidy.py).\n"
    (HERE / "ratchet.txt").write_text(head + "".join(row + "\n" for row in rows))


def main():
    files = tree()
    faults = run_checks(files)
    if "--ratchet" in sys.argv:
        return write_ratchet(faults, read_ratchet())
    shown = [*over_ratchet(faults, read_ratchet()), *check_samples()]
    print(*shown, sep="\n", end="\n" if shown else "")
    print(f"tidy: {len(files)} files, {len(shown)} faults")
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(main())
