"""The command `rampart`: one verb per file, and one place where errors become exit statuses.

Everything slow (torch, timm, matplotlib) is imported inside the verbs, so that `--help` answers at
once.
"""

import errno
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TextIO

import typer

from rampart.cli import (
    check_labels,
    compare,
    data,
    doctor,
    evaluate,
    export,
    gate,
    interpolate,
    linear_probe,
    models,
    predict,
    preview,
    profile,
    publish,
    quickstart,
    refine,
    report,
    train,
    tune,
    verify,
)
from rampart.cli.examples import examples_of
from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import KEY, json_only
from rampart.cli.study import figures, plan, run, status, table
from rampart.cli.usage import UsageError, explain_usage, is_help, require_once
from rampart.errors import RampartError, RampartWarning, RunError, is_out_of_memory, visible
from rampart.plain import require_text
from rampart.plugins import CodeError, import_parts
from rampart.version import __version__


def _group(name: str, text: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _group(
    "rampart",
    "Turn a pretrained image classifier into a robust one, and measure how robust it is.",
)
study = _group("study", "Train and evaluate every method on every task and seed.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rampart {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    imports: list[str] = typer.Option(
        [],
        "--import",
        metavar="FILE.py|MODULE",
        help="Your own code that registers schedules, attacks, objectives or other parts; may be "
        "repeated.",
    ),
) -> None:
    """Options before the verb."""
    for place in imports:
        try:
            import_parts(place)
        except CodeError as error:
            raise RunError(f"--import {place}: {error}") from error


_VERBS: dict[str, Callable[..., None]] = {
    "quickstart": quickstart.quickstart,
    "train": train.train,
    "tune": tune.tune,
    "evaluate": evaluate.evaluate,
    "profile": profile.profile,
    "predict": predict.predict,
    "export": export.export,
    "publish": publish.publish,
    "interpolate": interpolate.interpolate,
    "refine": refine.refine,
    "verify": verify.verify,
    "report": report.report,
    "gate": gate.gate,
    "compare": compare.compare,
    "preview": preview.preview,
    "linear-probe": linear_probe.linear_probe,
    "check-labels": check_labels.check_labels,
    "data": data.data,
    "models": models.models,
    "doctor": doctor.doctor,
}
_STUDY_VERBS: dict[str, Callable[..., None]] = {
    "plan": plan.plan,
    "run": run.run,
    "status": status.status,
    "table": table.table,
    "figures": figures.figures,
}


def _with_advice(verb: Callable[..., None]) -> Callable[..., None]:
    """Explain Ctrl-C also in a verb that saves nothing on the way, and obey `--json`."""

    @wraps(verb)
    def explained(*arguments: Any, **options: Any) -> None:
        again = explain_interruption("run the same command again")
        with again, json_only(options.get(KEY, False)):
            verb(*arguments, **options)

    return explained


for _app, _verbs, _group_name in ((app, _VERBS, ""), (study, _STUDY_VERBS, "study ")):
    for _name, _verb in _verbs.items():
        _app.command(_name, epilog=examples_of(_group_name + _name))(_with_advice(_verb))
app.add_typer(study)


def main() -> None:
    """Run the command line; a user's error prints one line on stderr and exits with status 2."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            for word in sys.argv[1:]:
                require_text("argument", word)
            require_once(typer.main.get_command(app), sys.argv[1:])
            sys.exit(app(standalone_mode=False) or 0)
    except UsageError as error:
        if is_help(error):
            typer.echo(error.format_message())
            sys.exit(2)
        _refuse(explain_usage(error, sys.argv[1:]))
        sys.exit(2)
    except RampartError as error:
        _refuse(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in _USERS_ERRORS:
            raise
        _refuse(_explain(error))
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _refuse(_NO_MEMORY)
        sys.exit(2)
    finally:
        _leave_group()


def _refuse(why: str) -> None:
    """Print an error on one line."""
    print(f"rampart: {visible(why)}", file=sys.stderr)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of Rampart as one line, and any other as Python does."""
    text = f"rampart: warning: {visible(str(message))}\n"
    if not issubclass(category, RampartWarning):
        shown = warnings.formatwarning(message, category, filename, lineno, line)
        text = visible(shown, keep="\n")
    print(text, file=file or sys.stderr, end="")


def _leave_group() -> None:
    """Leave the process group: a process that only exits may hang or abort."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


_NO_MEMORY = (
    "the memory does not suffice: lower training.batch_size, evaluation.batch_size or "
    "data.image_size, or use a smaller model."
)
_USERS_ERRORS = {
    errno.ENOSPC: "no space is left on the disk; free some, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
    errno.EACCES: "permission is denied; choose a folder that you may read and write",
    errno.EPERM: "permission is denied; choose a folder that you may read and write",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "this is a folder where a file is expected; choose another path",
    errno.ENOENT: "no such file or folder; check the path",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
}


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{_USERS_ERRORS[error.errno or 0]}."
