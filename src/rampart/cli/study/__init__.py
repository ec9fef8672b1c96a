"""`rampart study`: a file per verb of it."""
