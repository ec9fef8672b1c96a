"""Changes to files with a checksum, which is made to match again."""

import json

from rampart.checksums import KEY, with_checksum


def sign(path):
    """Give a JSON object, or each row of a .jsonl file, the checksum of its content."""
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{_signed(line)}\n" for line in text.splitlines()), "utf-8")
    else:
        path.write_text(_signed(text), "utf-8")


def replace_text(path, old, new):
    """Replace the first occurrence of a text in a JSON object, and sign the object."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    sign(path)


def _signed(text):
    content = json.loads(text)
    content.pop(KEY, None)
    return json.dumps(with_checksum(content))
