"""What a deploy says: the plan of one that changes nothing, and the end of one that is live."""

from rich.markup import escape

from ops.errors import Ending
from ops.story import Story


def plan(story: Story) -> int:
    """Tell what would be done."""
    former, wanted, vouched = story.former, story.wanted, story.choice.vouched
    proven = (
        f"vouched for by {vouched.report}"
        if vouched.report
        else f"without a report: {vouched.without or 'live before'}"
    )
    lines = [
        f"Would {story.wish.verb} [bold]{escape(wanted.id)}[/] in the place of {escape(former.id)}, {escape(proven)}",
        *story.found.checks,
        "Then: a verified snapshot; the candidate on a copy of it; the switch, while the gate holds the visitors; "
        f"a watch of {story.wish.watch_s:.0f} s",
        *(
            [f"The data of {story.entry.data_from} would come back; what was written since would be gone"]
            if story.entry.data_from
            else []
        ),
        *_about_the_gate(story),
        "Nothing was changed.",
    ]
    story.ui.say(*lines)
    story.ui.emit(
        {"outcome": "planned", "code": 0, "from": former.id, "to": wanted.id, "report": vouched.report}
        | {
            "without_report": vouched.without,
            "database_bytes": story.found.database_bytes,
            "data_from": story.entry.data_from,
        }
        | {"gate_differs": story.gate_differs()}
    )
    return Ending.LIVE


def live(story: Story, unfinished: str | None) -> None:
    """Tell that it is, and what has not followed yet."""
    hold = story.times.phases.get("hold", 0) / 1000
    deployed = story.wish.verb == "deploy"
    back = f"./stack {'rollback' if deployed else f'deploy --release {story.former.id}'} goes back."
    story.ui.say(
        f"Release [bold]{escape(story.wanted.id)}[/] is live; visitors waited {hold:.1f} s at most.",
        f"Before it: {escape(story.former.id)}, data in {story.entry.snapshot} and data/balades.db.backup; {back}",
        *_about_the_gate(story),
    )
    story.ui.emit({**story.document("live", Ending.LIVE), "unfinished": unfinished})


def _about_the_gate(story: Story) -> list[str]:
    if story.wish.verb != "deploy" or not story.gate_differs():
        return []
    if story.wish.with_gate:
        return ["The gate differs too and would be exchanged last: for about two seconds nobody is answered."]
    return ["The gate differs too and stays as it is: --with-gate exchanges it, for about two seconds without answers."]
