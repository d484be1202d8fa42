// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What guest tests are made of: a tool that runs and is attached, a process that causes facts once
// the tool watches, and the tool's own account of them. The tests run as root in the emulated
// machine of scripts/vm, corebox is in PATH.
#pragma once
#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corebox::test
{

using Json = nlohmann::json;
using Records = std::vector<Json>;

// How a tool ended and what it wrote. The JSON members are filled if it was run with --json; a line
// that is no JSON object fails the test.
struct Result {
    int status = -1; // exit status, 128 + signal if one killed it
    std::string out, err;
    Records records{}; // rows, in order
    Json account{};    // the members of {"account":{...}}; null if there was none
    Records losses{};  // the members of each {"lost":{...}} told while it ran
};

// What a tool runs with beside its arguments.
using Environment = std::map<std::string, std::string>;
using BeforeExec = std::function<void()>; // in the new process: drop privileges, unshare ...

// A tool in the background: Tracer{{"opensnoop", "-p", "12", "--json"}} starts `corebox opensnoop
// ...` (or the program whose path comes first) and returns once it is attached. Throws, which fails
// the test, with the tool's stderr, if that takes over a minute or the tool ends before. The
// destructor kills a tool that still runs.
class Tracer
{
public:
    explicit Tracer(std::vector<std::string> argv, Environment env = {},
                    const BeforeExec& before_exec = {});
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    pid_t pid() const { return pid_; }

    // What it has written up to now.
    std::string out() const;
    std::string err() const;
    // Waits until `text` stands in the output; throws after a minute.
    void wait_for(std::string_view text) const;

    void kill(int signal) const;
    // Ends it by a signal, or waits for its own end; throws if it still runs a minute later.
    Result stop(int signal = SIGTERM);
    Result wait();

private:
    std::vector<std::string> argv_;
    pid_t pid_ = 0;
    int out_ = -1, err_ = -1; // memory files: a flood neither blocks the tool nor needs a reader
};

// Runs `corebox ARGV...` to its end, which must come within a minute.
Result run(std::vector<std::string> argv, Environment env = {}, const BeforeExec& before_exec = {});

// Runs a shell command (busybox sh) to its end; the same limits.
Result shell(const std::string& command, const BeforeExec& before_exec = {});

unsigned cpus();

// What the running kernel has. A test judges a kernel by that, as the tools do: labels and versions
// are not compared.
bool has_function(const std::string& name);            // in the kernel's BTF, not in a module's
bool has_member(const char* type, const char* member); // of a structure in the kernel's BTF
bool has_enumerator(const char* type, const char* name);
// The first argument is a pointer to a structure that the BTF describes, so that fexit may read it.
bool has_argument_type(const std::string& function);
// "__x64_sys_execve" and the like, for has_function() and has_argument_type().
std::string system_call(const std::string& name);
bool has_symbol(const std::string& name);       // in /proc/kallsyms, which has those of modules too
bool has_tracepoint(const std::string& name);   // "block/block_io_start"
bool has_module_types(const std::string& name); // BTF of a loaded module
bool has_sessions();                            // kprobe sessions (6.10)
bool has_multi();                               // kprobe.multi and uprobe.multi
// Debian's 7.2: a task may be switched away within a BPF program, which the kernel then skips on
// that CPU until the task runs again.
bool preempts_itself();
// A kretprobe has one place for a call under way: one CPU, and a kernel that is not built to
// preempt itself (else it has ten, kernel/kprobes.c).
bool one_return_at_a_time();
// A number that differs from kernel to kernel of a run: each takes its share of what one may show.
std::size_t turn_of_kernel();

// A forked process that waits for go(), runs `work`, and ends with status 0, or 1 if an EXPECT in
// it failed or it threw. It opens, execs and writes nothing before go(). Killed by the destructor,
// and if the test program dies.
class Child
{
public:
    explicit Child(std::function<void()> work);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    void go();
    int wait();   // its exit status, 128 + signal; throws after two minutes
    int go_wait() // both; fails the test unless the work did well
    {
        go();
        const int status = wait();
        EXPECT_EQ(status, 0);
        return status;
    }

private:
    pid_t pid_ = 0;
    int go_ = -1;
};

// Lets one process wait for another: open() lets one wait() pass, in any of the processes that came
// from the one that made it.
class Gate
{
public:
    Gate();
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    void open() const;
    void wait() const; // throws after two minutes

private:
    int fds_[2];
};

// Runs `work` as the first process of new namespaces (CLONE_NEW..., CLONE_NEWNS always among them:
// what is mounted there does not spread), with its own /proc if CLONE_NEWPID is among them. An
// EXPECT that fails in it fails the test.
void in_namespaces(int flags, const std::function<void()>& work);

// --- Probes of a tool, forced by COREBOX_PROBES.

// "" and "default": those that the tool itself takes.
Environment forced(std::string_view probes);

// For tests that run with each of several probes: TEST_P(OpensnoopRung, ...), with
//   INSTANTIATE_TEST_SUITE_P(Rungs, OpensnoopRung, testing::Values("", "kprobe"), rung_name);
class EachRung : public testing::TestWithParam<const char*>
{
protected:
    Environment env() const { return forced(GetParam()); }
    bool is(std::string_view probes) const { return GetParam() == probes; }
};
std::string rung_name(const testing::TestParamInfo<const char*>& info);

// --explain said so.
void expect_taken(const Result& result, std::string_view probe);

// --- A tool that watches one process.

struct Watch {
    Environment env{};
    bool json = true;
    const char* by = "-p";      // nullptr: the tool is not told whom to watch
    bool others_too = false;    // another process does the same first, and is not to be seen
    pid_t* pid = nullptr;       // takes the process's ID
    int* work_status = nullptr; // takes its exit status, which else has to be 0
};

// `TOOL -p PID ARGUMENTS` on a process that does `work` once the tool is attached, to the tool's
// end: with -p it ends when the process has, else it is ended.
Result watch(const std::string& tool, const std::vector<std::string>& arguments,
             const std::function<void()>& work, const Watch& how = {});

// A directory of its own under `parent`, removed with all that is in it.
class TempDir
{
public:
    explicit TempDir(const std::string& parent = "/tmp");
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    std::string path_;
};

void write_file(const std::string& path, std::string_view text); // throws on failure
std::string read_file(const std::string& path);                  // throws on failure
void drop_caches();

// A cgroup v2 directory /sys/fs/cgroup/NAME (NAME may have slashes below an existing one), removed
// at the end; enter() moves the calling process into it.
class Cgroup
{
public:
    explicit Cgroup(const std::string& name);
    ~Cgroup();
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;

    const std::string& path() const { return path_; }
    std::uint64_t id() const; // the inode number, which is the kernel's cgroup id
    void enter() const;

private:
    std::string path_;
};

// Becomes uid 1000 with exactly these capabilities (CAP_ numbers), inherited over exec.
void become_user(std::initializer_list<int> capabilities = {});

// Records of which `key` is `value`.
Records with(const Records& records, const std::string& key, const Json& value);

template <class Predicate>
std::size_t count_if(const Records& records, Predicate&& predicate)
{
    std::size_t n = 0;
    for (const Json& record : records)
        n += predicate(record) ? 1 : 0;
    return n;
}

// Lines without their newlines; a last one without newline counts too.
std::vector<std::string> lines(std::string_view text);
std::vector<std::string> words(std::string_view text); // between blanks

// Polls until true or the time is over; returns the last answer.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(30));

// seen = printed + filtered + lost, and nothing was lost.
void expect_exact(const Result& result);

// The same for a flood of `caused` events of which the tool shows `shown`. Where the kernel
// preempts itself (7.2) it may skip programs, also for what others do; then no event is shown
// twice, and none is missing that is not told.
void expect_exact_flood(const Result& result, std::uint64_t shown, std::uint64_t caused);

} // namespace corebox::test

// Compiled once, in harness.cpp, instead of in each of seventy files.
extern template class nlohmann::basic_json<>;
extern template class std::vector<nlohmann::json>;
extern template class std::map<std::string, nlohmann::json, std::less<>>;
extern template class std::vector<std::string>;
