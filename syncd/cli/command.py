"""``python -m syncd.cli.command``: the command without its installed script."""

from syncd.cli import main

if __name__ == "__main__":
    main()
