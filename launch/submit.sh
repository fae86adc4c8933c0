#!/usr/bin/env bash
# launch/submit.sh output=/shared/studies/mine cache=/shared/cache [any other setting of python -m study]
#
# Ships this code to a running Ray cluster and runs the study on its head node. Needs ray[default] here and there, and the
# cluster's token in ~/.ray/auth_token. RAY_API_SERVER_ADDRESS is where the head node's port 8265 is reached; 127.0.0.1, as
# `ray dashboard launch/cluster.yaml` forwards it, unless said otherwise. Ctrl-C leaves the job running: `ray job stop ID`
# interrupts it, and resume=/shared/studies/mine continues it.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! [[ " $* " =~ \ (output|resume)=(/|s3://) ]]; then
  echo "give output=FOLDER (or resume=FOLDER) with a folder that all nodes share, absolute: the job does not run here" >&2
  exit 2
fi
export RAY_AUTH_MODE=token
export RAY_API_SERVER_ADDRESS=${RAY_API_SERVER_ADDRESS:-http://127.0.0.1:8265}
exec ray job submit --runtime-env launch/runtime_env.yaml --working-dir . -- python -m study cluster=address "$@"
