"""The two main functions in Python, `finetune` and `evaluate`, and their results."""
