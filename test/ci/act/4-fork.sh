# The pull request of a fork: no secrets, and none of its code is run.
# shellcheck shell=bash
pull_request_event stranger/shop true >"$event"
CLOUD=http://127.0.0.1:1 run_workflow fork pull_request -s GITHUB_TOKEN=read-only
check "a fork: the step succeeds" ended 0
check "a fork: what its file wants" output changes '.*create.*3,.*'
check "a fork: the log says what the plan knows" has "holds no credential"
check "a fork: no hook is run" lacks "| hook=ran"
check "a fork: the plan is left as text for a trusted job" has "| text=left"
check "a fork: it writes no comment" comments 1

# With secrets in the job, as on pull_request_target, its hooks are not run either.
run_workflow fork-trusted pull_request "${secrets[@]}"
check "a fork with secrets: the step succeeds" ended 0
check "a fork with secrets: no hook is run" lacks "| hook=ran"
check "a fork with secrets: the plan knows what is online" output changes '.*create[^0-9]*0,.*'
check "a fork with secrets: its file does not get them" lacks "correct-horse-battery"

# A fork that was deleted.
pull_request_event x true | sed 's/"repo": {"full_name": "x", "fork": true}/"repo": null/' >"$event"
CLOUD=http://127.0.0.1:1 run_workflow deleted-fork pull_request -s GITHUB_TOKEN=read-only
check "a deleted fork: the step succeeds" ended 0
check "a deleted fork: the log says what the plan knows" has "holds no credential"

# The trusted job writes down what a fork left, and believes none of it.
workflow_run_event >"$event"
run_workflow comment workflow_run -s GITHUB_TOKEN=workflow
check "the trusted job: the step succeeds" ended 0
check "the trusted job: the text is quoted on the pull request of the commit" github '"Issue": 7' 'Approved by'
check "the trusted job: it is in the one comment" comments 1
check "GitHub's API was used as it is described" github '"wrong": (null|\[\])'
