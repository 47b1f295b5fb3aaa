"""The site as a visitor meets it: three questions through the gate, none of which it holds."""

import http.client
import json
import time
from urllib.parse import urlsplit

from ops.monitor.facts import Answer, Silent, Site, Unseen

DEADLINE_S = 3.0
_BODY_BYTES = 65536


def ask(url: str, deadline_s: float = DEADLINE_S) -> Site:
    """Ask the gate for itself, then the site for its health and whether it takes traffic.

    What stands behind a silent gate is not asked, and a site that gave no answer is not asked again.
    """
    gate = _get(url, "/gate/live", deadline_s)
    if isinstance(gate, Silent):
        return Site(url, gate, Unseen("the gate does not answer"), Unseen("the gate does not answer"))
    health = _get(url, "/api/health", deadline_s)
    if isinstance(health, Silent):
        return Site(url, gate, health, Unseen("the site does not answer"))
    return Site(url, gate, health, _get(url, "/api/ready", deadline_s))


def _get(url: str, path: str, deadline_s: float) -> Answer | Silent:
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=deadline_s)
    begun = time.perf_counter()
    try:
        line.request("GET", path, headers={"User-Agent": "monsite-monitor", "Connection": "close"})
        answer = line.getresponse()
        body = answer.read(_BODY_BYTES)
    except TimeoutError:
        return Silent(f"no answer from {path} within {deadline_s:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Silent(f"no answer from {path} ({getattr(error, 'strerror', None) or error or type(error).__name__})")
    finally:
        line.close()
    return Answer(answer.status, _said(body), round((time.perf_counter() - begun) * 1000, 1))


def _said(body: bytes) -> str:
    """Return the word of a body that matters: its error, else its status."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(told.get("error") or told.get("status") or "") if isinstance(told, dict) else ""
