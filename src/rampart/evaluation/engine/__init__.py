"""The engine: continuous batching of samples at different strengths.

- `engine`: the loop over stage batches; its docstring explains continuous batching.
- `passes`: one pass of the model for the rows of several stage batches.
- `stage_batch`: the runs of a stage, each at its own strength.
- `lookahead`: queries of a random search, asked before the earlier ones are answered.
- `policy`: the next run of a sample, without any tensors.
- `pruning`: when a run is stopped early.
- `sample_state`: the data of a sample, its runs, and the tensors of the runs in progress.
"""
