"""How a run ended that another process carried out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        reason: why it failed; empty if it did not.
        detail: more about the failure.
        signal_number: the signal that stopped it; 0 without one.
        packed: the packed folder, if it has to be written by the receiver.
    """

    reason: str = ""
    detail: str = ""
    signal_number: int = 0
    packed: bytes | None = None
