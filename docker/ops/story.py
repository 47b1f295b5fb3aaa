"""One deploy or rollback, as far as it has come; nothing is done here."""

from dataclasses import dataclass, field
from typing import Any

from ops import container, journal, preflight, releases
from ops.actor import actor
from ops.journal import Entry, Phase
from ops.release import Release
from ops.settings import Settings
from ops.switch import Times, Two
from ops.ui import Ui
from ops.wish import Choice, Wish


@dataclass
class Story:
    """One deploy, as far as it has come."""

    wish: Wish
    ui: Ui
    two: Two
    former: Release
    choice: Choice
    found: preflight.Found
    entry: Entry
    times: Times = field(default_factory=Times)
    start_s: float = 0.0  # of the candidate

    @property
    def settings(self) -> Settings:
        """Of the stack."""
        return self.two.wanted.settings

    @property
    def wanted(self) -> Release:
        """The release to go to."""
        return self.choice.wanted

    def gate_differs(self) -> bool:
        """Whether the gate that runs is not the wanted release's."""
        return container.inspect(self.two.wanted.container("gate")).image != self.wanted.images["gate"].id

    def document(self, said: str, code: int) -> dict[str, Any]:
        """As JSON tells how it ended."""
        return {
            "outcome": said,
            "code": int(code),
            "changed": True,
            "id": self.entry.id,
            "from": self.entry.from_,
            "to": self.entry.to,
            "snapshot": self.entry.snapshot,
            "schema_changes": self.entry.schema_changes,
            "phases_ms": self.times.phases,
            **{key: self.entry.about[key] for key in ("report", "without_report")},
        }


def new_entry(wish: Wish, former: Release, choice: Choice, found: preflight.Found) -> Entry:
    """Begin its entry of the journal, which is not written yet."""
    wanted, vouched = choice.wanted, choice.vouched
    began = journal.now()
    return Entry(
        id=journal.new_id(),
        verb=wish.verb,
        from_=former.id,
        to=wanted.id,
        from_image=found.app_image,
        to_image=wanted.images["app"].id,
        actor=actor(),
        began=began,
        phase=Phase.DRAINING,
        snapshot="",
        at=began,
        data_from=choice.data_from,
        about={
            "from_images": releases.image_ids(former),
            "to_images": releases.image_ids(wanted),
            "commit": wanted.source.commit,
            "report": vouched.report,
            "report_sha256": vouched.sha256,
            "without_report": vouched.without,
        },
    )
