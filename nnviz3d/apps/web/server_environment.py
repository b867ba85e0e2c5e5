"""Addresses of the page from other machines: through a proxy or hub, over SSH, and from outside a container."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnviz3d.apps.web.origins import PublicAddress, PublicOrigin, bracketed, public_address
from nnviz3d.apps.web.security import is_loopback, is_wildcard
from nnviz3d.errors import UserError

_CONTAINER_FILES = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman make in the root of every container."""
_SSH_PORT = "22"


@dataclass(frozen=True)
class ServerEnvironment:
    """The environment of this process, as far as it says where the user's browser runs.

    Parameters
    ----------
    environ
        The environment variables.
    port
        The port that the server listens at.
    root
        The root of the file system.
    """

    environ: Mapping[str, str]
    port: int
    root: Path = Path("/")

    def trusted(self, public: PublicAddress) -> PublicAddress:
        """Add the origins of a hub and of code-server, whose variables only the user's own account can set."""
        found = (re.match(r"https?://[^/?#]+", address) for address in (self._hub, self._ide))
        origins = list(public.origins)
        for one in found:
            try:
                origins.extend(public_address((one[0],), None).origins if one is not None else ())
            except UserError:
                continue  # a variable that another program set is no mistake of this user
        return replace(public, origins=tuple(dict.fromkeys(origins)))

    def instructions(self, host: str, public: PublicAddress, secret: str) -> list[str]:
        """Return sentences that say what to open or to type elsewhere; none if the browser runs on this machine.

        Parameters
        ----------
        host
            The address that the server is bound to.
        public
            The trusted origins and the base path.
        secret
            The token, as it stands in an address.
        """
        query = f"?secret={secret}"
        # An origin on the loopback is that of a notebook around the page.
        proxies = [origin for origin in public.origins if not is_loopback(origin.endpoint.name)]
        if self.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
            return [self._on_hub(proxies, public.base_path, query)]
        if self._ide:
            return [f"In code-server: {self._ide.rstrip('/')}/{query}"]
        if proxies:
            path = "" if public.base_path else ", with the proxy's own path, if it has one, before the question mark"
            return [f"Through the proxy: {proxies[0]}{public.base_path}/{query}{path}"]
        if self.environ.get("VSCODE_IPC_HOOK_CLI"):
            return ["VS Code forwards the port: open the address, as its view Ports shows it, in your own browser."]
        if self.environ.get("SSH_CONNECTION"):
            return [self._over_ssh()]
        if self._in_container and not (self.environ.get("DISPLAY") or self.environ.get("WAYLAND_DISPLAY")):
            return [self._from_container(host, query)]
        return []

    @property
    def _hub(self) -> str:
        return self.environ.get("JUPYTERHUB_PUBLIC_URL", "") or self.environ.get("JUPYTERHUB_HOST", "")

    @property
    def _ide(self) -> str:
        address = self.environ.get("VSCODE_PROXY_URI", "").replace("{{port}}", str(self.port))
        return address if re.match(r"https?://[^{]*$", address) else ""

    def _on_hub(self, proxies: Sequence[PublicOrigin], base_path: str, query: str) -> str:
        prefix = self.environ["JUPYTERHUB_SERVICE_PREFIX"].strip("/")
        path = base_path or f"/{prefix}/proxy/{self.port}"
        if proxies:
            return f"On JupyterHub, by its extension jupyter-server-proxy: {proxies[0]}{path}/{query}"
        return (
            f"On JupyterHub, by its extension jupyter-server-proxy: start nnviz3d with --origin https://HUB, the address "
            f"of your hub, and open https://HUB{path}/{query}"
        )

    def _over_ssh(self) -> str:
        # The variable holds the addresses and ports of both ends, the server's last.
        _, _, server, ssh_port = (self.environ["SSH_CONNECTION"].split() + [""] * 4)[:4]
        option = f"-p {ssh_port} " if ssh_port not in ("", _SSH_PORT) else ""
        name = f"{self.environ.get('USER') or 'USER'}@{server or 'HOST'}"
        return f"From your own computer, first type: ssh {option}-N -L {self.port}:localhost:{self.port} {name}"

    @property
    def _in_container(self) -> bool:
        return bool(self.environ.get("container") or self.environ.get("KUBERNETES_SERVICE_HOST")) or any(
            (self.root / name).exists() for name in _CONTAINER_FILES
        )

    def _from_container(self, host: str, query: str) -> str:
        if is_wildcard(host):
            return (
                f"From outside the container, which publishes the port by docker run -p {self.port}:{self.port}: "
                f"http://localhost:{self.port}/{query}"
            )
        if is_loopback(host):
            return (
                f"From outside the container: start it with docker run -p {self.port}:{self.port}, and nnviz3d with "
                f"--host 0.0.0.0 --port {self.port}."
            )
        return f"From outside the container: http://{bracketed(host)}:{self.port}/{query}"
