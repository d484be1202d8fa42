# After a line: 7 collections of generation 2, 3 of generation 1, and as many of generation 0 as the
# first argument says.
import gc
import os
import sys

gc.disable()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(7):
    gc.collect()
for _ in range(3):
    gc.collect(1)
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
    gc.collect(0)
os._exit(0)
