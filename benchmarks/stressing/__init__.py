"""What `benchmarks.stress` does: it kills commands, resumes them and compares the results."""
