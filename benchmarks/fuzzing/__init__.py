"""What `benchmarks.fuzz` tries: random commands, damaged files and damaged images."""
