"""``python -m trialstrat`` is the same command as ``trialstrat``."""

from trialstrat.cli import main

if __name__ == "__main__":
    main()
