"""The quick part of the tests that runs with the oldest dependencies too."""

#: Every dependency is used by one of these; `.ci/minimal` runs them with the oldest versions.
MINIMAL = {
    *("cli/test_main.py", "cli/test_interruption.py", "cli/test_cli_export.py"),
    *("data/test_decode.py", "data/readers/test_hub.py", "data/readers/test_torchvision.py"),
    *("evaluation/test_engine.py", "evaluation/test_linear_probe.py"),
    *("experiments/engines/test_slurm.py", "experiments/tuning/test_ray_tune.py"),
    *("integrations/test_lightning.py", "integrations/test_transformers.py"),
    *("metrics/test_intervals.py", "models/test_backbones.py", "models/external/test_onnx.py"),
    *("models/external/test_exported.py", "models/external/test_hugging_face.py"),
    *("recipes/config/test_explaining.py", "recipes/test_recipes_train.py"),
    *("recipes/evaluation/test_output.py", "records/test_storage.py", "reports/test_plots.py"),
    *("strategies/test_lora.py", "runs/test_lock.py", "test_plain.py", "test_terminal.py"),
}
