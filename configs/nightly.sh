#!/bin/sh
# The nightly job: run the tasks, then say whether something became worse than the baseline. Its exit code is the gate's:
# 0 passed, 1 regressed, 2 config or usage, 3 cannot tell yet, 4 the run could not be done (typed again, it goes on).
# The first night there is no baseline: it becomes that night's run. `harness baseline set main RUN` moves it.
#
#   crontab:  17 3 * * *  cd /srv/eval && flock -n .nightly.lock sh configs/nightly.sh >> nightly.log 2>&1
set -eu
results="${HARNESS_RESULTS:-results}"
rm -f "$results/gate.xml" "$results/gate.md"    # a night that breaks off must not show the verdict of the one before
newest() { ls -t "$results"/*/run.json 2>/dev/null | head -n 1; }
before=$(newest)
code=0
harness run configs/nightly.yaml --results "$results" || code=$?
run=$(newest)
[ "$run" != "$before" ] || exit "$code"         # it broke off before there was a run to judge
harness gate "$(basename "$(dirname "$run")")" --baseline main --init --results "$results" \
  --junit "$results/gate.xml" --summary "${GITHUB_STEP_SUMMARY:-$results/gate.md}"
