# The plan of a pull request of the repository itself, before anything is deployed.
# shellcheck shell=bash
pull_request_event team/shop false >"$event"
run_workflow pull-request pull_request "${secrets[@]}"
check "a pull request: the step succeeds" ended 0
check "a pull request: three resources would be created" output changes '.*create.*3,.*update.*0,.*'
check "a pull request: has-changes is true" output has-changes true
check "a pull request: nothing failed" output failure-reason ''
check "a pull request: the plan is in the workspace of the next step" output plan app/.s/action/plan.json
check "a pull request: the plan has a digest" output plan-digest '[0-9a-f]{64}'
check "a pull request: no hook is run by a plan" lacks "| hook=ran"
check "a pull request: the summary has the plan" has "Summary - "
check "a pull request: no secret is shown" lacks embedded-cloud-secret
check "a pull request: no value of the application is shown" lacks correct-horse-battery
check "a pull request: the plan is a comment on it" github '"Issue": 7' 'devs:plan .*devs-example/web' '"Author": "github-actions\[bot\]"'
check "a pull request: the address of the comment" output comment-url 'http.*'

run_workflow pull-request-again pull_request "${secrets[@]}"
check "a pull request again: the step succeeds" ended 0
check "a pull request again: it is the same comment" comments 1

run_workflow read-only pull_request "${secrets[@]}" -s GITHUB_TOKEN=read-only --var APP_TOKEN=another
check "a token that may not write: the step succeeds" ended 0
check "a token that may not write: the permission is named" has "pull-requests: write"
