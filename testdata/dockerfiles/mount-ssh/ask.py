"""Asks the SSH agent for its keys and prints their comments."""
import os
import socket
import struct

agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["SSH_AUTH_SOCK"])
agent.sendall(struct.pack(">IB", 1, 11))
want = struct.unpack(">I", agent.recv(4))[0]
answer = b""
while len(answer) < want:
    answer += agent.recv(want - len(answer))


def text(at):
    size = struct.unpack(">I", answer[at:at + 4])[0]
    return answer[at + 4:at + 4 + size], at + 4 + size


at = 5
for _ in range(struct.unpack(">I", answer[1:5])[0]):
    _, at = text(at)
    comment, at = text(at)
    print(comment.decode())
