import os


def handler(event, context):
    return "hello from " + os.environ["BRANCH"]
