#!/bin/bash
# Train and evaluate one run as a job of SLURM that may be stopped at any time:
#
#     sbatch examples/slurm.sh runs/first model=resnet50.a1_in1k data=photos/ threat.eps=4/255
#
# Before its time is up SLURM sends SIGUSR1 to this script. The run saves a checkpoint and stops, and
# the job is put into the queue again. At a preemption SLURM sends SIGTERM and requeues the job
# itself; the run saves a checkpoint too. The next start resumes.
#
#SBATCH --job-name=rampart
#SBATCH --time=12:00:00
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -u
run=$1
shift

command=(rampart train "$@" -o "$run")
# Several GPUs: command=(accelerate launch -m rampart train "$@" -o "$run")
if [ -e "$run/run.json" ]; then command+=(--resume); fi

warned=
stopped=
training=
stop() {
  stopped=yes
  if [ -n "$training" ]; then kill -TERM "$training"; fi
}
trap 'warned=yes; stop' USR1
trap stop TERM

# In the background, because bash answers no signal while it waits for a command.
"${command[@]}" &
training=$!
# A signal may have come before the number of the process was known.
if [ -n "$stopped" ]; then stop; fi
wait "$training"
# A signal ends the wait, not the training.
while kill -0 "$training" 2>/dev/null; do wait "$training"; done
wait "$training"
status=$?

if [ -n "$warned" ] && [ "$status" -ne 0 ]; then
  echo "the time is nearly up: the job is put into the queue again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
