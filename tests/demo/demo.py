#!/usr/bin/python3
"""make demo: Tributary end to end on this machine, with the machine's own data. Takes seconds.

One control plane and three agents: `archive` owns two datasets – the Debian package index and what
dpkg has installed – , `search` subscribes to both, `python` only to packages beginning with
"python3-". Every step that is shown is checked; the first that fails ends the demo with exit 1.
DEMO_KEEP=1 leaves everything running until Ctrl-C, to be played with.
"""
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from machine_data import machine_data
from programs import BIN, Agent, Program, check, free_port, say, wait_until

MANIFEST = """
apiVersion: tributary.dev/v1alpha1
kind: Dataset
metadata: {name: packages}
spec: {owner: archive, consumers: [search, python]}
---
apiVersion: tributary.dev/v1alpha1
kind: Dataset
metadata: {name: installed}
spec: {owner: archive, consumers: [search]}
---
apiVersion: tributary.dev/v1alpha1
kind: Subscription
metadata: {name: search-packages}
spec: {service: search, dataset: packages}
---
apiVersion: tributary.dev/v1alpha1
kind: Subscription
metadata: {name: search-installed}
spec: {service: search, dataset: installed}
---
apiVersion: tributary.dev/v1alpha1
kind: Subscription
metadata: {name: python-packages}
spec: {service: python, dataset: packages, prefix: "python3-"}
"""


class Demo:
    def __init__(self, directory):
        self.dir = directory
        manifests = directory / "manifests"
        manifests.mkdir()
        (manifests / "demo.yaml").write_text(MANIFEST)
        self.address = f"127.0.0.1:{free_port()}"
        self.control_plane = Program(
            "control-plane", directory, BIN / "tributary-control-plane", "--listen", self.address,
            "--data-dir", directory / "control-plane.data", "--manifests", manifests)
        self.archive, self.search, self.python = (
            Agent(service, directory, self.address) for service in ("archive", "search", "python"))
        self.programs = [self.control_plane, self.archive, self.search, self.python]

    def run(self):
        say("1. Start a control plane (embedded LMDB store) and the agents archive, search, python")
        for program in self.programs:
            program.start()
        say("2. Publish the machine's package data through the owner's socket")
        self.publish()
        say("3. Both consumers read what they subscribed to, from their own local copies")
        self.read()
        say("4. Change and delete while they watch")
        self.change()
        say("5. kill -9 a consumer's agent, change on, start it again")
        self.kill_agent()
        say("6. kill -9 the control plane: reads go on, writes say why not, nothing is lost")
        self.kill_control_plane()
        say("7. Compare every entry")
        self.compare()

    def publish(self):
        self.packages, self.installed, note = machine_data()
        say(f"   {note}")
        client, start = self.archive.client(), time.monotonic()
        for name, data in (("packages", self.packages), ("installed", self.installed)):
            rows = [(f"{name}/{key}", value) for key, value in data.items()]
            for i in range(0, len(rows), 1000):
                client.mset(dict(rows[i:i + 1000]))
        seconds = time.monotonic() - start
        count = len(self.packages) + len(self.installed)
        say(f"   {count:,} entries durable in {seconds:.1f} s, {count / seconds:,.0f}/s,"
            f" in atomic batches of 1,000")

    def python_packages(self):
        return {k: v for k, v in self.packages.items() if k.startswith("python3-")}

    def read(self):
        total, part = len(self.packages) + len(self.installed), len(self.python_packages())
        wait_until(lambda: self.search.client().dbsize() == total, "search's copy")
        wait_until(lambda: self.python.client().dbsize() == part, "python's copy")
        check(json.loads(self.search.show("GET", "packages/bash")) ==
              json.loads(self.packages["bash"]), "search reads packages/bash")
        self.search.show("DBSIZE")
        check(self.python.show("DBSIZE") == str(part), "python holds its prefix")
        refusal = self.python.show("GET", "packages/bash")
        check("NOTSUBSCRIBED" in refusal, "python does not hold packages/bash")
        check("READONLY" in self.search.show("SET", "packages/bash", "mine"), "not the owner")

    def change(self):
        check(self.archive.show("SET", "packages/python3-demo", "hello") == "OK", "SET")
        self.packages["python3-demo"] = "hello"
        took = wait_until(lambda: self.python.client().get("packages/python3-demo") == "hello",
                          "the change")
        check(self.python.show("GET", "packages/python3-demo", note=f"   (after {took:.0f} ms)")
              == "hello", "the change arrived")
        check(self.archive.show("DEL", "packages/python3-demo") == "1", "DEL")
        del self.packages["python3-demo"]
        took = wait_until(lambda: not self.python.client().exists("packages/python3-demo"),
                          "the removal")
        check(self.python.show("EXISTS", "packages/python3-demo", note=f"   (after {took:.0f} ms)")
              == "0", "the removal arrived")

    def touch(self, count, mark):
        """Changes some entries and removes one, in one atomic batch."""
        batch = self.archive.client().pipeline(transaction=True)
        for key in sorted(self.packages)[:count]:
            self.packages[key] = json.dumps({"mark": mark})
            batch.set(f"packages/{key}", self.packages[key])
        gone = max(self.packages)
        del self.packages[gone]
        batch.delete(f"packages/{gone}").execute()
        return f"packages/{gone}"

    def kill_agent(self):
        before = self.search.bytes_in()
        self.search.kill()
        gone = self.touch(100, "while search was away")
        self.search.start()
        count = self.search.client().dbsize()
        check(count >= len(self.packages), "the copy survived")
        say(f"   back, its {count:,} entries at hand at once; 101 changes to catch up with")
        took = wait_until(lambda: not self.search.client().exists(gone), "the removal")
        after = self.search.settled_bytes_in()
        say(f"   caught up after {took:.0f} ms; bytes over the wire: first load {before:,},"
            f" after the restart {after:,}")
        check(after > 0, "the changes did cross the wire")
        check(after < max(before / 20, 60_000), "only the changes cross the wire")

    def kill_control_plane(self):
        before = self.search.bytes_in()
        self.control_plane.kill()
        reader, reads, start = self.search.client(), 0, time.monotonic()
        while time.monotonic() - start < 0.5:
            check(reader.get("packages/bash"), "reads go on")
            reads += 1
        say(f"   {reads:,} reads in 0.5 s from the local copy, control plane dead")
        check("UNAVAILABLE" in self.archive.show("SET", "packages/bash", "lost?"), "write refused")
        self.control_plane.start()

        def written():
            return self.archive.client().set("packages/bash", "written after the restart")

        took = wait_until(written, "writes to go on")
        self.packages["bash"] = "written after the restart"
        wait_until(lambda: reader.get("packages/bash") == self.packages["bash"], "the write")
        after = self.search.settled_bytes_in()
        self.search.show("GET", "packages/bash")
        say(f"   writes went on {took:.0f} ms after its start; bytes over the wire since:"
            f" {after - before:,}")
        check(0 < after - before < 60_000, "the restart costs no new load")

    def compare(self):
        for agent, name, want in ((self.search, "packages", self.packages),
                                  (self.search, "installed", self.installed),
                                  (self.python, "packages", self.python_packages())):
            wait_until(lambda: self.copy(agent, name) == want, f"{agent.name}'s copy of {name}")
            say(f"   {agent.name}: {name}: {len(want):,} entries, all equal to the source")

    def copy(self, agent, name):
        client = agent.client()
        keys = list(client.scan_iter(match=f"{name}/*", count=5000))
        values = [v for i in range(0, len(keys), 5000) for v in client.mget(keys[i:i + 5000])]
        return {key.partition("/")[2]: value for key, value in zip(keys, values)}

    def keep(self):
        say("\nDEMO_KEEP: all is running; Ctrl-C ends it. Try:")
        say(f"  redis-cli -s {self.search.socket} GET packages/bash\n"
            f"  redis-cli -s {self.python.socket} --scan --pattern 'packages/python3-a*'\n"
            f"  redis-cli -s {self.python.socket} PSUBSCRIBE '__keyspace@0__:packages/*'\n"
            f"  redis-cli -s {self.archive.socket} SET packages/python3-mine hello\n"
            f"  {BIN}/tributaryctl --control-plane {self.address} --insecure --service archive"
            f" status\n"
            f"  curl http://127.0.0.1:{self.search.admin}/datasets")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})

    def end(self):
        for program in self.programs:
            if program.process and program.process.poll() is None:
                program.kill()


def main():
    start = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tributary-demo."))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say(f"Tributary demo, scratch directory {directory}")
    demo = Demo(directory)
    done = False
    try:
        demo.run()
        done = True
        say(f"All of it worked, in {time.monotonic() - start:.0f} s.")
        if os.environ.get("DEMO_KEEP") == "1":
            demo.keep()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        demo.end()
        if done:
            shutil.rmtree(directory)
        else:
            say(f"demo: logs are in {directory}")


if __name__ == "__main__":
    main()
