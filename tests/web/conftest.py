"""What the tests of the site share."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from fixtures.stack import Stack
from fixtures.wait import wait_for

ENGINE_LAG_S = 10  # a line is printed before the engine has it, and a request's last one after its answer

Told = Callable[[Stack, requests.Response], list[dict[str, Any]]]


@pytest.fixture
def told() -> Told:
    """Give what the app's log tells of an answer, once its last line has come."""

    def lines(stack: Stack, answer: requests.Response) -> list[dict[str, Any]]:
        request = answer.headers["X-Request-Id"]

        def whole() -> list[dict[str, Any]]:
            found = [line for line in stack.service("app").events() if line.get("request") == request]
            return found if "request" in {line["event"] for line in found} else []

        return wait_for(f"the log of request {request}", whole, ENGINE_LAG_S, story=stack.story)

    return lines
