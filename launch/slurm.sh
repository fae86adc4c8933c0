#!/usr/bin/env bash
# sbatch --nodes=2 launch/slurm.sh output=/shared/studies/mine cache=/shared/cache budget.hours=11.5
#
# Starts Ray on all nodes of a Slurm job, runs the study on the first one, and ends Ray with it. Submit it from this folder,
# which, like output and cache, lies on a file system that the nodes share; `make setup` has made its .venv. Keep budget.hours
# below --time, so that the study ends by itself; sbatch launch/slurm.sh resume=/shared/studies/mine goes on with it.
#SBATCH --job-name=study
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
# For nodes with GPUs, add for example: #SBATCH --gpus-per-node=4
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?run this by sbatch}"
export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
# Seconds that nodes get to find each other; Ray's own 30 are few where all import from one file server at once.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=${RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT:-300}
[[ -s $RAY_AUTH_TOKEN_PATH ]] || ray get-auth-token --generate > /dev/null

# --wait: Ray on the other nodes would notice only after a while that the first node's has ended.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$first" hostname --ip-address | awk '{print $1; exit}')
# The study's own exit code goes through a file: that of symmetric-run on several nodes is 1 even after a success.
export STUDY_STATUS="$PWD/.study-status-$SLURM_JOB_ID"
trap 'rm -f "$STUDY_STATUS"' EXIT
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --wait=30 \
  ray symmetric-run --address "$address:${RAY_PORT:-6379}" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus="$SLURM_CPUS_ON_NODE" -- \
  bash -c 'python -m study cluster=slurm "$@"; echo $? > "$STUDY_STATUS"' study "$@" || true
exit "$(cat "$STUDY_STATUS" 2> /dev/null || echo 1)"
