"""Files that are shipped: an embedded task's configuration, its backbone, the public datasets."""
