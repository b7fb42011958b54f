"""Tributary installed in an API server without nodes: its objects are applied, its programs run on
this host with the rights and files that their pods would have.
"""
from harness import Program, World, eventually, free_port, http
from manifests import at_url, render

SYSTEM = "tributary-system"


class Injector(Program):
    def __init__(self, installed, name, **options):
        self.admin = free_port()
        super().__init__(installed.world, name, "tributary-control-plane", {
            **installed.api("injector"), "webhook_only": True,
            "webhook_listen": f"127.0.0.1:{installed.webhook_port}",
            "admin": f"127.0.0.1:{self.admin}", "webhook_host": "127.0.0.1",
            "agent_image": "registry.example/agent:1",
            "agent_control_plane": f"127.0.0.1:{installed.cp_port}", **options})

    def is_up(self):
        return super().is_up() and http(self.admin, "/ready")[0] == 200


class KubeControlPlane(Program):
    def __init__(self, installed):
        self.port, self.admin = installed.cp_port, free_port()
        self.address = f"127.0.0.1:{self.port}"
        tls = installed.files(installed.kubectl.secret(SYSTEM, "tributary-server-tls"))
        super().__init__(installed.world, "cp", "tributary-control-plane", {
            **installed.api("control-plane"), "kubernetes": True, "listen": self.address,
            "admin": f"127.0.0.1:{self.admin}", "data_dir": installed.world.dir / "cp.data",
            "tls_cert": tls["tls.crt"], "tls_key": tls["tls.key"], "tls_client_ca": tls["ca.crt"]})


class Installed:
    def __init__(self, server):
        self.server, self.kubectl, self.world = server, server.kubectl, World()
        self.cp_port, self.webhook_port = free_port(), free_port()

    def start(self):
        self.objects = render(self.kubectl, self.world.dir, "base")
        for one in self.objects:
            if one["kind"].endswith("WebhookConfiguration"):
                at_url(one, f"https://127.0.0.1:{self.webhook_port}")
        first = [o for o in self.objects if o["kind"] in ("Namespace", "CustomResourceDefinition")]
        self.kubectl.apply(*first)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        self.kubectl.apply(*self.objects)
        self.injector = self.own(Injector(self, "injector")).start()
        eventually(lambda: self.kubectl.secret(SYSTEM, "tributary-server-tls"), "its secret")
        self.cp = self.own(KubeControlPlane(self)).start()
        return self

    def own(self, program):
        """The world ends it, and shows its log when a test has failed."""
        self.world.programs.append(program)
        return program

    def api(self, account):
        """How a program of this service account reaches the API server."""
        token = self.world.dir / f"{account}.token"
        token.write_text(self.kubectl.token(account, SYSTEM))
        return {"kubernetes_server": self.server.url, "kubernetes_ca": self.server.ca,
                "kubernetes_token_file": token}

    def files(self, texts):
        """{name: path} of files with these texts, as a mounted volume has them."""
        paths = {}
        for name, text in texts.items():
            paths[name] = self.world.dir / name
            paths[name].write_text(text)
        return paths

    def namespace(self, name, injection="enabled"):
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": name, "labels": {"tributary.dev/injection": injection}}})
        return name

    def account(self, name, space):
        self.kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount",
                            "metadata": {"name": name, "namespace": space}})
