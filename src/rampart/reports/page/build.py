"""The pages of an evaluation and of a run, from their folders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from rampart.errors import RampartError, RunError
from rampart.records.record import EvaluationRecord
from rampart.reports.evaluations import own_evaluation
from rampart.reports.headline import spell_images
from rampart.reports.measures import report as measure_all
from rampart.reports.named_records import Measured, find_records
from rampart.reports.page.content import (
    Page,
    Section,
    checks_section,
    classes_section,
    cost_section,
    curve_section,
    distributions_for,
    expectation_data,
    settings_section,
    tiles_of,
)
from rampart.reports.page.curves import history_chart, spell_reached, spell_strength
from rampart.reports.page.declaration import declaration_section
from rampart.reports.page.gallery import gallery_section
from rampart.reports.page.words import verdict
from rampart.reports.percent import percent
from rampart.runs.afterwards import command_afterwards
from rampart.runs.history import History
from rampart.runs.report_page import sources_of
from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import shortfall_of

Facts = dict[str, Any]


def evaluation_page(folder: Path, distributions: Sequence[str] = ()) -> Page:
    """Return the page of an evaluation.

    Args:
        folder: of the evaluation.
        distributions: of the strength, besides the usual ones.

    Raises:
        RunError: the folder holds no finished evaluation, or a file is damaged.
        RampartError: a distribution does not fit.
    """
    (one,) = find_records([folder])
    facts = _facts(one, distributions)
    run = RunFolder(folder.resolve().parent.parent)
    trained = run if "run" in one.record.metadata and run.exists() else None
    rows, status = _training(trained)
    command = str(one.record.metadata.get("command") or f"rampart evaluate {quote(one.name)} ...")
    sections = _sections(facts, one.record, rows, status, trained, folder)
    settings = one.record.metadata.get("settings", {})
    return Page(
        "evaluation",
        _title(one),
        _lead(facts),
        tiles_of(facts),
        (*sections, settings_section(settings, one.record.metadata, command)),
        {"expectation": expectation_data(one.record)},
        sources_of(folder, folder / "record.json"),
    )


def run_page(path: Path, distributions: Sequence[str] = ()) -> Page:
    """Return the page of a run, with its own evaluation if it has one.

    Args:
        path: folder of the run.
        distributions: as for `evaluation_page`.

    Raises:
        RunError: the folder holds no run, or a file is damaged.
    """
    run = RunFolder(path)
    if not run.exists():
        raise run.no_run()
    config, own = run.settings(), _own(path)
    rows, status = _training(run)
    command = _command(run)
    sources = [run.config, run.history]
    if own is None:
        page = Page("run", path.name, _unmeasured_lead(run, config), (), _alone(rows, run))
        settings = settings_section(config, {}, command)
        return _with(page, settings, sources_of(path, *sources))
    found, one = own
    facts = _facts(one, distributions)
    page = Page(
        "run",
        path.name,
        f"{_spell_run(config)}. {_lead(facts)}",
        tiles_of(facts),
        tuple(_sections(facts, one.record, rows, status, run, found)),
        {"expectation": expectation_data(one.record)},
    )
    settings = settings_section(config, one.record.metadata, command)
    return _with(page, settings, sources_of(path, *sources, found / "record.json"))


def _command(run: RunFolder) -> str:
    """Return the command that makes such a run again."""
    output = quote(f"{run.path}-again")
    made = command_afterwards(run.facts()) or f"rampart train {quote(str(run.config))}"
    return f"{made} --output {output}"


def _with(page: Page, settings: Section, sources: dict[str, str]) -> Page:
    return replace(page, sections=(*page.sections, settings), made_from=sources)


def _own(path: Path) -> tuple[Path, Measured] | None:
    """Return the folder and the figures of a run's own evaluation."""
    try:
        found = own_evaluation(path)
        return None if found is None else (found, find_records([found])[0])
    except RampartError as error:
        raise RunError(f"the page of {path} cannot be written: {error}") from error


def _facts(one: Measured, distributions: Sequence[str]) -> Facts:
    """Return the figures of the text report, with those of every class."""
    wanted = distributions_for(one.record, distributions)
    facts: Facts = measure_all([one], wanted, per_class=True)["records"][0]
    return facts


def _training(run: RunFolder | None) -> tuple[list[Facts], Facts]:
    """Return the rows of a run's history and the content of its run.json."""
    if run is None:
        return [], {}
    return History(run.history).readable_rows(), run.facts()


def _sections(
    facts: Facts,
    record: EvaluationRecord,
    rows: Sequence[Facts],
    status: Facts,
    run: RunFolder | None,
    folder: Path,
) -> list[Section]:
    lacks = str(shortfall_of(run)) if run is not None else ""
    said = verdict(facts, record, rows, status)
    found = [
        Section("verdict", "Verdict", "verdict", {"statements": said, "lacks": lacks}),
        curve_section(facts, record),
        *_history_section(rows),
        classes_section(facts, record),
        gallery_section(folder, record),
        checks_section(facts),
        cost_section(facts, record, rows, status),
        declaration_section(facts, record),
    ]
    return [one for one in found if one is not None]


def _history_section(rows: Sequence[Facts]) -> list[Section]:
    if not rows:
        return []
    chart = history_chart(rows)
    table = [
        {
            "epoch": str(row["epoch"]),
            "eps": spell_reached(row),
            **{key: _percent_or_dash(row.get(key)) for key in ("val_clean", "val_robust")},
            "loss": f"{row['train_loss']:.3f}" if row.get("train_loss") is not None else "",
        }
        for row in rows
    ]
    alerts = [alert["message"] for row in rows for alert in row.get("alerts", ())]
    values = {"chart": chart, "rows": table, "alerts": alerts}
    return [Section("training", "Training", "training", values, (chart,))]


def _percent_or_dash(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)


def _alone(rows: Sequence[Facts], run: RunFolder) -> tuple[Section, ...]:
    """The sections of a run without an evaluation."""
    lacks = str(shortfall_of(run))
    values = {"statements": [], "lacks": lacks, "unmeasured": quote(str(run.path))}
    return (Section("verdict", "Verdict", "verdict", values), *_history_section(rows))


def _title(one: Measured) -> str:
    return one.name


def _lead(facts: Facts) -> str:
    """Return the data, the threat and the attack in one sentence."""
    data = facts.get("data")
    name = Path(str(data.get("name"))).name if isinstance(data, dict) else ""
    where = f" of {name} ({facts['split']} split)" if name and facts.get("split") else ""
    attack, norm = facts.get("attack"), facts["norm"]
    by = f", attacked by {_spell_attack(facts)}" if attack and attack != norm else ""
    over = spell_strength(facts["eps"], norm)
    threat = f"{norm} up to {over.removeprefix('eps = ')}"
    return f"{spell_images(facts)}{where}{by} under {threat}."


def _spell_attack(facts: Facts) -> str:
    suite = facts.get("attack_suite") or []
    stages = f" ({', '.join(map(str, suite))})" if len(suite) > 1 else ""
    options = facts.get("attack_options")
    steps = options.get("steps") if isinstance(options, dict) and not stages else None
    return f"{facts['attack']}{stages}" + (f" with {steps} steps" if steps else "")


def _spell_run(config: Facts) -> str:
    """Return the recipe of a run in words: model, data, schedule, objective."""

    def name(section: str) -> str:
        own = config.get(section, {})
        return str(own.get("name") if isinstance(own, dict) else own)

    threat = config.get("threat", {})
    strength = f"{threat.get('norm')} {threat.get('eps')}" if isinstance(threat, dict) else ""
    model, data = Path(name("model")).name, Path(name("data")).name
    parts = f"schedule {name('schedule')}, objective {name('objective')}, trained for {strength}"
    return f"{model} fine-tuned on {data}: {parts}"


def _unmeasured_lead(run: RunFolder, config: Facts) -> str:
    return f"{_spell_run(config)}. The run is {run.status()} and was not evaluated."
