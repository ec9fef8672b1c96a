"""The two front doors in Python: `finetune` and `evaluate`, and what they return."""
