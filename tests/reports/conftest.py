import pytest
from made_up import three_runs


@pytest.fixture
def three():
    """Standard fine-tuning, RFT-fix and two-hinge, one run each."""
    return three_runs()
