"""Evaluate a run, or any other model: everything that it leaves is in one folder."""

import hashlib
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.data.batches import ordered_batches
from rampart.data.datasets import require_data
from rampart.data.splits import Split, Splits
from rampart.data.subset import numbers_of, subset
from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.evaluation.audit import Audit, audit
from rampart.evaluation.goal import Goal
from rampart.evaluation.journal import Journal
from rampart.evaluation.results import Results
from rampart.evaluation.trust.findings import findings
from rampart.evaluation.trust.probes import PROBE_SIZE, probe
from rampart.evaluation.trust.verdict import Verdict, overall, skipped
from rampart.evaluation.verify import Verification, verify_record
from rampart.evaluation.whole import Evaluation, Processes, evaluate_split
from rampart.folders import RunFolder
from rampart.models.backbones import build_model
from rampart.models.foreign.classes import check_classes
from rampart.models.foreign.evaluated import EvaluatedModel, weights_fingerprint
from rampart.models.foreign.find import find_model
from rampart.models.sources import find_source
from rampart.recipes.build import make_accelerator, make_splits, splits_of_size
from rampart.recipes.config import (
    EvaluationConfig,
    RunConfig,
    change_config,
    concerns,
    differences,
    dump_config,
    load_config,
    parse_config,
)
from rampart.recipes.measured import evaluated_part, evaluation_grid, require_measurable
from rampart.recipes.run import FREE_KEYS, require_same_data
from rampart.records import EvaluationRecord
from rampart.units import format_eps
from rampart.version import __version__

#: Keys that an evaluation may change: no other one makes sense for a model that is finished.
EVALUATION_KEYS = ("threat", "evaluation", "data", "training.device", *FREE_KEYS)
#: Keys that the results do not depend on.
RESULT_FREE_KEYS = ("audit", "trust", "batch_size", "level")

#: What an evaluation leaves in its folder, by this version or an earlier one.
FILES = (
    "record.json",
    "samples.parquet",
    "samples.csv",
    "summary.json",
    "curve.csv",
    "curve.png",
    "unfinished",
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """What is evaluated on what.

    Attributes:
        model: with what must be known of it.
        splits: of its data.
        config: of the evaluation; its training sections count for runs only.
        run: the run that trained it; None for other models.
    """

    model: EvaluatedModel
    splits: Splits
    config: RunConfig
    run: RunFolder | None = None

    @property
    def split(self) -> Split:
        """The images that are asked for, each with its number in the whole split."""
        return evaluated_part(self.config, self.splits)


def evaluate_run(
    path: Path,
    overrides: tuple[str, ...] = (),
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Measure the model of a finished run at every strength of the grid.

    An evaluation that was interrupted goes on where it was.

    Args:
        path: the run's folder.
        overrides: changes such as `threat.eps=8/255` or `evaluation.attack=standard`.
        output: folder of the evaluation; by default in the run's.
        overwrite: replace an earlier evaluation with the same settings.
        on_progress: called with (samples done, samples in all).

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: no finished run, or the evaluation exists.
    """
    folder = RunFolder(path)
    require_finished(folder)
    accelerator, subject = _of_run(folder, load_config(folder.config, _moved(overrides)))
    target = output or folder.evaluations / evaluation_name(subject.config)
    return target, _evaluate(subject, target, accelerator, overwrite, on_progress)


def evaluate_other(
    reference: str,
    overrides: tuple[str, ...],
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Measure any classifier (see `rampart.models.foreign.find`) at every strength of the grid.

    Args:
        reference: what model, such as `timm:NAME`, `module:factory` or a file.
        overrides: at least `data=FOLDER`; then as for a run.
        output: folder of the evaluation; by default below `evaluations`.
        overwrite: replace an earlier evaluation there.
        on_progress: called with (samples done, samples in all).

    Raises:
        RampartError: whatever is wrong with the model, the data or the settings.
    """
    config = load_config(None, (*_moved(overrides), f"model.name={reference}"))
    accelerator, subject = _of_other(config)
    parts = [reference, Path(config.data.name).name, evaluation_name(config), *_own_data(config)]
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in "-".join(parts))
    target = output or Path("evaluations") / name.strip("._")
    return target, _evaluate(subject, target, accelerator, overwrite, on_progress)


def verify(
    path: Path, overrides: tuple[str, ...] = (), on_progress: Progress | None = None
) -> Verification:
    """Check a record again from its witnesses, with the model and the data that it names.

    Args:
        path: the evaluation's folder.
        overrides: of the settings of the evaluation, such as data=FOLDER where data have moved.
        on_progress: called with (samples done, samples in all).

    Raises:
        RunError: no record, one without witnesses, or another model or other data by now.
    """
    record = EvaluationRecord.load(path, witnesses=True)
    config = change_config(parse_config(record.metadata["settings"]), _moved(overrides))
    if "run" in record.metadata:
        # An evaluation usually lies in its run's folder, wherever that is by now.
        nearby = RunFolder(path.resolve().parent.parent)
        own = nearby if nearby.exists() else RunFolder(Path(record.metadata["run_folder"]))
        require_finished(own)
        _, subject = _of_run(own, config)
    else:
        _, subject = _of_other(config)
    known = record.metadata["model"]["fingerprint"]
    if subject.model.fingerprint != known:
        raise RunError(
            f"the model is not the one that {path} was made with: its weights, or the file of the "
            "code that makes it, have changed since."
        )
    place = {name: row for row, name in enumerate(subject.split.ids)}
    unknown = [name for name in record.ids if name not in place]
    if unknown:
        raise RunError(f"the data lack {len(unknown)} images of {path}, such as '{unknown[0]}'.")

    def images_of(ids: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        part = subject.split.subset([place[name] for name in ids])
        (batch,) = ordered_batches(part, len(ids))
        batch = batch.to(subject.model.device)
        return batch.pixels(), batch.labels

    told = (lambda done: on_progress(done, len(record))) if on_progress else None
    return verify_record(record, subject.model.model, images_of, on_progress=told)


def evaluation_name(config: RunConfig) -> str:
    """Return a folder name that tells split, threat and attack: `test-linf-4_255-apgd-10`.

    Options that are not the default ones follow: `...-apgd-10-loss_dlr-limit_100`.
    """
    evaluation, usual_evaluation = config.evaluation, EvaluationConfig()
    attack = evaluation.attack
    usual = {**ATTACKS.dump(ATTACKS.build(attack.name)), "keep": "broken"}
    others = {k: v for k, v in attack.options.items() if k != "steps" and v != usual[k]}
    steps = attack.options.get("steps", "")
    if attack.name not in ("apgd", "pgd") and steps == usual.get("steps"):
        steps = ""
    parts = [evaluation.split, config.threat.norm, format_eps(config.threat.eps)]
    parts += [attack.name, str(steps)]
    for key in sorted(set(EvaluationConfig.model_fields) - {"attack", "split", *RESULT_FREE_KEYS}):
        value = getattr(evaluation, key)
        if value != getattr(usual_evaluation, key):
            others[key] = _spelled(value)
    parts += [f"{key}_{value}" for key, value in others.items()]
    return "-".join(filter(None, parts)).replace("/", "_").replace(" ", "")


def _spelled(value: object) -> str:
    """A value in a folder's name; a list of strengths or ids by its end or file, and a digest."""
    if isinstance(value, tuple):
        return f"{len(value)}_to_{format_eps(value[-1])}_{_digest(repr(value).encode())}"
    if isinstance(value, str) and Path(value).is_file():
        return f"{Path(value).stem}_{_digest(Path(value).read_bytes())}"
    return str(value)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:6]


def _own_data(config: RunConfig) -> list[str]:
    """What else the results for a model that is no run depend on, where it is not the default."""
    free = ("threat", "evaluation", "training.device", "data.name", *FREE_KEYS)
    lines = [line for line in differences(_usual(config), config) if not concerns(line, free)]
    changes = [line.partition(": ") for line in lines]
    return [f"{key.rpartition('.')[2]}_{change.partition(' -> ')[2]}" for key, _, change in changes]


def _usual(config: RunConfig) -> RunConfig:
    """The configuration that has only this model and these data."""
    return parse_config({"model": {"name": config.model.name}, "data": {"name": config.data.name}})


def _moved(overrides: Sequence[str]) -> tuple[str, ...]:
    """`data=FOLDER` says where the data are by now; how they are read stays the same."""
    start = "data="
    return tuple(
        f"data.name={text.removeprefix(start)}"
        if text.startswith(start) and "{" not in text
        else text
        for text in overrides
    )


def _of_run(folder: RunFolder, config: RunConfig) -> tuple[Accelerator, Subject]:
    """The model of a finished run, and what it is to be evaluated on."""
    own = load_config(folder.config)
    _require_evaluation_keys(own, config)
    reference = f"local-dir:{folder.model}"
    splits = make_splits(config, find_source(reference))
    require_same_data(folder, splits)
    channels, size, _ = splits.train[0][0].shape
    classes = len(splits.class_names)
    built = build_model(
        reference, num_classes=classes, keep_head=True, in_chans=channels, image_size=size
    )
    accelerator = make_accelerator(config)
    model = EvaluatedModel(
        built.to(accelerator.device).eval(),
        own.model.name,
        "run",
        weights_fingerprint(built),
        (channels, size, size),
        classes,
        (tuple(splits.class_names),),
        device=accelerator.device,
    )
    return accelerator, Subject(model, splits, config, folder)


def _of_other(config: RunConfig) -> tuple[Accelerator, Subject]:
    """A model that was not made here, and what it is to be evaluated on."""
    wanted, reference = config.model, config.model.name
    _require_evaluation_keys(_usual(config), config, "seed", "model.mean", "model.std")
    accelerator = make_accelerator(config)
    model = find_model(
        reference,
        image_size=config.data.image_size,
        mean=wanted.mean,
        std=wanted.std,
        device=accelerator.device,
    )
    if model.input_size is None:
        require_data(config.data.name, config.data.root)
        raise InvalidArgument(
            "data.image_size",
            None,
            f"the side of the images that '{reference}' takes",
            "write data.image_size=224 for 224 pixels",
        )
    channels, size, _ = model.input_size
    splits = splits_of_size(config, channels, size)
    model = check_classes(model, splits.class_names, config.evaluation.match)
    return accelerator, Subject(model, splits, config)


def _evaluate(
    subject: Subject,
    target: Path,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> EvaluationRecord:
    """Evaluate into a folder; what lies there unfinished is gone on with."""
    # With a journal beside its record an evaluation was stopped just before its end.
    finished = (target / "record.json").exists() and not (target / "unfinished").exists()
    if finished and not overwrite:
        raise RunError(
            f"{target} holds a finished evaluation{_otherwise(target, subject.config)}: "
            "--overwrite replaces it, --output chooses another folder."
        )
    _require_sound(subject)
    _require_own(target)
    accelerator.wait_for_everyone()
    if overwrite and accelerator.is_main_process:
        _clear(target)
    accelerator.wait_for_everyone()
    journal = Journal(target / "unfinished", _identity(subject), accelerator.process_index)
    record = evaluate_subject(subject, accelerator, journal, on_progress)
    if accelerator.is_main_process:
        record.save(target)
        _draw(record, target, subject)
        journal.remove()
    accelerator.wait_for_everyone()
    return record


def _otherwise(target: Path, config: RunConfig) -> str:
    """In what the evaluation that lies there differs, where that can be told."""
    try:
        old = parse_config(EvaluationRecord.load(target).metadata.get("settings", {}))
    except RampartError:
        return ""
    changed = differences(old, config)
    return f" with other settings ({'; '.join(changed)})" if changed else ""


def _require_own(target: Path) -> None:
    """Nothing of somebody else's may be replaced, nor lie among an evaluation's files."""
    others = sorted(file.name for file in target.glob("*") if file.name not in FILES)
    if others:
        raise RunError(
            f"output folder {target} holds other files, such as {others[0]}: choose another "
            "--output."
        )


def _clear(target: Path) -> None:
    for file in target.glob("*"):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()


def evaluate_subject(
    subject: Subject,
    accelerator: Accelerator,
    journal: Journal | None = None,
    on_progress: Progress | None = None,
) -> EvaluationRecord:
    """Return the record of critical strengths of a model, with its audit and verdicts."""
    config, split = subject.config, subject.split
    wanted, attack, grid = config.evaluation, _attack(subject), evaluation_grid(config)
    goal = Goal(wanted.top, wanted.reach)
    verdicts = _probe(subject, split) if wanted.trust else []
    model, shared = subject.model.model, _processes(accelerator)
    done = evaluate_split(
        model,
        split,
        attack,
        grid,
        config.seed,
        mode=wanted.mode,
        slots=wanted.batch_size,
        witnesses=wanted.witnesses,
        goal=goal,
        journal=journal,
        processes=shared,
        workers=config.data.workers,
        on_progress=(lambda done: on_progress(done, len(split))) if on_progress else None,
    )
    audited = None
    if wanted.audit and len(grid) > 1:
        audited = audit(
            model,
            split,
            attack,
            grid,
            config.seed,
            done.results,
            wanted.audit,
            slots=wanted.batch_size,
            goal=goal,
            journal=journal,
            processes=shared,
        )
    names = [stage.name for stage in goal.stages(attack.stages())] or [wanted.attack.name]
    if wanted.trust:
        verdicts = [*verdicts, *_findings(subject, done.results, names, len(grid) - 1, audited)]
    return EvaluationRecord.from_results(
        done.results,
        dict(zip(numbers_of(split).tolist(), split.ids, strict=True)),
        grid,
        config.threat.norm,
        names,
        {
            **_metadata(subject, done, names, accelerator),
            **({"audit": audited.figures(grid)} if audited else {}),
            **({"trust": _trust(verdicts)} if wanted.trust else {}),
        },
    )


def _require_sound(subject: Subject) -> None:
    """Raise for settings that do not fit each other, before anything is written or replaced."""
    require_measurable(subject.config, subject.splits)
    _attack(subject)


def _attack(subject: Subject) -> Attack:
    """The attack of the evaluation; a black box refuses those that need gradients."""
    attack = subject.config.build_evaluation_attack()
    stages = attack.stages()
    if subject.model.differentiable or (stages and not any(s.search.gradient for s in stages)):
        return attack
    raise InvalidArgument(
        "evaluation.attack",
        subject.config.evaluation.attack.name,
        "an attack without gradients, which this model does not give",
        "write evaluation.attack=square",
    )


def _processes(accelerator: Accelerator) -> Processes:
    def gather(results: Results) -> list[Results]:
        return list(gather_object([results]))

    return Processes(
        accelerator.process_index,
        accelerator.num_processes,
        accelerator.wait_for_everyone,
        gather,
    )


def _probe(subject: Subject, split: Split) -> list[Verdict]:
    part = subset(split, limit=min(PROBE_SIZE, len(split)), seed=subject.config.seed)
    (batch,) = ordered_batches(part, len(part))
    batch = batch.to(subject.model.device)
    threat = subject.config.threat
    verdicts = probe(
        subject.model.model,
        batch.pixels(),
        batch.labels,
        norm=threat.norm,
        eps=threat.eps,
        seed=subject.config.seed,
        differentiable=subject.model.differentiable,
    )
    if subject.config.evaluation.attack.name != "rand":
        return verdicts
    why = "the tier 'rand' averages over the answers of a stochastic model."
    return [skipped(one.check, why) if one.check == "determinism" else one for one in verdicts]


def _findings(
    subject: Subject, results: Results, names: Sequence[str], levels: int, audited: Audit | None
) -> list[Verdict]:
    stands = dict(enumerate(audited.stands, start=1)) if audited else None
    return findings(
        results.critical,
        results.stage,
        results.unaudited,
        results.audited,
        names,
        levels,
        stands,
        rows=audited.rows if audited else None,
        labels=results.labels,
        # Among the top k, chance is k in K.
        classes=len(subject.splits.class_names) // subject.config.evaluation.top,
        pruned=results.pruned,
    )


def _trust(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {"overall": overall(verdicts), "verdicts": [one.as_dict() for one in verdicts]}


def _identity(subject: Subject) -> dict[str, Any]:
    """What the results of an evaluation depend on; not batch size, processes or device."""
    config = subject.config
    wanted = config.evaluation.model_dump(mode="json", exclude=set(RESULT_FREE_KEYS))
    return {
        "model": {"name": subject.model.name, "fingerprint": subject.model.fingerprint},
        "mean": config.model.mean,
        "std": config.model.std,
        "input_size": subject.model.input_size,
        "data": subject.splits.fingerprint(),
        "threat": config.threat.model_dump(mode="json"),
        "evaluation": wanted,
        "seed": config.seed,
        "rampart": __version__,
    }


def _metadata(
    subject: Subject, done: Evaluation, names: Sequence[str], accelerator: Accelerator
) -> dict[str, Any]:
    config, model, results = subject.config, subject.model, done.results
    return {
        "attack": config.evaluation.attack.model_dump(),
        "tier": list(names),
        "mode": config.evaluation.mode,
        "split": config.evaluation.split,
        "seed": config.seed,
        "top": config.evaluation.top,
        "reach": config.evaluation.reach,
        "level": config.evaluation.level,
        "model": {
            "name": model.name,
            "source": model.source,
            "fingerprint": model.fingerprint,
            "classes": list(subject.splits.class_names),
        },
        "data": {
            "name": config.data.name,
            "fingerprint": subject.splits.fingerprint(),
            "notes": list(subject.splits.notes),
        },
        "settings": dump_config(config),
        **(_run_facts(subject.run) if subject.run else {}),
        "versions": {
            "rampart": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "timm": timm.__version__,
            "numpy": np.__version__,
        },
        "hardware": _hardware(accelerator),
        "processes": accelerator.num_processes,
        "precision": "float32",
        "pruning": done.pruning.figures() if done.pruning else None,
        "forwards": results.forwards_total,
        "backwards": results.backwards_total,
        "seconds": done.seconds,
        "resumed": done.resumed,
    }


def _run_facts(folder: RunFolder) -> dict[str, Any]:
    return {"run": dump_config(load_config(folder.config)), "run_folder": str(folder.path)}


def _hardware(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return torch.cuda.get_device_name(accelerator.device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def require_finished(folder: RunFolder) -> None:
    """Refuse a folder without a finished model.

    Raises:
        RunError: no run, or one that is not complete.
    """
    if not folder.exists():
        raise RunError(f"{folder.path} holds no run: give a folder that `rampart train` has made.")
    if folder.status() != "complete":
        raise RunError(
            f"{folder.path} holds no finished model (its run is {folder.status()}): finish it with "
            f"`rampart train {folder.config} --output {folder.path} --resume`."
        )


def _require_evaluation_keys(own: RunConfig, wanted: RunConfig, *more: str) -> None:
    keys = (*EVALUATION_KEYS, *more)
    lines = [line for line in differences(own, wanted) if not concerns(line, keys)]
    refused = [line.partition(":")[0] for line in lines]
    if refused:
        raise RunError(
            f"an evaluation cannot change {', '.join(refused)}, only threat.*, data.* and "
            "evaluation.*, such as evaluation.attack.steps."
        )


def _draw(record: EvaluationRecord, folder: Path, subject: Subject) -> None:
    """Imported here because rendering is slow to import and reports knows no torch."""
    from rampart.reports.figures import save_curve

    name = Path(subject.model.name).name
    title = f"{name} · {subject.config.schedule.name}" if subject.run else name
    save_curve(record, folder / "curve.png", title=title)
