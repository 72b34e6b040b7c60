#!/usr/bin/env bash
# Trains and evaluates the runs of gpu/runs.txt on a machine that is lent for minutes, and goes on at the next call.
#
#   BUDGET=540 tests/benchmarks/gpu.sh [--help] [RUN …]        e.g. 'paper/acdc/*'; left out: all, in their order
#
# Such a machine has Linux, python3 with torch, numpy, h5py and scipy (the plain baseline of `speed` also wants
# scikit-image), a GPU, and no network. What else it needs is brought along in build/carry, made elsewhere by
# `make gpu-carry`: wheels (20 MB), the commit, and the data as pieces of at most 40 MiB, which can come in as many
# goes as it takes. Wheels, not a package that does without: every run has its settings checked by pydantic and its
# components found by cc3d, here as in the pipeline. Only what neither trains nor measures is done without: SimpleITK,
# as stores are brought ready, and TensorBoard. All of it is in the folder that this is called in:
#
#   build/carry      what is brought: wheels, store-*, and results.* and state.* of an earlier call
#   build/gpu/out    what is left, made anew by each call: results.* (records, curves, metrics, label maps), state.*
#                    (checkpoints) and weights.* (in half precision), in pieces of at most 15 MiB
#   build/gpu        the rest; where it is kept from call to call, nothing has to be carried back
set -euo pipefail
STARTED=$(date +%s)
root=$(cd "$(dirname "$0")/../.." && pwd)
site=$PWD/build/gpu/site
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
