"""Files that are shipped: the embedded task's configuration and its pretrained backbone."""
