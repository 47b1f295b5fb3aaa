"""A request in, a status out: the routes of the site. No SQL, no file system, no decisions about data."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from . import auth, exposition, pages, settings, standing
from .database import Database
from .doors import Doors
from .errors import Code, Problem
from .failures import NOT_FOUND, Handlers, said
from .front import Front
from .health import Answer, Health
from .logs import Log
from .metrics import Metrics
from .models import MAX_ID, Attachment, Failure, Filters, Walk, WalkFields, WalkPage
from .sniff import Kind
from .store import Store
from .traffic import Traffic
from .uploads import STORED_NAME, Uploads

JSON_BODY_BYTES = 256 * 1024  # the longest description in the widest encoding fits twice
FILE_POLICY = "default-src 'none'; sandbox"

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
By = Annotated[Filters, Query()]

configuration = settings.read()
log = Log(configuration.logs, configuration.log_level, configuration.log_max_bytes, secrets.token_hex(8))
database = Database(configuration, log)
store = Store(database)
uploads = Uploads(configuration, log)
doors = Doors(configuration, log)
traffic = Traffic()
health = Health(configuration, database, store, doors, log)
metrics = Metrics(configuration, health, store, traffic, doors)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open on the way in, checkpoint and close on the way out."""
    log.info("started", version=configuration.version)
    database.start()
    uploads.clear_incoming()
    sweeping = asyncio.create_task(sweep())
    if not doors.closed:
        await sweeping
    yield
    sweeping.cancel()
    database.stop()
    log.info("stopped")
    log.close()


async def sweep() -> None:
    """Clear what no walk names, once the site is open: a former version, put back, may need what this one does not."""
    await doors.wait_until_open()
    try:
        await uploads.sweep(store)
    except (Problem, OSError) as trouble:
        log.warning("uploads_not_swept", detail=str(trouble))


async def require_token(request: Request) -> None:
    """Let only writers pass; runs before a byte of the body is read."""
    auth.require_token(request, configuration, auth.WRITING)


async def walk_fields(request: Request) -> WalkFields:
    """Read and validate a walk; the body is capped while it comes in."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > JSON_BODY_BYTES:
            raise Problem(Code.TOO_LARGE, f"A walk may take {JSON_BODY_BYTES:,} bytes of JSON at most.")
    try:
        return WalkFields.model_validate_json(bytes(body))
    except ValidationError as error:
        found: Any = error.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(Code.INVALID_JSON, f"The body is not JSON. {found[0]['msg']}.") from None
        raise Problem(Code.INVALID_REQUEST, said(found)) from None


Fields = Annotated[WalkFields, Depends(walk_fields)]
ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Failure}, "5XX": {"model": Failure}}
WALK_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": WalkFields.model_json_schema()}},
    }
}
FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
BEARER: dict[str, Any] = {"security": [{"token": []}]}

api = APIRouter(prefix="/api", responses=ERRORS)
writing = APIRouter(prefix="/api", responses=ERRORS, dependencies=[Depends(require_token)])
site = APIRouter(include_in_schema=False)


# --- three questions of health -------------------------------------------------------------------


def said_by(answer: Answer) -> Response:
    """Turn an answer of health into a response."""
    return pages.as_json(answer.body, answer.status, {"cache-control": "no-store"})


@api.get("/live")
async def live() -> Response:
    """Say that the process answers."""
    return said_by(health.live())


@api.get("/ready")
async def ready() -> Response:
    """Say whether the site may take traffic."""
    return said_by(await health.ready())


@api.get("/health")
async def healthy() -> Response:
    """Say whether the site is well: it writes, has space, and the schema fits."""
    return said_by(await health.healthy())


@api.get("/traffic", include_in_schema=False)
async def in_flight(request: Request) -> Response:
    """Say what is being served, to the container itself; whatever comes through the gate finds nothing here."""
    if "x-forwarded-for" in request.headers:
        raise Problem(Code.NOT_FOUND, NOT_FOUND)
    return pages.as_json(traffic.seen(), 200, {"cache-control": "no-store"})


@api.get("/metrics", include_in_schema=False)
async def figures(request: Request) -> Response:
    """Tell the site in figures, to whoever holds the metrics token."""
    auth.require_token(request, configuration, auth.METRICS)
    text = exposition.render(await metrics.families())
    return Response(text, 200, {"cache-control": "no-store"}, exposition.CONTENT_TYPE)


# --- walks, for programs -------------------------------------------------------------------------


@api.get("/walks", response_model=WalkPage)
async def list_walks(by: By) -> Response:
    """List walks, newest first."""
    return pages.as_json(await store.walks(by))


@api.get("/walks/{walk_id}", response_model=Walk)
async def get_walk(walk_id: Id) -> Response:
    """Show a walk."""
    return pages.as_json(await store.walk(walk_id))


@writing.post("/walks", status_code=201, response_model=Walk, openapi_extra=WALK_BODY | BEARER)
async def create_walk(fields: Fields) -> Response:
    """Add a walk."""
    walk = await store.create(fields)
    log.info("walk_created", walk=walk.id)
    return pages.as_json(walk, 201, {"location": f"/api/walks/{walk.id}"})


@writing.put("/walks/{walk_id}", response_model=Walk, openapi_extra=WALK_BODY | BEARER)
async def update_walk(walk_id: Id, fields: Fields) -> Response:
    """Replace what a walk says; what is attached to it stays."""
    walk = await store.update(walk_id, fields)
    log.info("walk_updated", walk=walk_id)
    return pages.as_json(walk)


@writing.delete("/walks/{walk_id}", status_code=204, response_class=Response, openapi_extra=BEARER)
async def delete_walk(walk_id: Id) -> Response:
    """Remove a walk and what is attached to it."""
    uploads.touch(await store.delete(walk_id))
    log.info("walk_deleted", walk=walk_id)
    return Response(status_code=204)


@writing.post("/walks/{walk_id}/images", status_code=201, response_model=Attachment, openapi_extra=FILE_BODY | BEARER)
async def add_image(walk_id: Id, request: Request) -> Response:
    """Attach a photo: JPEG, PNG or WebP."""
    return await attach(walk_id, request, Kind.IMAGE)


@writing.post(
    "/walks/{walk_id}/documents", status_code=201, response_model=Attachment, openapi_extra=FILE_BODY | BEARER
)
async def add_document(walk_id: Id, request: Request) -> Response:
    """Attach a document: PDF or GPX."""
    return await attach(walk_id, request, Kind.DOCUMENT)


async def attach(walk_id: int, request: Request, kind: Kind) -> Response:
    """Take a file for a walk that exists."""
    await store.walk(walk_id)
    stored = await uploads.receive(request, kind)
    attachment = await store.attach(walk_id, stored.found, stored.sha256, stored.size, stored.name)
    log.info("attached", walk=walk_id, attachment=attachment.id, sha256=stored.sha256, bytes=stored.size)
    return pages.as_json(attachment, 201, {"location": attachment.url})


@writing.delete(
    "/walks/{walk_id}/attachments/{attachment_id}", status_code=204, response_class=Response, openapi_extra=BEARER
)
async def delete_attachment(walk_id: Id, attachment_id: Id) -> Response:
    """Remove a photo or a document from a walk."""
    uploads.touch(await store.detach(walk_id, attachment_id))
    log.info("detached", walk=walk_id, attachment=attachment_id)
    return Response(status_code=204)


# --- pages, for people ---------------------------------------------------------------------------


@site.get("/")
async def list_page(by: By) -> Response:
    """Show the list with its search and filters."""
    walks, regions = await store.walks_and_regions(by)
    return pages.page("list.html", walks=walks, regions=regions, by=by)


@site.get("/walks/{walk_id}")
async def walk_page(walk_id: Id) -> Response:
    """Show one walk with its photos and documents."""
    return pages.page("walk.html", walk=await store.walk(walk_id))


@site.get("/api")
async def api_page() -> Response:
    """Show how programs read and write."""
    return pages.page("api.html", limits=configuration)


@site.get("/status")
async def status_page() -> Response:
    """Show how the site and its backups are doing."""
    seen = await standing.look(configuration, health)
    return pages.page("status.html", headers={"cache-control": "no-store"}, standing=seen, axis=standing.AXIS)


@site.get("/static/{name}")
async def static_file(name: str, request: Request) -> Response:
    """Serve one of the few static files."""
    found = pages.static(request, name)
    if found is None:
        raise Problem(Code.NOT_FOUND, "There is no such file.")
    return found


@site.get("/uploads/{folder}/{name}")
async def uploaded_file(folder: str, name: str) -> Response:
    """Serve what a visitor sent, as what it was found to be and never as anything that could run."""
    match = STORED_NAME.fullmatch(name)
    kind = {"images": Kind.IMAGE, "documents": Kind.DOCUMENT}.get(folder)
    if match is None or kind is None:
        raise Problem(Code.NOT_FOUND, "There is no such file.")
    known = await store.attachment(kind, match[1], match[2])
    path = uploads.path(f"{folder}/{name}")
    if not path.is_file():
        raise Problem(Code.NOT_FOUND, "This file is not in the folder of uploads.")
    shown = "inline" if kind is Kind.IMAGE else "attachment"
    return FileResponse(
        path,
        media_type=known.type,
        headers={
            "content-disposition": f"{shown}; filename*=UTF-8''{quote(known.name, safe='')}",
            "content-security-policy": FILE_POLICY,
            "cache-control": "public, max-age=31536000, immutable",
        },
    )


def build() -> FastAPI:
    """Put the site together."""
    handlers = Handlers(log)
    built = FastAPI(
        title="Balades",
        version=configuration.version,
        summary="Walks that people take: read by all, written with a token.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # both would load scripts from elsewhere; /api says what there is
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from the visitor's Host header
        lifespan=lifespan,
        exception_handlers={
            Problem: handlers.problem,
            HTTPException: handlers.http,
            RequestValidationError: handlers.invalid,
        },
    )
    for router in (api, writing, site):
        built.include_router(router)
    built.add_middleware(Front, log=log, doors=doors, traffic=traffic)
    return built


app = build()
