#!/usr/bin/python3
"""node.py IMAGE.tar… -- COMMAND…: runs COMMAND beside a whole one-node Kubernetes with real pods.

The cluster (etcd, API server, controller manager, scheduler, containerd, kubelet, kube-proxy) lives
in mount, network, pid and cgroup namespaces of its own and ends with COMMAND; nothing stays behind.
COMMAND finds KUBECONFIG, TRIBUTARY_KUBECTL and TRIBUTARY_NODE=1 in its environment. Needs root,
cgroup v1 hierarchies and the packages that test-cluster.sh installs.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from api_server import ApiServer, binaries  # noqa: E402
from harness import eventually  # noqa: E402

ADDRESS, NAME, PODS = "10.10.0.1", "node", "10.244.0.0/24"
CONTROLLERS = "cpu cpuacct cpuset memory devices freezer blkio pids".split()
SOCKET = "/run/containerd/containerd.sock"
# What the kubelet wants of the kernel; it is shown these files instead of changing the machine.
WANTED = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}


def run(*argv, **options):
    subprocess.run([str(a) for a in argv], check=True, **options)


# --- outside: a cgroup of our own in each hierarchy, then the namespaces --------------------------

def own_cgroup(controller):
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.removeprefix("name=").split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}")
    sys.exit(f"node.py: no cgroup v1 hierarchy '{controller}'; this machine cannot run the node. "
             "Use tests/kind/run.sh where there is Docker")


def make_cgroups():
    groups = []
    for controller in CONTROLLERS + ["systemd"]:
        parent = own_cgroup(controller)
        group = parent / f"tributary-k8s-{os.getpid()}"
        group.mkdir()
        groups.append(group)
        if controller == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((parent / file).read_text())
            (group / "cgroup.clone_children").write_text("1")
    return groups


def remove_cgroups(groups):
    for group in groups:
        for _ in range(100):
            found = subprocess.run(["find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}",
                                    "+"], capture_output=True)
            if found.returncode == 0 or not group.exists():
                break
            time.sleep(0.1)


def outside(arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tn."))
    groups = make_cgroups()

    def enter():
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        argv = ["unshare", "-m", "-n", "-p", "-C", "-f", "--kill-child=KILL", "--mount-proc",
                "--propagation", "private", sys.executable, "-B", __file__, "_inside",
                str(directory), *arguments]
        code = subprocess.run(argv, preexec_fn=enter).returncode
    finally:
        remove_cgroups(groups)
    if code == 0:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"node.py: logs are in {directory}", file=sys.stderr)
    return code


# --- inside ---------------------------------------------------------------------------------------

def make_mounts(directory):
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for path in ("/run/netns", "/run/lock"):
        os.makedirs(path)
    # Programs insist on these places; what they write there stays ours.
    for path in ("/var/lib", "/opt", "/var/log"):
        layer = directory / "overlay" / path.strip("/").replace("/", "-")
        (layer / "up").mkdir(parents=True)
        (layer / "work").mkdir()
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={path},upperdir={layer}/up,workdir={layer}/work", path)
    os.makedirs("/var/lib/cni", exist_ok=True)
    # A hidden old mount of a hierarchy confuses the kubelet: away with all of them first.
    run("umount", "-R", "/sys/fs/cgroup")
    run("mount", "-t", "tmpfs", "cgroup", "/sys/fs/cgroup")
    for name in CONTROLLERS + ["systemd"]:
        os.mkdir(f"/sys/fs/cgroup/{name}")
        option = "none,name=systemd" if name == "systemd" else name
        run("mount", "-t", "cgroup", "-o", option, "cgroup", f"/sys/fs/cgroup/{name}")
    for name, value in WANTED.items():
        file = directory / name.replace("/", ".")
        file.write_text(value + "\n")
        run("mount", "--bind", file, f"/proc/sys/{name}")
    run("mount", "--make-rshared", "/")


def make_network():
    for command in ("link set lo up", "link add k8s0 type veth peer name k8s1", "link set k8s1 up",
                    "link set k8s0 up", f"addr add {ADDRESS}/24 dev k8s0",
                    # ClusterIPs need some route before they are rewritten.
                    "route add default dev k8s0", "route add unreachable 169.254.0.0/16"):
        run("ip", *command.split())
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


class ControlPlane(ApiServer):
    """The API server on the node's address, with controllers and scheduler."""

    def __init__(self, directory):
        super().__init__(directory)
        self.bin = binaries("node")
        self.port = 6443
        self.url = f"https://{ADDRESS}:{self.port}"

    def issue_all(self):
        names = f"DNS:localhost,DNS:kubernetes.default.svc,IP:{ADDRESS},IP:10.96.0.1,IP:127.0.0.1"
        self.pki.issue("apiserver", "/CN=kube-apiserver", "serverAuth", names)
        self.pki.issue("admin", "/O=system:masters/CN=admin", "clientAuth")
        self.pki.issue("kubelet-client", "/O=system:masters/CN=kubelet-client", "clientAuth")
        self.pki.issue("node", f"/O=system:nodes/CN=system:node:{NAME}", "clientAuth,serverAuth",
                       f"IP:{ADDRESS},DNS:{NAME}")

    def flags(self, etcd):
        own = {"--bind-address": ADDRESS, "--advertise-address": ADDRESS,
               "--endpoint-reconciler-type": "lease"}
        flags = [f for f in super().flags(etcd)
                 if f.split("=")[0] not in own and not f.startswith("--disable-admission")]
        pki = self.pki.dir
        return [*flags, *(f"{k}={v}" for k, v in own.items()), "--allow-privileged=true",
                "--enable-admission-plugins=NodeRestriction",
                f"--kubelet-client-certificate={pki}/kubelet-client.crt",
                f"--kubelet-client-key={pki}/kubelet-client.key",
                "--kubelet-preferred-address-types=InternalIP"]

    def start(self):
        super().start()
        config = f"--kubeconfig={self.dir}/kubeconfig"
        common = [config, "--bind-address=127.0.0.1", "--port=0", "--secure-port=0",
                  "--leader-elect=false"]
        pki = self.pki.dir
        self.spawn("kube-controller-manager", *common, "--use-service-account-credentials=true",
                   f"--service-account-private-key-file={pki}/sa.key",
                   f"--root-ca-file={self.ca}", f"--cluster-signing-cert-file={self.ca}",
                   f"--cluster-signing-key-file={pki}/ca.key")
        self.spawn("kube-scheduler", *common)
        return self


def start_containerd(directory, images):
    cni = directory / "cni"
    cni.mkdir()
    (cni / "10-bridge.conflist").write_text("""{"cniVersion":"0.4.0","name":"k8s","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"ipam":
  {"type":"host-local","ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}""" % PODS)
    config = directory / "containerd.toml"
    config.write_text(f"""
version = 2
root = "{directory}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
""")
    log = open(directory / "containerd.log", "wb")
    subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=log)
    ctr = ["ctr", "-a", SOCKET, "-n", "k8s.io"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    eventually(lambda: subprocess.run([*ctr, "version"], **quiet).returncode == 0, "containerd", 60)
    for image in images:
        run(*ctr, "images", "import", image, stdout=subprocess.DEVNULL)


def start_kubelet(directory, control):
    pki = control.pki.dir
    (directory / "resolv.conf").write_text("")
    config = directory / "kubelet.yaml"
    config.write_text(f"""
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
address: {ADDRESS}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {control.ca}}}
authorization: {{mode: Webhook}}
tlsCertFile: {pki}/node.crt
tlsPrivateKeyFile: {pki}/node.key
cgroupDriver: cgroupfs
resolvConf: {directory}/resolv.conf
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
nodeStatusUpdateFrequency: 1s
""")
    kubeconfig = directory / "node.kubeconfig"
    kubeconfig.write_text(control.user_config("node"))
    control.spawn("kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}",
                  f"--hostname-override={NAME}", f"--node-ip={ADDRESS}",
                  "--container-runtime=remote", f"--container-runtime-endpoint=unix://{SOCKET}",
                  f"--root-dir={directory}/kubelet", f"--cert-dir={directory}/kubelet-pki",
                  f"--volume-plugin-dir={directory}/plugins")
    control.spawn("kube-proxy", f"--kubeconfig={control.dir}/kubeconfig",
                  f"--hostname-override={NAME}", "--proxy-mode=iptables", f"--cluster-cidr={PODS}",
                  # The machine's connection tracking is not ours to tune.
                  "--conntrack-max-per-core=0", "--conntrack-min=0",
                  "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
                  "--oom-score-adj=0")


def is_ready(control):
    for condition in control.kubectl.get("node", NAME)["status"]["conditions"]:
        if condition["type"] == "Ready":
            return condition["status"] == "True"
    return False


def inside(directory, arguments):
    split = arguments.index("--")
    images, command = arguments[:split], arguments[split + 1:]
    make_mounts(directory)
    make_network()
    control = ControlPlane(directory / "cp").start()
    start_containerd(directory, images)
    start_kubelet(directory, control)
    eventually(lambda: is_ready(control), "the node to be Ready", 180)
    environment = {**os.environ, "KUBECONFIG": str(control.dir / "kubeconfig"),
                   "TRIBUTARY_KUBECTL": str(control.bin / "kubectl"), "TRIBUTARY_NODE": "1"}
    return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "_inside":
        sys.exit(inside(pathlib.Path(sys.argv[2]), sys.argv[3:]))
    if "--" not in sys.argv or os.geteuid() != 0:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is ended and cleared away
    sys.exit(outside(sys.argv[1:]))
