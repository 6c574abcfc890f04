"""``python -m infrai_cli``: the same as the ``infrai`` command."""

from infrai_cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
