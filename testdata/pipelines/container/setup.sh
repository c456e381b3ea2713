#!/usr/bin/env bash
# Builds the image of the version and deploys the function with it.

version=$(cat version)
registry='registry.cn-hangzhou.aliyuncs.com/pipeline-container/web:'

export image=$registry$version
s build --use-docker
s deploy --push-registry acr-internet --use-local -y
