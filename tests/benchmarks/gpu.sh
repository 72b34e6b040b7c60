#!/usr/bin/env bash
# Trains and evaluates the runs of gpu/runs.txt on a machine that is lent for minutes, and goes on at the next call.
#
#   BUDGET=540 tests/benchmarks/gpu.sh [--help] [RUN …]        e.g. 'paper/acdc/*'; left out: all, in their order
#
# Such a machine has Linux, a GPU, no network, and a python3 (3.11 or newer) with torch, numpy, h5py and scipy (and
# scikit-image, for the plain baseline of `speed`). What else it needs is brought in build/carry, made elsewhere by
# gpu/prepare.py: wheels (20 MB), the commit, and the data (ACDC 64 MB, LA 126 MB; exact, the stores come out as the
# same files) in pieces of at most 40 MiB, which may come one by one. Wheels, and no package that does without them:
# settings are checked by pydantic and components found by cc3d here as in the pipeline, so a run is the same run.
# SimpleITK (50 MB) and TensorBoard stay behind: stores are brought ready, and what trains and measures imports
# neither. All is in the folder that this is called in:
#
#   build/carry      what is brought: wheels, commit, store-*; and results.* and state.* that an earlier call left
#   build/gpu/out    what a call leaves, in pieces of at most 15 MiB: results.* (records, curves, metrics, label maps
#                    of all runs so far), state.* (the checkpoint of a run that has not ended; 29 MB on ACDC, 151 MB on
#                    LA), weights.* (in half precision, of the runs that ended in this call)
#   build/gpu        all else; where it stays from call to call, nothing has to be carried back
set -euo pipefail
STARTED=$(date +%s)
root=$(cd "$(dirname "$0")/../.." && pwd)
site=$PWD/build/gpu/site
python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "python3 must be 3.11 or newer" >&2; exit 1; }
mkdir -p "$site"
for wheel in build/carry/wheels/*.whl; do
    unpacked=$site/$(basename "$wheel").unpacked
    [ -e "$wheel" ] && [ ! -e "$unpacked" ] || continue
    python3 -m zipfile -e "$wheel" "$site"
    touch "$unpacked"
done
if [ -e build/carry/commit ]; then
    M3HL_COMMIT=$(cat build/carry/commit)
    export M3HL_COMMIT
fi
export STARTED PYTHONUNBUFFERED=1 PYTHONPATH="$root:$site"
exec python3 -m tests.benchmarks.gpu "$@"
