"""Progress of long work: the core says how far it is; the command line decides what is shown."""
