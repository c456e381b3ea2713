# What is told when it fails.
# shellcheck shell=bash
push_event refs/heads/main >"$event"
run_workflow no-key push -s ALIYUN_ACCOUNT_ID=1000000000000000 -s ALIYUN_ACCESS_KEY_ID=embedded
check "half a key: the job fails" ended 1
check "half a key: the next step knows" has "| outcome=failure"
check "half a key: the exit code" output exit-code 100
check "half a key: the log says it" has "of access-key-id and access-key-secret only one is given"

sed -i 's/memorySize.*//; s/runtime: python3.9/runtime: python9/' "$project/app/s.yaml"
commit "Break"
push_event refs/heads/main >"$event"
run_workflow wrong push "${secrets[@]}"
check "a wrong file: the job fails" ended 1
check "a wrong file: the reason" output failure-reason configuration
check "a wrong file: an annotation at its line" has "file=app/s.yaml,line=17::"
