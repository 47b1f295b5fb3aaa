"""Names the plugins of the suite, each after the ones it stands on."""

pytest_plugins = (
    "fixtures.pace",
    "fixtures.run",
    "fixtures.evidence",
    "fixtures.services",
    "fixtures.stack",
    "fixtures.live",
    "fixtures.keeper",
    "fixtures.options",
    "fixtures.wrong_ways",
    "fixtures.trial",
)
