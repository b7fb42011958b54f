"""Mutual TLS with certificates made by openssl: who may be whom, and rotation without a restart."""
import json
import subprocess

import pytest
import redis

from harness import BIN, dataset, eventually, http, subscription


class Authority:
    """A CA in a directory of its own."""

    def __init__(self, path):
        self.dir = path
        path.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj",
                     "/CN=test authority")
        self.ca = path / "ca.pem"

    def openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.dir, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, name, san, cert=None):
        """Options of a program with a new certificate. `san`: "DNS:x,URI:y"."""
        cert = cert or name
        (self.dir / f"{name}.ext").write_text(f"subjectAltName={san}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out",
                     f"{name}.pem")
        return {"tls_cert": self.dir / f"{name}.pem", "tls_key": self.dir / f"{name}.key",
                "insecure": None}


@pytest.fixture
def authority(world):
    return Authority(world.dir / "ca")


@pytest.fixture
def cp(world, authority):
    files = authority.issue("cp", "DNS:localhost,IP:127.0.0.1")
    cp = world.control_plane(**files, tls_client_ca=authority.ca)
    cp.declare(dataset("prices", "shop.eu", ["web", "shop.eu"]),
               subscription("w", "web", "prices"))
    return cp.start()


def agent(world, authority, cp, service, san, name=None):
    name = name or service
    return world.agent(service, cp, name=name, tls_ca=authority.ca,
                       **authority.issue(name, san)).start()


def test_spiffe_and_dns_identities(world, authority, cp):
    owner = agent(world, authority, cp, "shop.eu", "URI:spiffe://corp.example/ns/eu/sa/shop")
    web = agent(world, authority, cp, "web", "DNS:web")
    web.wait_synced("prices")
    owner.redis().set("prices/a", "1")
    eventually(lambda: web.redis().get("prices/a") == "1")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        web.redis().set("prices/a", "2")


def test_node_id_must_be_the_proven_identity(world, authority, cp):
    liar = agent(world, authority, cp, "web", "DNS:mallory")
    eventually(lambda: "mallory" in liar.tail() or "mallory" in cp.tail(), "a word on the refusal")
    with pytest.raises(redis.RedisError):
        liar.redis().get("prices/a")
    assert not liar.copies() or all(c["state"] != "SYNCED" for c in liar.copies().values())
    assert http(liar.admin, "/ready")[0] == 503


def test_strangers_are_kept_out(world, authority, cp):
    other = Authority(world.dir / "other-ca")
    forged = world.agent("web", cp, name="forged", tls_ca=authority.ca,
                         **other.issue("web", "DNS:web")).start()
    plain = world.agent("web", cp, name="plain", subscribe="prices").start()
    deceived = world.agent("web", cp, name="deceived", tls_ca=other.ca,
                           **authority.issue("web2", "DNS:web")).start()
    honest = agent(world, authority, cp, "web", "DNS:web", name="honest").wait_synced("prices")
    for stranger in (forged, plain, deceived):
        assert http(stranger.admin, "/ready")[0] == 503, stranger.name
        assert not stranger.synced("prices")
    assert honest.redis().get("prices/a") is None


def ctl(authority, cp, name, san, *args):
    authority.issue(name, san)
    argv = [BIN / "tributaryctl", "--control-plane", cp.address, "--tls-ca", authority.ca,
            "--tls-cert", authority.dir / f"{name}.pem", "--tls-key",
            authority.dir / f"{name}.key", *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_ctl_is_who_its_certificate_says(world, authority, cp):
    put = ctl(authority, cp, "s", "URI:spiffe://corp.example/ns/eu/sa/shop", "put", "prices", "k",
              "v")
    assert put.returncode == 0, put.stderr
    theft = ctl(authority, cp, "w", "DNS:web", "put", "prices", "k", "stolen")
    assert theft.returncode != 0 and "shop.eu" in theft.stderr
    listed = ctl(authority, cp, "w", "DNS:web", "get", "datasets", "-o", "json")
    assert "prices" in json.dumps(json.loads(listed.stdout))


def test_admin_rights(world, authority):
    files = authority.issue("cp2", "DNS:localhost,IP:127.0.0.1")
    cp = world.control_plane(name="cp2", **files, tls_client_ca=authority.ca,
                             admin_service="operator").start()
    file = world.dir / "stock.yaml"

    def apply(who, *objects):
        file.write_text("\n---\n".join(json.dumps(o) for o in objects))
        return ctl(authority, cp, who, f"DNS:{who}", "apply", "-f", file)

    assert apply("operator", dataset("stock", "depot")).returncode == 0
    assert apply("depot", dataset("own", "depot")).returncode == 0  # what it owns itself
    refused = apply("thief", dataset("stock", "thief"))
    assert refused.returncode != 0 and "thief" in refused.stderr
    assert apply("thief", subscription("s", "depot", "stock")).returncode != 0


def test_certificates_rotate_without_a_restart(world, authority, cp):
    """New certificates of a new CA for both sides, written over the old files."""
    owner = agent(world, authority, cp, "shop.eu", "DNS:shop.eu")
    web = agent(world, authority, cp, "web", "DNS:web").wait_synced("prices")
    fresh = Authority(world.dir / "new-ca")
    for name, san in (("cp", "DNS:localhost,IP:127.0.0.1"), ("shop.eu", "DNS:shop.eu"),
                      ("web", "DNS:web")):
        fresh.issue(name, san)
        for kind in ("key", "pem"):
            (fresh.dir / f"{name}.{kind}").rename(authority.dir / f"{name}.{kind}")
    (authority.dir / "ca.pem").write_text(fresh.ca.read_text())
    late = world.agent("web", cp, name="late", tls_ca=fresh.ca,
                       **fresh.issue("late", "DNS:web")).start()
    late.wait_synced("prices")  # the control plane shows and trusts the new ones
    for program in (owner, web, cp):
        assert program.process.poll() is None
    eventually(lambda: owner.redis().set("prices/a", "1"))
    eventually(lambda: late.redis().get("prices/a") == "1")
    eventually(lambda: web.redis().get("prices/a") == "1")
