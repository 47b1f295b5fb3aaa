"""What Compose leaves when it is killed while it exchanges a container: the new one, named for the meantime."""

import re

from ops.compose import Compose, run


def put_right(compose: Compose) -> None:
    """Give each the name that it was to have; where the former one has it still, the new one goes: it never ran.

    By that name everything else knows it, and Compose itself would leave it as it is. The caller holds the lock.
    """
    project = compose.settings.project
    meantime = re.compile(rf"[0-9a-f]{{12}}_(?P<name>{re.escape(project)}-.+)")
    ours = ("--filter", f"label=com.docker.compose.project={project}", "--format", "{{.Names}}")
    there = run(["docker", "ps", "--all", *ours]).stdout.split()
    for name in there:
        if found := meantime.fullmatch(name):
            run(["docker", "rm", name] if found["name"] in there else ["docker", "rename", name, found["name"]])
