"""A state-of-the-world client of no particular make. It checks what every response must be."""
from urllib.parse import quote

import xds
from stream import SECONDS, Stream
from world import NAMES, nothing

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
FENCE_TYPE = xds.PREFIX + "fence.v1.Fence"
WRAPPED = "xds.config.supports-resource-in-sotw"
QUIET = 0.3  # seconds after a fence: longer than the server gathers changes
BYTES_MAX = 4 * 1024 * 1024  # what gRPC takes by default


class Response:
    def __init__(self, data):
        fields = xds.SOTW_RESPONSE.decode(data)
        self.type, self.nonce = fields.get("type_url"), fields.get("nonce")
        self.version = fields.get("version_info")
        self.resources = fields.get("resources", [])
        self.errors = {e["resource_name"]["name"]: e["error_detail"]["code"]
                       for e in fields.get("resource_errors", [])}
        assert self.type and self.nonce and self.version
        assert fields["control_plane"]["identifier"] and len(data) <= BYTES_MAX

    def entries(self, wrapped=False):
        """{name: value}"""
        out = {}
        for any_ in self.resources:
            name = None
            if wrapped:
                assert any_["type_url"] == xds.RESOURCE_TYPE
                resource = xds.RESOURCE.decode(any_["value"])
                assert resource["version"] and "ttl" not in resource
                name, any_ = resource["name"], resource["resource"]
            assert any_["type_url"] == self.type
            entry = xds.ENTRY.decode(any_["value"])
            name = name or entry["name"]
            assert name not in out and "*" not in name
            out[name] = entry.get("value", b"").decode()
        return out


class Sotw(Stream):
    """`names` is what is wanted now, `version` what was accepted last."""

    def __init__(self, address, service, features=()):
        super().__init__(address, METHOD)
        self.service = service
        self.node = dict(id=service, client_features=list(features))
        self.wrapped = WRAPPED in features
        self.names, self.version, self.nonces, self.fences = [], None, set(), 0

    def name(self, key):
        special = key == "*" or key.startswith("xdstp:")
        return key if special else f"{NAMES}{self.service}/{quote(key, safe='')}"

    def send(self, names=None, nonce=None, err=None, version=None, type_url=xds.ENTRY_TYPE):
        if names is not None:
            self.names = list(names)
        fields = dict(node=self.node) if self.node else {}
        fields |= dict(type_url=type_url, resource_names=list(map(self.name, self.names)))
        version = version or self.version
        fields |= dict(version_info=version) if version else {}
        fields |= dict(response_nonce=nonce) if nonce is not None else {}
        fields |= dict(error_detail=dict(code=3, message=err)) if err is not None else {}
        self.node = None
        self.write(xds.SOTW_REQUEST.encode(**fields))

    def ack(self, response):
        self.version = response.version
        self.send(nonce=response.nonce)

    def nack(self, response):
        self.send(nonce=response.nonce, err="does not suit me")

    def receive(self, seconds=SECONDS):
        response = Response(self.read(seconds))
        assert response.nonce not in self.nonces, "a nonce used twice"
        self.nonces.add(response.nonce)
        return response

    def one(self, res=None, err=None, ack=True):
        """The next response, which must hold exactly this."""
        response = self.receive()
        wanted = {self.name(key): value for key, value in (res or {}).items()}
        assert response.entries(self.wrapped) == wanted
        assert response.errors == {self.name(key): code for key, code in (err or {}).items()}
        if ack:
            self.ack(response)
        return response

    def until(self, res, err=None):
        """Responses, of which only the last need hold exactly this: each is complete by itself."""
        wanted = {self.name(key): value for key, value in res.items()}
        while True:
            response = self.receive()
            self.ack(response)
            if response.entries(self.wrapped) == wanted:
                return response

    def quiet(self):
        """As Delta.quiet: a question of another type is answered, then nothing comes."""
        self.fences += 1
        name = f"xdstp:///fence.v1.Fence/{self.fences}"
        kept, self.names = self.names, [name]
        self.send(type_url=FENCE_TYPE, version="")
        response = self.receive()
        assert (response.type, list(response.errors)) == (FENCE_TYPE, [name]), vars(response)
        self.send(type_url=FENCE_TYPE, nonce=response.nonce, version=response.version)
        self.names = kept
        nothing(self, QUIET)
