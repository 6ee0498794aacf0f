"""``python -m upfusion_med`` is the command ``upfusion``, for programs that know a Python but not its scripts."""

from upfusion_med.cli.main import main

if __name__ == "__main__":
    main()
