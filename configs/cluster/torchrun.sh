#!/usr/bin/env bash
# Meta-training on several nodes without a scheduler. On the first, whose address is HEAD, NODE is 0; then on the second
# it is 1.
# Keys of `lit-metanas fit` follow the script. The run's directory, RUN, is one that both nodes see; in it an interrupted
# training goes on when both commands are given again. NODES, PROCESSES (of a node), PORT and
# ACCELERATOR have defaults.
# Command: HEAD=node0 NODE=0 bash torchrun.sh -c meta_search
set -euo pipefail

: "${HEAD:?is the address of the first node}" "${NODE:?is the number of this node, from 0}"
run=${RUN:-runs/torchrun}
last=$run/checkpoints/last.ckpt
resume=()
[ ! -e "$last" ] || resume=(--ckpt_path "$last")

# The command torchrun itself would end in a traceback, and with 1 whatever the exit code of its processes is.
torchrun='
import sys
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main
try:
    main()
except SignalException:
    sys.exit(130)
except ChildFailedError as error:
    sys.exit(max(1, error.get_first_failure()[1].exitcode))
'
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600} # seconds for the last step, else 30

exec python3 -c "$torchrun" --nnodes "${NODES:=2}" --nproc-per-node "${PROCESSES:=1}" --node-rank "$NODE" \
  --master-addr "$HEAD" --master-port "${PORT:-29500}" \
  -m lit_metanas fit "$@" --trainer.default_root_dir "$run" \
  --trainer.accelerator "${ACCELERATOR:-gpu}" --trainer.strategy ddp \
  --trainer.num_nodes "$NODES" --trainer.devices "$PROCESSES" "${resume[@]}"
