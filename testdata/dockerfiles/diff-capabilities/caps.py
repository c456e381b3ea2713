"""Sets or asserts cap_net_bind_service=ep on a file."""
import os
import struct
import sys

VALUE = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
if sys.argv[1] == "set":
    os.setxattr(sys.argv[2], "security.capability", VALUE)
found = os.getxattr(sys.argv[2], "security.capability")
if found != VALUE:
    sys.exit("capability %r, not %r" % (found, VALUE))
