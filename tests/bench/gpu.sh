#!/usr/bin/env bash
# ./dev bench gpu [ARGUMENTS of fairlead-bench-gpu]: builds the trainer with CUDA into build/cuda,
# checks it (golden forward, GPU against CPU), measures it beside Python. About ten minutes.
# Exit codes: 0 marks met, 1 a mark missed, 2 failed, 3 not run: this machine cannot.
set -uo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
BUILD="$ROOT/build/cuda"

cannot() {
  printf 'bench gpu: NOT RUN: %s\n' "$*" >&2
  exit 3
}

has_python_torch() { "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}"
  exit 0
fi

nvcc="$(command -v nvcc || command -v "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" || true)"
[[ -n "$nvcc" ]] || cannot "no nvcc (CUDA toolkit) in PATH, CUDA_HOME or /usr/local/cuda"
command -v nvidia-smi >/dev/null || cannot "no nvidia-smi: this machine has no NVIDIA driver"
gpus="$(nvidia-smi -L 2>/dev/null)" && [[ "$gpus" == GPU* ]] || cannot "nvidia-smi lists no GPU"
printf '%s\n' "$gpus"

python=""
for candidate in python3 /usr/bin/python3; do
  if has_python_torch "$candidate"; then python="$candidate" && break; fi
done
[[ -n "$python" ]] || echo "python: no torch with CUDA; measured without the comparison"

"$ROOT/dev" setup || exit 2
export CCACHE_BASEDIR="$ROOT" CCACHE_NOHASHDIR=1
if ! cmake -S "$ROOT" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFAIRLEAD_CUDA=ON \
  ${python:+-DFAIRLEAD_PYTHON="$python"}; then
  cannot "the build could not be configured (see above)"
fi
cmake --build "$BUILD" --target fairlead-bench-gpu trainer_net_test || exit 2
"$BUILD/bin/trainer_net_test" || exit 2
exec "$BUILD/bin/fairlead-bench-gpu" ${python:+--python "$python"} "$@"
