// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Ways to wait that stacks show, by names that nothing else has; and looks at stacks.
#pragma once
#include "harness.hpp"

// A function that shows in stacks. It keeps a frame pointer, as the kernel follows those, and has
// to be called from one that does: a function without one hides its caller.
#define FRAME [[gnu::noinline, gnu::noipa, gnu::optimize("no-optimize-sibling-calls")]]
#define KEEP_FRAME asm volatile("" : : "r"(__builtin_frame_address(0)) : "memory")

extern "C" {
// Each makes the system call itself: libc's functions have no frame pointers.
void cbtest_nap(unsigned ms);              // nanosleep
void cbtest_naps(unsigned n, unsigned ms); // n naps
void cbtest_poll(unsigned ms);             // poll of nothing
bool cbtest_wait(int fd);                  // reads a byte; false: end of file
void cbtest_wake(int fd);                  // writes a byte
}

namespace corebox::test
{

// A C++ function of a name to demangle.
struct Napper {
    void nap(unsigned ms) const;
};

void name(const char* comm); // the calling thread
bool has_frame(const Json& frames, std::string_view function);
std::uint64_t sum(const Records& records, const char* key);
// Of which `key`, a stack, has the function.
Records with_frame(const Records& records, const char* key, std::string_view function);

// Code made at run time that naps. Made before a Child is forked, it is there too.
class JitNap
{
public:
    JitNap();
    ~JitNap();
    JitNap(const JitNap&) = delete;
    JitNap& operator=(const JitNap&) = delete;

    // Writes the perf map of a process that has it, where it is called "jitted nap<1>".
    void name_in(pid_t pid) const;
    void nap(unsigned ms) const;

private:
    void* page_;
};

// Processes of which one wakes the other through a pipe, `times` times, 20 ms after it went to
// sleep each; returns when both have ended.
class WakePair
{
public:
    explicit WakePair(unsigned times);

    void run(); // then they have ended

private:
    struct Pipe {
        Pipe();
        ~Pipe();
        int fds[2];
    };
    Pipe pipe_;

public:
    Child sleeper, waker; // "the-sleeper", "the-waker"
};

// No frames of the tracing itself, and all have names.
void expect_clean(const Json& kernel);

} // namespace corebox::test
