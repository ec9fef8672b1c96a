"""What an evaluation leaves on disk: one row per sample, from which every figure is computed."""

from rampart.records.figures import aligned, curve_points, paired, summary
from rampart.records.files import write_atomic
from rampart.records.record import EvaluationRecord

__all__ = ["EvaluationRecord", "aligned", "curve_points", "paired", "summary", "write_atomic"]
