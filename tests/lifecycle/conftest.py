"""What the tests of the data's life share."""

import pytest

from fixtures.contract import Contract
from fixtures.stack import Stack


@pytest.fixture
def patient(module_stack: Stack, contract: Contract) -> Stack:
    """A stack that is well."""
    module_stack.wait_until_health("healthy", within=contract.recovery.repaired_s)
    return module_stack
