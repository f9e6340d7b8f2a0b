"""nginx's configuration: by nginx itself where it is, and by its words everywhere."""

import asyncio
import re
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.deploy.files import DEPLOY, PORT
from tests.e2e.test_serve import free_port
from tradefleet.surfaces.api import live

CONFIGURATION = (DEPLOY / "nginx" / "nginx.conf").read_text()
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
WITHOUT = "NO NGINX HERE: only the words of its configuration were looked at"


def blocks_of(name: str) -> list[str]:
    return re.findall(rf"{name} \{{\n(.*?)\n        \}}", CONFIGURATION, re.DOTALL)


def test_every_brace_is_closed_and_every_line_ended():
    lines = [line.partition("#")[0].strip() for line in CONFIGURATION.splitlines()]
    assert sum(line.count("{") for line in lines) == sum(line.count("}") for line in lines)
    assert [line for line in lines if line and line[-1] not in "{};"] == []


def test_it_passes_everything_on_to_the_service():
    assert f"server trading-bot:{PORT};" in CONFIGURATION
    (everything,) = blocks_of("location /")
    (api,) = blocks_of("location /api/")
    assert everything.strip() == api.strip() == "proxy_pass http://tradefleet;"


def test_it_says_where_a_request_comes_from():
    assert "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in CONFIGURATION


def test_live_events_stay_connected():
    assert live.PREFIX == "/api/v1"
    (stays,) = blocks_of(r"location ~ \^/api/v1/\(ws\|events\)\$")
    assert "proxy_buffering off;" in stays
    assert "proxy_read_timeout 1h;" in stays
    assert "proxy_set_header Upgrade $http_upgrade;" in CONFIGURATION


def test_nothing_is_sent_twice():
    """A write that is repeated by a proxy would be one that nobody asked for."""
    assert CONFIGURATION.count("proxy_next_upstream off;") == 1


# ---- by nginx itself


def certify(folder: Path) -> None:
    """Write a certificate of nobody's making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture
def configured(tmp_path):
    """The configuration with places and ports of this test: (its file, plain, TLS, ours)."""
    if NGINX is None:
        pytest.skip(WITHOUT)
    certify(tmp_path)
    plain, tls, ours = free_port(), free_port(), free_port()
    changes = {
        " /tmp/": f" {tmp_path}/",
        "listen 8080;": f"listen 127.0.0.1:{plain};",
        "listen 8443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        f"trading-bot:{PORT}": f"127.0.0.1:{ours}",
        "/etc/nginx/tls": str(tmp_path),
    }
    text = CONFIGURATION
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    return file, plain, tls, ours


def test_nginx_accepts_it(configured):
    file, *_ = configured
    found = subprocess.run(
        [NGINX, "-t", "-e", "stderr", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "warn" not in found.stderr


async def test_through_nginx_requests_and_web_sockets_reach_the_service(configured):
    file, plain, tls, ours = configured

    async def tell(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(await socket.receive_str())
            return socket
        return web.json_response({"path": request.path_qs, **request.headers})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", ours).start()
    process = await asyncio.create_subprocess_exec(
        NGINX, "-e", "stderr", "-c", str(file), "-g", "daemon off;", stderr=subprocess.DEVNULL
    )
    trusting = ssl.create_default_context(cafile=str(file.parent / "fullchain.pem"))
    trusting.check_hostname = False
    try:
        async with ClientSession(connector=TCPConnector(ssl=trusting)) as session:
            await reached(plain)
            secure = f"https://127.0.0.1:{tls}"
            for path in ("/", "/api/v1/status?a=b", "/health", "/docs"):
                spoofed = {"X-Forwarded-For": "6.6.6.6"}
                async with session.get(secure + path, headers=spoofed) as answer:
                    told = await answer.json()
                assert told["path"] == path
                assert told["X-Forwarded-For"] == "6.6.6.6, 127.0.0.1", "the end is nginx's own"
                assert told["X-Forwarded-Proto"] == "https"
                assert "Upgrade" not in told
            async with session.get(f"{secure}/metrics") as answer:
                assert answer.status == 404
            async with session.post(f"{secure}/api/x", data=BytesIO(bytes(1_100_000))) as answer:
                assert answer.status == 413
            async with session.ws_connect(f"{secure}/api/v1/ws") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "hello"
            where = f"http://127.0.0.1:{plain}/a?b"
            async with session.get(where, allow_redirects=False) as answer:
                assert answer.status == 301
                assert answer.headers["Location"] == "https://127.0.0.1/a?b"
    finally:
        process.terminate()
        await process.wait()
        await runner.cleanup()


async def reached(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise AssertionError("nginx did not start")
