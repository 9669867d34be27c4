#!/usr/bin/env bash
# make.sh [folder]: the peers' own tools, each in an environment of its own that only tests call (default .oracles).
# An environment that is there with the same requirements is left as it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../.oracles}
mkdir -p "$folder"

python_of() {  # the interpreter of a version that really runs, or nothing
  local found
  for found in "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
    if [ -x "$found" ] && "$found" -c 'import venv' 2>/dev/null; then echo "$found"; return; fi
  done
}

make_one() {  # name, interpreter
  local place=$folder/$1 wanted=$here/$1.txt
  if cmp -s "$wanted" "$place/made"; then return; fi
  rm -rf "$place"
  "$2" -m venv "$place"
  "$place/bin/pip" install -qq --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$place/made"
  echo "made $1"
}

make_one circe python3
make_one fhir python3
# the rules engine of CDISC runs on Python 3.12 alone
twelve=$(python_of 3.12)
if [ -n "$twelve" ]; then make_one usdm "$twelve"; else echo "no Python 3.12: tests against usdm4 will be skipped"; fi
