"""A study beside the publication (arXiv 2509.23325): its tables, tests and pictures."""
