"""Which function answers to which verb."""

import argparse
from collections.abc import Callable

from .verbs import bring_back, deploying, now, proof, shelf
from .work import Work

VERBS: dict[str, Callable[[argparse.Namespace, Work], int]] = {
    "now": now.now,
    "list": shelf.show,
    "verify": proof.verify_all,
    "drill": proof.rehearse,
    "rotate": shelf.rotate,
    "unpin": shelf.unpin,
    "restore": bring_back.bring_back,
    "keep": deploying.keep,
    "put-back": deploying.put_back,
    "lay-out": deploying.lay_out,
}
