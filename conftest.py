"""Names the plugins of the suite, each after the ones it stands on."""

pytest_plugins = (
    "fixtures.pace",
    "fixtures.run",
    "fixtures.selection",
    "fixtures.collected",
    "fixtures.evidence",
    "fixtures.measured",
    "fixtures.phases",
    "fixtures.about",
    "fixtures.ledger",
    "fixtures.services",
    "fixtures.stack",
    "fixtures.guard",
    "fixtures.live",
    "fixtures.host",
    "fixtures.keeper",
    "fixtures.drills",
    "fixtures.options",
    "fixtures.wrong_ways",
    "fixtures.trial",
)
