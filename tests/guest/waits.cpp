// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "waits.hpp"
#include "direct_call.hpp"
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <numeric>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

timespec time_of(unsigned ms) { return {time_t(ms / 1000), long(ms % 1000) * 1'000'000}; }

} // namespace

extern "C" {
FRAME void cbtest_nap(unsigned ms)
{
    const timespec t = time_of(ms);
    KEEP_FRAME;
    direct_call(SYS_nanosleep, long(&t), 0, 0);
    KEEP_FRAME;
}

FRAME void cbtest_naps(unsigned n, unsigned ms)
{
    KEEP_FRAME;
    for (unsigned i = 0; i < n; i++)
        cbtest_nap(ms);
    KEEP_FRAME;
}

FRAME void cbtest_poll(unsigned ms)
{
    const timespec t = time_of(ms); // poll(2) itself is x86's only
    KEEP_FRAME;
    direct_call(SYS_ppoll, 0, 0, long(&t));
    KEEP_FRAME;
}

FRAME bool cbtest_wait(int fd)
{
    char byte;
    KEEP_FRAME;
    const bool got = direct_call(SYS_read, fd, long(&byte), 1) == 1;
    KEEP_FRAME;
    return got;
}

FRAME void cbtest_wake(int fd)
{
    const char byte = 0;
    KEEP_FRAME;
    direct_call(SYS_write, fd, long(&byte), 1);
    KEEP_FRAME;
}
}

namespace corebox::test
{

FRAME void Napper::nap(unsigned ms) const
{
    const timespec t = time_of(ms);
    KEEP_FRAME;
    direct_call(SYS_nanosleep, long(&t), 0, 0);
    KEEP_FRAME;
}

void name(const char* comm) { ::prctl(PR_SET_NAME, comm); }

bool has_frame(const Json& frames, std::string_view function)
{
    return frames.is_array() && std::ranges::find(frames, Json(function)) != frames.end();
}

std::uint64_t sum(const Records& records, const char* key)
{
    return std::accumulate(
        records.begin(), records.end(), std::uint64_t(0),
        [&](std::uint64_t n, const Json& r) { return n + r.at(key).get<std::uint64_t>(); });
}

Records with_frame(const Records& records, const char* key, std::string_view function)
{
    Records those;
    std::ranges::copy_if(records, std::back_inserter(those),
                         [&](const Json& r) { return has_frame(r.at(key), function); });
    return those;
}

namespace
{
#if defined(__x86_64__)
// push %rbp; mov %rsp, %rbp; mov $35, %eax (nanosleep); syscall; pop %rbp; ret
constexpr unsigned char kJitCode[] = {0x55, 0x48, 0x89, 0xe5, 0xb8, 0x23, 0x00,
                                      0x00, 0x00, 0x0f, 0x05, 0x5d, 0xc3};
#elif defined(__aarch64__)
// stp x29, x30, [sp, #-16]!; mov x29, sp; mov x8, #101 (nanosleep); svc #0; ldp x29, x30, [sp],
// #16; ret
constexpr std::uint32_t kJitCode[] = {0xa9bf7bfd, 0x910003fd, 0xd2800ca8,
                                      0xd4000001, 0xa8c17bfd, 0xd65f03c0};
#endif
} // namespace

JitNap::JitNap()
    : page_(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0))
{
    EXPECT_NE(page_, MAP_FAILED);
    std::memcpy(page_, kJitCode, sizeof kJitCode);
    char* code = static_cast<char*>(page_);
    __builtin___clear_cache(code, code + sizeof kJitCode);
}

void JitNap::name_in(pid_t pid) const
{
    char line[64];
    std::snprintf(line, sizeof line, "%lx %zx jitted nap<1>\n", (unsigned long)page_,
                  sizeof kJitCode);
    write_file("/tmp/perf-" + std::to_string(pid) + ".map", line);
}

JitNap::~JitNap() { ::munmap(page_, 4096); }

void JitNap::nap(unsigned ms) const
{
    const timespec t = time_of(ms);
    reinterpret_cast<void (*)(const timespec*, timespec*)>(page_)(&t, nullptr);
}

WakePair::Pipe::Pipe() { EXPECT_EQ(::pipe(fds), 0); }
WakePair::Pipe::~Pipe()
{
    ::close(fds[0]);
    ::close(fds[1]);
}

WakePair::WakePair(unsigned times)
    : sleeper([this, times] {
          name("the-sleeper");
          for (unsigned i = 0; i < times; i++)
              cbtest_wait(pipe_.fds[0]);
      }),
      waker([this, times] {
          name("the-waker");
          for (unsigned i = 0; i < times; i++) {
              // It sleeps, or is about to.
              const std::string stat = "/proc/" + std::to_string(sleeper.pid()) + "/stat";
              wait_until([&] { return words(read_file(stat)).at(2) == "S"; });
              cbtest_nap(20);
              cbtest_wake(pipe_.fds[1]);
          }
      })
{
}

void WakePair::run()
{
    sleeper.go();
    waker.go();
    EXPECT_EQ(waker.wait(), 0);
    EXPECT_EQ(sleeper.wait(), 0);
}

void expect_clean(const Json& kernel)
{
    for (const Json& frame : kernel)
        for (const char* own :
             {"[bpf]", "bpf_trace_run", "__bpf_trace_", "__traceiter_", "bpf_get_stack", "0x"})
            EXPECT_EQ(frame.get<std::string>().find(own), std::string::npos) << kernel;
}

} // namespace corebox::test
