"""The engine: continuous batching of samples at different strengths, stage by stage."""
