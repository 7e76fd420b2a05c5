#!/usr/bin/env bash
# A member of the pool of compose.yaml:
#   pool.sh worker [KEYS]    works on the studies, with further keys of `lit-metanas search`
#   pool.sh dashboard        shows them, on port 8080
#   pool.sh healthy          whether the data base answers
# The data base is where libpq's variables say: PGHOST, PGUSER, PGDATABASE, and PGPASSWORD or, in PASSWORD_FILE, a file
# that holds it. So the password is in no configuration and on no command line.
set -euo pipefail

if [ -r "${PASSWORD_FILE:=/run/secrets/password}" ]; then
  PGPASSWORD=$(<"$PASSWORD_FILE")
  export PGPASSWORD
fi

case ${1-} in
worker)
  # A container's name is twelve hexadecimal digits that no other has, the same after a restart.
  number=${WORKER:-$((16#$HOSTNAME))}
  run=${RUNS:-runs/pool}/worker-$number
  exec lit-metanas search -c pool --trainer.default_root_dir "$run" \
    --model.init_args.directory "$run" \
    --model.init_args.methods.pool.init_args.worker "$number" "${@:2}"
  ;;
dashboard)
  # It refuses an empty data base.
  python -c "from lit_metanas.searchers.query.study import shared_storage; shared_storage('postgresql+psycopg://', 30)"
  exec optuna-dashboard postgresql+psycopg:// --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}"
  ;;
healthy)
  exec python -c "import psycopg; psycopg.connect(connect_timeout=5).close()"
  ;;
*)
  echo "usage: pool.sh worker [KEYS] | dashboard | healthy" >&2
  exit 2
  ;;
esac
