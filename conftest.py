"""Names the plugins of the suite, each after the ones it stands on."""

pytest_plugins = (
    "fixtures.pace",
    "fixtures.options",
    "fixtures.run",
    "fixtures.evidence",
    "fixtures.services",
    "fixtures.stack",
    "fixtures.keeper",
    "fixtures.wrong_ways",
)
