#!/usr/bin/env bash
# Meta-training on several nodes under SLURM, queued again where it is pre-empted.
# Options of sbatch before the script override those here, keys of `lit-metanas fit` follow it. 90 seconds before its
# time is up, or when the cluster sends SIGUSR1 before it takes the nodes away, the training writes a checkpoint and has
# the job queued again; the job, whose number stays, goes on from the checkpoint. RUN, the run's directory, and
# ACCELERATOR have defaults.
# Command: sbatch slurm.sh -c meta_search
#SBATCH --job-name=lit-metanas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --signal=SIGUSR1@90
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

run=${RUN:-runs/slurm-$SLURM_JOB_ID}
last=$run/checkpoints/last.ckpt
resume=()
[ ! -e "$last" ] || resume=(--ckpt_path "$last")

exec srun --kill-on-bad-exit=1 lit-metanas fit "$@" --trainer.default_root_dir "$run" \
  --trainer.accelerator "${ACCELERATOR:-gpu}" --trainer.strategy ddp \
  --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "${resume[@]}"
