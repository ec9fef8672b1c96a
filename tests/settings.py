"""Settings of a command, changed by later ones."""


def changed(arguments):
    """Return arguments in which only the last value of each key remains."""
    last = {}
    for place, text in enumerate(arguments):
        key, equals, _ = text.partition("=")
        last[key.removesuffix(".name") if equals and "-" not in key else place] = text
    return list(last.values())
