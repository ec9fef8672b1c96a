"""Examples below the help of every verb; each line fits 80 columns."""

#: The examples of each verb, with its group.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "quickstart": ("rampart quickstart", "rampart quickstart --full -o digits"),
    "train": (
        "rampart train model=resnet50.a1_in1k data=photos/ threat.eps=4/255 -o runs/a",
        "rampart train configs/photos.yaml schedule=fix training.epochs=30 -o runs/b",
        "rampart train -o runs/a --resume",
    ),
    "tune": ("rampart tune configs/photos.yaml data=photos/ -o searches/a --runs 16",),
    "evaluate": (
        "rampart evaluate runs/a threat.eps=8/255",
        "rampart evaluate timm:resnet50.a1_in1k data=imagenet/ threat.eps=2/255",
        "rampart evaluate runs/a evaluation.attack=standard --json > a.json",
    ),
    "profile": (
        "rampart profile runs/a",
        "rampart profile runs/a --threats linf=8/255,l2,fog evaluation.limit=200",
    ),
    "predict": (
        "rampart predict runs/a holiday/ -o predictions.csv",
        "rampart predict runs/a cat.jpg --top-k 1 --json",
    ),
    "export": ("rampart export runs/a --to onnx", "rampart export runs/a --to pt2 -o a.pt2"),
    "publish": (
        "rampart publish runs/a --to published/a",
        "rampart publish runs/a --to hf:me/birds --license mit --dry-run",
    ),
    "interpolate": ("rampart interpolate runs/robust runs/standard -o runs/between",),
    "refine": (
        "rampart refine runs/a -o runs/a-refined",
        "rampart refine studies/a/runs/photos/default/seed-* -o refined/",
        "rampart refine runs/a -o runs/a-refined --resume",
    ),
    "verify": (
        "rampart verify runs/a",
        "rampart verify runs/a/evaluations/test-linf-4_255-standard",
    ),
    "report": (
        "rampart report runs/a runs/b",
        "rampart report runs/a --distribution beta:a=2,b=5 --json",
        "rampart report runs/a --html -o a.html",
    ),
    "gate": ('rampart gate runs/a --expected ">=0.40" --at 4/255 ">=0.25"',),
    "compare": ("rampart compare runs/", "rampart compare runs/a runs/b -o comparisons/ab"),
    "preview": (
        "rampart preview",
        "rampart preview two-hinge start=0.25 end=0.75 --eps 8/255 --output s.png",
    ),
    "linear-probe": ("rampart linear-probe resnet50.a1_in1k data=photos/ threat.eps=4/255",),
    "check-labels": ("rampart check-labels resnet50.a1_in1k data=photos/ -o labels",),
    "data": (
        "rampart data",
        "rampart data cars",
        "rampart data photos/ --write-splits photos.json",
    ),
    "models": ("rampart models", "rampart models ares:swinb_at --json"),
    "doctor": ("rampart doctor",),
    "study plan": ("rampart study plan configs/published/study.yaml --no-calibration",),
    "study run": (
        "rampart study run study.yaml -o studies/a --workers 2",
        "rampart study run study.yaml -o studies/a --engine slurm --detach",
    ),
    "study status": (
        "rampart study status studies/a",
        "rampart study status study.yaml -o studies/a",
    ),
    "study table": (
        "rampart study table studies/a",
        "rampart study table studies/a --published --format latex",
    ),
    "study figures": ("rampart study figures studies/a",),
}


def examples_of(verb: str) -> str | None:
    """Return the examples of a verb as the end of its help; None for one without any."""
    lines = EXAMPLES.get(verb, ())
    # The parser fills paragraphs, except those that begin with this character.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) if lines else None
