"""``python -m vidsr``: the same as the ``vidsr`` command."""

from vidsr.cli.main import main

if __name__ == "__main__":
    main()
