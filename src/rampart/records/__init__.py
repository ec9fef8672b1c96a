"""The record of an evaluation: one row per sample, from which every figure is computed."""
