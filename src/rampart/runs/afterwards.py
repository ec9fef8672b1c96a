"""What was done to the model of a run after its training: a refinement or an interpolation."""

from collections.abc import Mapping
from shlex import join, quote
from typing import Any

#: The keys of run.json that tell so.
REFINEMENT, INTERPOLATION = "refinement", "interpolation"
#: What `name_afterwards` calls them, and the key of what was done before; both states have it.
REFINED, INTERPOLATED, GIVEN_RUNS = "refined", "interpolated", "runs"


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


def name_afterwards(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells the method of a run from that of the same configuration alone.

    It has the form of a component in a configuration: a name with options. Every setting that
    changes the result is an option, also what was done before to the runs that were given.

    Args:
        facts: run.json.
    """
    if refined := facts.get(REFINEMENT):
        settings = dict(refined["settings"])
        return {REFINED: {"name": settings.pop("choose"), **settings, **_options(refined)}}
    if between := facts.get(INTERPOLATION):
        fractions = [row["fraction"] for row in between.get("validation", ())]
        return {INTERPOLATED: {"name": "expected", "fractions": fractions, **_options(between)}}
    return {}


def _options(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells the runs that were given from trained runs of the same configuration."""
    return {GIVEN_RUNS: facts[GIVEN_RUNS]} if facts.get(GIVEN_RUNS) else {}
