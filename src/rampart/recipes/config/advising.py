"""What to write in place of a value that a key does not take."""

import re

from rampart.recipes.config.suggesting import takes_list

#: Keys whose values other programs spell otherwise, and what to write.
_OTHER_WORDS = {
    "training.device": "auto takes the GPU where there is one, and cpu works without one",
}
#: Keys that only say how a result is measured, or that no axis of a study changes alone.
_NO_AXIS = ("evaluation.", "data.", "threat.norm")
#: Names of keys as axes of a study.
_AXES = {"threat.eps": "eps", "model": "backbone", "model.name": "backbone"}
_STUDY = "in the file of a study: `rampart study run FILE -o FOLDER`"


def advise(key: str, got: object) -> str:
    """Return what to write for a key; "" if nothing is known.

    Args:
        key: a key of the configuration, or "" if it is not known.
        got: the value that it does not take.
    """
    if key in _OTHER_WORDS:
        return _OTHER_WORDS[key]
    values = [] if not key or takes_list(key) else _several(got)
    if key == "threat.eps":
        values = [f"{one}/255" if one.isdecimal() and int(one) > 0 else one for one in values]
    if not values:
        return ""
    one, listed = f"write {key}={values[0]}", ", ".join(values)
    if key.rpartition(".")[2] == "image_size":
        return f"images are square, so one side is enough: {one}"
    if key.startswith(_NO_AXIS):
        return one
    if key == "seed":
        return f"a run has one seed: {one}. For several write `seeds: [{listed}]` {_STUDY}"
    if key in ("schedule", "schedule.name"):
        return f"a run has one schedule: {one}. For several write `methods: [{listed}]` {_STUDY}"
    if key.startswith("schedule."):
        # A method that names the schedule would drop an option that an axis sets.
        rows = ", ".join(f"{value}: [{key}={value}]" for value in values)
        return f"{one}. To compare several runs write `methods: {{{rows}}}` {_STUDY}"
    if key == "threat.eps":
        one += f", or evaluation.strengths={','.join(values)} for the strengths of an evaluation"
    axis = _AXES.get(key, f"{key}.name" if key in ("objective", "attack", "data") else key)
    return f"{one}. To compare several runs write `axes: {{{axis}: [{listed}]}}` {_STUDY}"


def _several(got: object) -> list[str]:
    """Return the values of a list, a range such as 0-2, or sides such as 224x224."""
    if isinstance(got, list | tuple):
        return list(map(str, got))
    text = str(got).strip("[]() ")
    parts = [part.strip() for part in re.split(r"[,;x*×]", text)]
    if all(part.isdecimal() for part in parts):
        return parts if len(parts) > 1 else []
    if found := re.fullmatch(r"(\d+)\s*(?:-|\.\.|:)\s*(\d+)", text):
        first, last = map(int, found.groups())
        return list(map(str, range(first, last + 1))) if first < last <= first + 100 else []
    parts = [part.strip() for part in text.split(",")]
    return parts if len(parts) > 1 else []
