"""`python -m rampart`, the form that `accelerate launch -m` needs."""

from rampart.cli.main import main

main()
