"""One container as the engine knows it."""

import json
from dataclasses import dataclass

from ops.compose import run

NEVER = "0001-01-01"  # how the engine writes that something has not yet been


@dataclass(frozen=True)
class Container:
    """How it stands."""

    status: str  # running, exited, restarting, created …, or "missing"
    image: str  # sha256:…
    restarts: int
    exit_code: int
    oom_killed: bool
    ever_ran: bool

    @property
    def runs(self) -> bool:
        """Whether it has a process that can be asked."""
        return self.status == "running"

    def told(self) -> str:
        """In words."""
        oom = ", killed for memory" if self.oom_killed else ""
        return f"{self.status} with exit code {self.exit_code}, {self.restarts} restarts{oom}"


MISSING = Container("missing", "", 0, 0, oom_killed=False, ever_ran=False)


def inspect(name: str) -> Container:
    """Look at it."""
    done = run(["docker", "container", "inspect", name], check=False)
    found = json.loads(done.stdout or "[]")
    if not found:
        return MISSING
    state = found[0]["State"]
    return Container(
        status=state["Status"],
        image=found[0]["Image"],
        restarts=found[0]["RestartCount"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        ever_ran=not state["StartedAt"].startswith(NEVER),
    )


def last_words(name: str, lines: int = 8) -> str:
    """The end of its log."""
    done = run(["docker", "logs", "--tail", str(lines), name], check=False)
    return (done.stdout + done.stderr).strip() or "nothing"
