"""The pages, from / to /developers, and Swagger UI; all files come from this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

from app.signer import SAMPLES

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).resolve().parents[1] / "web"
#: The package swagger-ui-py carries Swagger UI 5, which reads OpenAPI 3.1; only its files are used, never its code.
_SWAGGER_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Glossline API</title>
<link rel="icon" href="/docs/static/favicon-32x32.png">
<link rel="stylesheet" href="/docs/static/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/docs/static/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_DOCS_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  tryItOutEnabled: true,
});
"""
_CACHED = {"Cache-Control": "public, max-age=3600"}
#: The client for pages of others; its modules lie with those of the page.
_CLIENT = 'export * from "./web/glossline.js";\n'
#: This worker alone may compile WebAssembly; a worker has the policy of its own script, not that of the page.
_WORKER = "landmark_worker.js"
_WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


def _swagger_folder() -> Path | None:
    spec = find_spec("swagger_ui")
    return Path(spec.origin).parent / "static" if spec is not None and spec.origin else None


@router.api_route("/", methods=["GET", "HEAD"])
async def index() -> Response:
    return FileResponse(WEB / "index.html", media_type="text/html")


@router.api_route("/captions", methods=["GET", "HEAD"])
async def captions() -> Response:
    """Captions alone, of the sessions that the link names."""
    return FileResponse(WEB / "captions.html", media_type="text/html")


@router.api_route("/conversation", methods=["GET", "HEAD"])
async def conversation() -> Response:
    """Two people talk, in signs and in speech."""
    return FileResponse(WEB / "conversation.html", media_type="text/html")


@router.api_route("/teach", methods=["GET", "HEAD"])
async def teach() -> Response:
    return FileResponse(WEB / "teach.html", media_type="text/html")


@router.api_route("/account", methods=["GET", "HEAD"])
async def account() -> Response:
    return FileResponse(WEB / "account.html", media_type="text/html")


@router.api_route("/developers", methods=["GET", "HEAD"])
async def developers() -> Response:
    return FileResponse(WEB / "developers.html", media_type="text/html")


@router.api_route("/training", methods=["GET", "HEAD"])
async def training() -> Response:
    return FileResponse(WEB / "training.html", media_type="text/html")


@router.get("/web/{name}")
async def web_file(name: str) -> Response:
    # Only names that lie in the folder right now: nothing a client writes is ever joined into a path elsewhere.
    if name not in {entry.name for entry in WEB.iterdir() if entry.is_file()}:
        raise HTTPException(404)
    # A page of one version and a script of another do not fit together; the files are small.
    headers = {"Cache-Control": "no-cache"}
    if name == _WORKER:
        headers["Content-Security-Policy"] = _WORKER_POLICY
    return FileResponse(WEB / name, headers=headers)


@router.get("/glossline.js")
async def client() -> Response:
    return Response(_CLIENT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/samples")
async def samples() -> dict[str, list[str]]:
    """Videos of the prototype signer, for people without a camera."""
    return {"samples": sorted(path.name for path in SAMPLES.glob("*.mp4"))}


@router.get("/samples/{name}")
async def sample(name: str) -> Response:
    if name not in (await samples())["samples"]:
        raise HTTPException(404)
    return FileResponse(SAMPLES / name, media_type="video/mp4", headers=_CACHED)


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> Response:
    return HTMLResponse(_DOCS_PAGE)


@router.get("/docs/start.js")
async def docs_start() -> Response:
    return Response(_DOCS_START, media_type="text/javascript", headers=_CACHED)


@router.get("/docs/static/{name}")
async def docs_file(name: str) -> Response:
    folder = _swagger_folder()
    if folder is None or name not in _SWAGGER_FILES:
        raise HTTPException(404)
    return FileResponse(folder / name, media_type=_SWAGGER_FILES[name], headers=_CACHED)
