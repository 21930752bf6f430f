"""A real Caddy and a real nginx with the files of deploy/, each on ports of its own."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT, free_port
from tests.support.tools import running, said, self_signed, tool

NGINX_MAIN = """
daemon off;
{user}
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/glossline.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """One that runs."""

    port: int
    """Of TLS."""
    http_port: int
    certificate: Path
    """Of the authority that its certificate is from."""

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs in order to trust it."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"


@contextmanager
def caddy(folder: Path, upstreams: list[str], grpc_upstream: str, max_body_mb: int) -> Iterator[Proxy]:
    """upstreams: HOST:PORT of the service's processes; grpc_upstream: of its gRPC."""
    program, port, http_port = tool("caddy"), free_port(), free_port()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "SITE_ADDRESS": "localhost",
        "HTTP_PORT": str(http_port),
        "HTTPS_PORT": str(port),
        "UPSTREAM": " ".join(upstreams),
        "GRPC_UPSTREAM": grpc_upstream,
        "MAX_BODY": str(max_body_mb << 20),
    }
    options = ["--config", str(ROOT / "deploy/Caddyfile"), "--adapter", "caddyfile"]
    said([program, "validate", *options], folder, environment)
    with _running([program, "run", *options], folder, port, environment):
        root = folder / "data/caddy/pki/authorities/local/root.crt"
        yield Proxy(port, http_port, root)


@contextmanager
def nginx(folder: Path, upstreams: list[str], grpc_upstream: str, max_body_mb: int) -> Iterator[Proxy]:
    """upstreams: as for `caddy`."""
    program, port, http_port = tool("nginx"), free_port(), free_port()
    certificate, key = self_signed(folder)
    values = {
        "SERVER_NAME": "localhost",
        "HTTP_PORT": f"127.0.0.1:{http_port}",
        "HTTPS_PORT": f"127.0.0.1:{port}",
        "UPSTREAM": ";\n    server ".join(upstreams),
        "GRPC_UPSTREAM": grpc_upstream,
        "MAX_BODY": f"{max_body_mb}m",
        "TLS_CERTIFICATE": str(certificate),
        "TLS_KEY": str(key),
    }
    template = (ROOT / "deploy/nginx/glossline.conf.template").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{([A-Z_]+)\}", lambda found: values[found.group(1)], template)  # what envsubst does
    (folder / "glossline.conf").write_text(filled, encoding="utf-8")
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX_MAIN.format(folder=folder, user=user), encoding="utf-8")
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    said([*command, "-t"], folder)
    with _running(command, folder, port, dict(os.environ)):
        yield Proxy(port, http_port, certificate)


@contextmanager
def _running(command: list[str], folder: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    log = folder / "log"
    with running(command, log, cwd=folder, env=environment) as process:
        deadline = time.monotonic() + 120
        while not _speaks_tls(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield


def _speaks_tls(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False
