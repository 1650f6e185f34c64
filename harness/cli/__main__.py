"""``python -m harness.cli``: the same as ``harness``, where scripts are not on the path."""

from harness.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
