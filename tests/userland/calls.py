# 1000 calls of leaf and 10 of mid; 6 of fact, which calls itself; 3 of fail, which raises.
import sys


def leaf(x):
    return x + 1


def mid(n):
    s = 0
    for _ in range(n):
        s = leaf(s)
    return s


def fact(n):
    return 1 if n < 2 else n * fact(n - 1)


def fail():
    raise ValueError


print("ready", flush=True)
sys.stdin.readline()
t = 0
for _ in range(10):
    t += mid(100)
fact(6)
for _ in range(3):
    try:
        fail()
    except ValueError:
        pass
print(t, flush=True)
sys.stdin.readline()
