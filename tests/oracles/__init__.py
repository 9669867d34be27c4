"""The peers' own tools, each in an environment of its own that ``make.sh`` makes and no module of ours imports."""
