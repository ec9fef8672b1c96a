"""What to write in place of a value that a key does not take."""

import re

#: Keys whose values other programs spell otherwise, and what to write.
_OTHER_WORDS = {
    "training.device": "auto takes the GPU where there is one, and cpu works without one",
}
#: Keys that only say how a result is measured, so that no study compares their values.
_NO_METHOD = ("evaluation.", "data.")


def advise(key: str, got: object) -> str:
    """Return what to write for a key; "" if nothing is known.

    Args:
        key: a key that takes one value.
        got: the value that it does not take.
    """
    if key in _OTHER_WORDS:
        return _OTHER_WORDS[key]
    values = _several(got)
    if not values:
        return ""
    one = f"write {key}={values[0]}"
    if key.rpartition(".")[2] == "image_size":
        return f"images are square, so one side is enough: {one}"
    if key == "seed":
        return (
            f"a run has one seed: {one}. For several write `seeds: [{', '.join(values)}]` in the "
            "file of a study: `rampart study run FILE -o FOLDER`"
        )
    if key.startswith(_NO_METHOD):
        return one
    return f"{one}; to compare several, name each as a method of a study, `rampart study`"


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
