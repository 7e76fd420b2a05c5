#!/usr/bin/env bash
# Many workers on the studies of one search, as a job array. The data base is where libpq's variables say, as in
# `sbatch --export=ALL,PGHOST=db0 array.sh`: PGHOST, PGUSER, PGDATABASE, and a password from ~/.pgpass. Options of sbatch
# before the script override those here, keys of `lit-metanas search` follow it; METHOD is the method of the
# configuration that the workers share. A worker may be killed at any moment: others begin its trial anew, and the array
# queues it again.
# Command: sbatch array.sh --model.seed 0
#SBATCH --job-name=lit-metanas-pool
#SBATCH --array=1-8
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --signal=B:SIGUSR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A-%a.log
set -euo pipefail

worker=$SLURM_ARRAY_TASK_ID
run=${RUN:-runs/array-$SLURM_ARRAY_JOB_ID}/worker-$worker
# SLURM ends the worker, too.
trap 'exec scontrol requeue "${SLURM_ARRAY_JOB_ID}_$worker"' USR1
lit-metanas search -c pool "$@" \
  --trainer.default_root_dir "$run" --model.init_args.directory "$run" \
  "--model.init_args.methods.${METHOD:-pool}.init_args.worker" "$worker" &
wait $!
