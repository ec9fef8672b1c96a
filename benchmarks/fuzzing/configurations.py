"""Random configurations and command lines: settings, files of settings, options and paths."""

from pathlib import Path
from random import Random

from benchmarks.fuzzing.cases import Case
from benchmarks.fuzzing.damage import damaged
from benchmarks.fuzzing.material import SMALL, Material
from rampart.recipes.config.suggesting import all_keys
from rampart.schema.fields import RunFields

#: Values that some reader of some program mistakes. None is a large number that is allowed: a long
#: training is no hang.
ODD = (
    *("", "null", "~", "true", "yes", "-1", "0", "1", "1.5", "-0.0", "1e-320", "1e300", ".inf"),
    *("-.inf", ".nan", str(10**20), str(2**62), "9" * 5000, "0x10", "0o17", "1_0", "4/255"),
    *("1/0", "2024-13-45", "2024-01-01", "12:30:45", "!!bool maybe", "!!binary aaaa", "!!int x"),
    *("!!python/object/apply:os.system [echo]", "&a [*a]", "*a", "[" * 2000, "{" * 2000, "[1,"),
    *("{a: 1, a: 2}", "{[1]: 2}", "[[full]]", "[full, full]", "[]", "{}", "[{}]", "{name: 5}"),
    *('"\\ud800"', '"a\\0b"', '"\\e[31m"', "[/y]", "a[bold]b", "$a_{", "a: b: c", "%s{}", "'"),
    *("x" * 5000, "../..", "/dev/zero", "/dev/null", "~nobody/x", "file:///etc/passwd", "Ünïcödé"),
)
SECTIONS = ("model", "data", "threat", "schedule", "objective", "attack", "optimizer")
OPTIONS = ("steps", "start", "end", "value", "restarts", "beta", "loss", "label_smoothing", "zzz")
NAMES = (
    "fix",
    "two-hinge",
    "adaptive",
    "piecewise",
    "uniform",
    "apgd",
    "pgd",
    "fgsm",
    "square",
    "autoattack",
    "adversarial",
    "trades",
    "mart",
    "fare",
    "lora",
    "linear-probe",
    "ema",
    "awp",
)
VERBS = (
    "train",
    "train",
    "train",
    "evaluate",
    "linear-probe",
    "preview",
    "data",
    "models",
    "report",
    "compare",
    "verify",
    "predict",
    "export",
    "interpolate",
    "study plan",
    "study status",
    "study table",
    "train --resume",
    "tune --runs 1",
)
FOLDERS = ("run", "run[/y]", "a[bold]b", "\x1b[31m", "a\nb", "x" * 300, "/dev/null", "", "a:b:c")


def command(material: Material, random: Random, folder: Path) -> Case:
    """Return a random command line; its file of settings is written into `folder`.

    Args:
        material: that most commands name.
        random: draws everything.
        folder: of this attempt.
    """
    run, photos = material.run, material.photos
    verb = random.choice(VERBS)
    if verb == "train":
        return Case(["train", *_settings(random, photos, folder), "-o", _output(random)])
    words = [*verb.split(), *random.sample([str(run), str(photos), "data=x", "nowhere"], 1)]
    for _ in range(random.choice((0, 1, 1, 2))):
        words.append(random.choice((_override(random), _option(random), _mangled(random, "run"))))
    return Case(words)


def _settings(random: Random, photos: Path, folder: Path) -> list[str]:
    settings = {**SMALL, "data.name": str(photos)}
    changes = [_override(random) for _ in range(random.choice((1, 1, 2)))]
    changed = {one.partition("=")[0] for one in changes}
    parts = changed | {one.partition(".")[0] for one in changed if "." not in one}
    kept = {
        k: v for k, v in settings.items() if k not in changed and k.partition(".")[0] not in parts
    }
    words = [f"{key}={value}" for key, value in kept.items()]
    if random.random() < 0.7:
        return [*words, *changes]
    text = "".join(f"{one.replace('=', ': ', 1)}\n" for one in changes)
    if random.random() < 0.5:
        key, _, value = changes[0].partition("=")
        text = "".join("  " * n + f"{one}:\n" for n, one in enumerate(key.split(".")))[:-1]
        text += f" {value}\n"
    content = text.encode(errors="surrogateescape")
    if random.random() < 0.3:
        content = damaged(random, content)
    (folder / "settings.yaml").write_bytes(content)
    return ["settings.yaml", *words]


def _override(random: Random) -> str:
    keys = [*all_keys(RunFields), *SECTIONS]
    keys += [f"{one}.{option}" for one in SECTIONS for option in OPTIONS]
    key = random.choice(keys)
    if random.random() < 0.05:
        key = _mangled(random, key)
    value = random.choice((*ODD, random.choice(NAMES)))
    return f"{key}={_mangled(random, value) if random.random() < 0.1 else value}"


def _mangled(random: Random, text: str) -> str:
    """Return text with one character changed; some are no UTF-8."""
    place = random.randrange(len(text) + 1)
    return (
        text[:place]
        + random.choice("=.[]{}\"'\t\x1b\udce9ß\U0001f600,:#&*!|>%@`")
        + text[place + 1 :]
    )


def _option(random: Random) -> str:
    name = random.choice(("--json", "--evaluation", "--distribution", "--output", "--to", "--eps"))
    return f"{name}={random.choice(ODD)}" if random.random() < 0.7 else name


def _output(random: Random) -> str:
    return random.choice(FOLDERS) if random.random() < 0.2 else "run"
