"""`python -m charter.cli`: the command line of this very environment."""

from charter.cli import main

main()
