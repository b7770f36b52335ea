"""`python -m helios` is the same as the `helios` command."""

from helios.cli.main import main

if __name__ == "__main__":
    main()
