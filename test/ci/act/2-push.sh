# The deploy of a push: of what was approved, without a change, and of what was not.
# shellcheck shell=bash
push_event refs/heads/main >"$event"
run_workflow push push "${secrets[@]}" --var REQUIRE_APPROVED_PLAN=true --var ENVIRONMENT=production
check "a push: the step succeeds" ended 0
check "a push: the plan was approved" has "was approved on pull request #7"
check "a push: what was deployed" output changes '.*create.*3,.*'
check "a push: the address" output url 'https?://.*/devs-example/web/'
check "a push: the addresses" output urls '.*web.*http.*'
check "a push: no version" output version ''
check "a push: the exit code" output exit-code 0
check "a push: hooks are run" has "| hook=ran"
check "a push: the plan as JSON is there for the next step" has "| plan=there"
check "a push: no value of the application is shown" lacks correct-horse-battery
check "a push: it is online" prints "name: web" online info
check "a push: GitHub knows of the deployment" github '"Environment": "production"' '"in_progress"' '"success"' '"URL": "http.*devs-example/web/"'

run_workflow again push "${secrets[@]}"
check "a push without a change: the step succeeds" ended 0
check "a push without a change: nothing to do" output has-changes false

run_workflow unapproved push "${secrets[@]}" --var REQUIRE_APPROVED_PLAN=true --var APP_TOKEN=another
check "a push of something else: the step fails" ended 1
check "a push of something else: the reason" output failure-reason approval
check "a push of something else: nothing is deployed" lacks "updated  function"

# What the refused run wrote on the pull request approves nothing.
run_workflow unapproved-again push "${secrets[@]}" --var REQUIRE_APPROVED_PLAN=true --var APP_TOKEN=another
check "a push of something else, run again: the step fails" ended 1
check "a push of something else, run again: the reason" output failure-reason approval
