"""The model card of a run: README.md with metadata for the Hugging Face hub; no torch."""
