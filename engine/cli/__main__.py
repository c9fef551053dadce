"""`python -m charter.cli`: the command line of this very environment."""

from charter.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
