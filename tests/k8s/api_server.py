"""A real kube-apiserver over etcd on 127.0.0.1, without a node: pods can be created, not run.

Needs no root and leaves nothing behind but its directory. Kubernetes' programs come from
cluster-binaries.sh, which builds them when they are not in its cache.
"""
import base64
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import urllib.request

from harness import DEADLINE, eventually, free_port

HERE = pathlib.Path(__file__).parent
SERVICE_IP = "10.96.0.1"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def binaries(tier):
    """The folder of Kubernetes' programs; builds them when missing, and says so."""
    made = subprocess.run([HERE / "cluster-binaries.sh", tier], stdout=subprocess.PIPE, text=True)
    assert made.returncode == 0, f"cluster-binaries.sh {tier} failed: see its words above"
    return pathlib.Path(made.stdout.strip())


def openssl(directory, *args):
    done = subprocess.run(["openssl", *map(str, args)], cwd=directory, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, directory):
        self.dir = directory
        directory.mkdir(parents=True)
        openssl(directory, "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.crt", "-days", "9",
                "-subj", "/CN=kube-ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl(directory, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
        openssl(directory, "ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")

    def issue(self, name, subject, usage, names=""):
        san = f"subjectAltName={names}\n" if names else ""
        (self.dir / f"{name}.ext").write_text(f"extendedKeyUsage={usage}\n{san}")
        openssl(self.dir, "req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                subject)
        openssl(self.dir, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "9", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def listed(objects):
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


class Kubectl:
    """kubectl as one user of one cluster."""

    def __init__(self, program, kubeconfig):
        self.program, self.kubeconfig = program, pathlib.Path(kubeconfig)
        self.home = self.kubeconfig.parent / "home"  # it keeps there which types the server has

    def run(self, *args, input=None):
        """The finished process, whatever it says."""
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.home)}
        argv = [str(self.program), *map(str, args)]
        if not isinstance(input, (str, type(None))):
            input = json.dumps(input)
        return subprocess.run(argv, input=input, capture_output=True, text=True, env=env,
                              timeout=300)

    def __call__(self, *args, input=None):
        done = self.run(*args, input=input)
        assert done.returncode == 0, f"kubectl {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects):
        return self("apply", "-f", "-", input=listed(objects))

    def refused(self, *args, input=None):
        """stderr of a command that must fail."""
        done = self.run(*args, input=input)
        assert done.returncode != 0, f"kubectl {args} was not refused: {done.stdout}"
        return done.stderr

    def get(self, *args):
        return json.loads(self("get", *args, "-o", "json"))

    def version(self):
        """(major, minor) of the server"""
        server = json.loads(self("get", "--raw", "/version"))
        return int(server["major"]), int(server["minor"].rstrip("+"))

    def token(self, account, space, audience=None):
        """A token of a service account, as a projected volume holds it."""
        spec = {"expirationSeconds": 3600, **({"audiences": [audience]} if audience else {})}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{space}/serviceaccounts/{account}/token"
        answer = json.loads(self("create", "--raw", path, "-f", "-", input=request))
        return answer["status"]["token"]

    def secret(self, space, name):
        data = self.get("secret", "-n", space, name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}


class ApiServer:
    def __init__(self, directory):
        self.dir = directory
        self.bin = binaries("api")
        self.pki = Authority(directory / "pki")
        self.port, self.processes = free_port(), {}
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = self.pki.dir / "ca.crt"

    def start(self):
        self.issue_all()
        etcd, peer = free_port(), free_port()
        client_url, peer_url = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
        self.spawn("etcd", "--data-dir", self.dir / "etcd", "--log-level", "error",
                   "--unsafe-no-fsync=true" if self.etcd_has("unsafe-no-fsync") else "--name=k8s",
                   "--listen-client-urls", client_url, "--advertise-client-urls", client_url,
                   "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                   "--initial-cluster", f"{'default' if self.no_fsync else 'k8s'}={peer_url}")
        self.spawn("kube-apiserver", *self.flags(client_url))
        self.kubectl = Kubectl(self.bin / "kubectl", self.kubeconfig())
        eventually(self.is_ready, f"kube-apiserver to be ready; its logs: {self.dir}", 4 * DEADLINE)
        return self

    def etcd_has(self, flag):
        done = subprocess.run([self.bin / "etcd", "--help"], capture_output=True, text=True)
        self.no_fsync = flag in done.stdout + done.stderr
        return self.no_fsync

    def issue_all(self):
        names = f"DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{SERVICE_IP}"
        self.pki.issue("apiserver", "/CN=kube-apiserver", "serverAuth", names)
        self.pki.issue("admin", "/O=system:masters/CN=admin", "clientAuth")

    def flags(self, etcd):
        pki = self.pki.dir
        return [f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
                "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
                f"--tls-cert-file={pki}/apiserver.crt",
                f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={self.ca}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-signing-key-file={pki}/sa.key",
                f"--service-account-key-file={pki}/sa.pub",
                "--service-cluster-ip-range=10.96.0.0/24", "--authorization-mode=Node,RBAC",
                # Without a controller manager there are no default service accounts.
                "--disable-admission-plugins=ServiceAccount", "--profiling=false", "--v=1"]

    def spawn(self, name, *args):
        log = open(self.dir / f"{name}.log", "ab")
        argv = [str(self.bin / name), *map(str, args)]
        self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log)

    def is_ready(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.dir / f"{name}.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"{name} ended with {process.returncode}:\n{log}")
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.pki.dir / "admin.crt", self.pki.dir / "admin.key")
        with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:
            answers = answer.read() == b"ok"
        return answers and self.kubectl.run("get", "ns", "default").returncode == 0

    def user_config(self, name):
        """The text of a kubeconfig for the bearer of this certificate."""
        read = lambda name: base64.b64encode((self.pki.dir / name).read_bytes()).decode()
        user = {"client-certificate-data": read(f"{name}.crt"),
                "client-key-data": read(f"{name}.key")}
        cluster = {"server": self.url, "certificate-authority-data": read("ca.crt")}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
                  "clusters": [{"name": "c", "cluster": cluster}],
                  "users": [{"name": "u", "user": user}],
                  "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
        return json.dumps(config)

    def kubeconfig(self):
        path = self.dir / "kubeconfig"
        path.write_text(self.user_config("admin"))
        path.chmod(0o600)
        return path

    def stop(self, failed):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()
        if not failed:
            shutil.rmtree(self.dir, ignore_errors=True)
