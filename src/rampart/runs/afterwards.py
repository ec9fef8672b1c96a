"""What was done to the model of a run after its training: a refinement or an interpolation."""

from collections.abc import Mapping
from shlex import join, quote
from typing import Any

#: The keys of run.json that tell so.
REFINEMENT, INTERPOLATION = "refinement", "interpolation"


def spell_afterwards(facts: Mapping[str, Any]) -> str:
    """Return one sentence on what was done after training; "" for nothing.

    Args:
        facts: run.json of a finished run.
    """
    if refined := facts.get(REFINEMENT):
        return (
            f"Refined after adversarial training: only the layer {refined['layer']} was trained "
            f"further, without an attack, and {refined['fraction']:.0%} of its change was taken; "
            "the validation split chose both."
        )
    if between := facts.get(INTERPOLATION):
        return (
            f"Interpolated between two runs: {between['fraction']:.0%} of the second one's "
            "weights, chosen on the validation split."
        )
    return ""


def command_afterwards(facts: Mapping[str, Any]) -> str:
    """Return the command that does the same again, without its output; "" for a training.

    Args:
        facts: run.json.
    """
    if refined := facts.get(REFINEMENT):
        options = (f"--{key.replace('_', '-')} {one}" for key, one in refined["settings"].items())
        return " ".join(["rampart refine", quote(refined["of"]), *options])
    if between := facts.get(INTERPOLATION):
        return join(["rampart", "interpolate", between["first"], between["second"]])
    return ""


def name_afterwards(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells the method of a run from that of the same configuration alone.

    Args:
        facts: run.json.
    """
    if refined := facts.get(REFINEMENT):
        return {"refined": str(refined["settings"]["choose"])}
    if INTERPOLATION in facts:
        return {"interpolated": "expected"}
    return {}
