"""The engine: continuous batching of samples at different strengths.

- `engine`: the loop over stage batches; its docstring explains continuous batching.
- `stage_batch`: one step of all samples of a stage, each at its own strength.
- `policy`: the next run of a sample, without any tensors.
- `pruning`: when a run is stopped early.
- `sample_state`: the data of a sample, and the tensors of the runs in progress.
"""
