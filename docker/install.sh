#!/usr/bin/env bash
# Installs into the environment of PYTHON, step by step, so that an image keeps the layers of the steps before a change:
#   install.sh torch           torch of the version TORCH for ACCELERATOR, cpu or cuda
#   install.sh dependencies    what setup.cfg, in the current folder, asks for, with its EXTRAS
#   install.sh project         the project in the current folder
# TORCH_INDEX is where the wheels of torch lie; without it they come from pytorch.org for a CPU and, with CUDA in them,
# from PyPI for a GPU.
set -euo pipefail

python=${PYTHON:-python}
extras=${EXTRAS-postgres,optuna-dashboard,tensorboard}
pip() {
  "$python" -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "$@"
}

case ${1-} in
torch)
  : "${TORCH:?is the version of torch, such as 2.13.0}"
  case ${ACCELERATOR:=cpu} in
  cpu) index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu} ;;
  cuda) index=${TORCH_INDEX-} ;;
  *) echo "ACCELERATOR is '$ACCELERATOR': give cpu or cuda." >&2 && exit 2 ;;
  esac
  pip pip==25.3 setuptools==80.9.0
  pip ${index:+--index-url "$index"} "torch==$TORCH"
  ;;
dependencies)
  requirements=$(mktemp)
  trap 'rm -f "$requirements"' EXIT
  "$python" - "$extras" >"$requirements" <<'PYTHON'
import configparser
import sys

setup = configparser.ConfigParser()
setup.read("setup.cfg")
print(setup["options"]["install_requires"])
for extra in filter(None, sys.argv[1].split(",")):
    print(setup["options.extras_require"][extra])
PYTHON
  pip --requirement "$requirements"
  ;;
project)
  pip --no-deps --no-build-isolation .
  "$python" -m pip check
  ;;
*)
  echo "usage: install.sh torch | dependencies | project" >&2
  exit 2
  ;;
esac
