// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include "process.hpp"
#include <algorithm>
#include <bpf/btf.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <linux/capability.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <span>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox::test
{

using namespace process;
namespace
{

using Clock = std::chrono::steady_clock;
constexpr int kLimitMs = 60'000; // emulated: a tool that takes 0.5 s may take ten times that

std::string join(const std::vector<std::string>& argv)
{
    std::string text;
    for (const std::string& word : argv)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

// Forks and execs; `keep` is the one descriptor beside 0, 1, 2 that the program gets.
pid_t spawn(const std::vector<std::string>& argv, const Environment& env,
            const BeforeExec& before_exec, int out, int err, int keep)
{
    std::vector<char*> words;
    for (const std::string& word : argv)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0)
        give_up("fork", errno);
    if (pid > 0)
        return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    if (keep >= 0)
        ::fcntl(keep, F_SETFD, 0);
    // A system call that a tool makes after it gave that up ends it.
    ::setenv("COREBOX_PRIVILEGES", "strict", 1);
    for (const auto& [name, value] : env)
        ::setenv(name.c_str(), value.c_str(), 1);
    try {
        if (before_exec)
            before_exec();
    } catch (const std::exception& error) {
        dprintf(2, "before exec: %s\n", error.what());
        ::_exit(125);
    }
    ::execvp(words[0], words.data());
    dprintf(2, "exec %s: %s\n", words[0], strerrordesc_np(errno));
    ::_exit(127);
}

// How many failures the current test has up to now; successes are not kept.
int test_parts()
{
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    return test ? test->result()->total_part_count() : 0;
}

void parse(Result& result)
{
    for (const std::string& line : lines(result.out)) {
        Json record = Json::parse(line, nullptr, false);
        if (!record.is_object()) {
            ADD_FAILURE() << "not a JSON object: " << line.substr(0, 500);
            continue;
        }
        if (record.size() == 1 && record.contains("account"))
            result.account = record["account"];
        else if (record.size() == 1 && record.contains("lost"))
            result.losses.push_back(record["lost"]);
        else
            result.records.push_back(std::move(record));
    }
}

bool wants_json(const std::vector<std::string>& argv)
{
    for (const std::string& word : argv) {
        if (word == "--")
            return false;
        if (word == "--json")
            return true;
    }
    return false;
}

Result finish(pid_t pid, int out, int err, const std::vector<std::string>& argv)
{
    if (!ended(pid, kLimitMs)) {
        ::kill(pid, SIGKILL);
        reap(pid);
        give_up("still ran after a minute: " + join(argv) + "\n" + content(err));
    }
    Result result{.status = reap(pid), .out = content(out), .err = content(err)};
    if (wants_json(argv))
        parse(result);
    return result;
}

Result run_to_end(const std::vector<std::string>& argv, const Environment& env,
                  const BeforeExec& before_exec)
{
    const int out = memory_file("out"), err = memory_file("err");
    const pid_t pid = spawn(argv, env, before_exec, out, err, -1);
    Result result;
    try {
        result = finish(pid, out, err, argv);
    } catch (...) {
        ::close(out);
        ::close(err);
        throw;
    }
    ::close(out);
    ::close(err);
    return result;
}

} // namespace

Tracer::Tracer(std::vector<std::string> argv, Environment env, const BeforeExec& before_exec)
    : argv_(std::move(argv))
{
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0)
        give_up("pipe", errno);
    out_ = memory_file("out");
    err_ = memory_file("err");
    if (!argv_[0].starts_with('/')) // a tool of the tests
        argv_.insert(argv_.begin(), "corebox");
    const std::vector<std::string> option{"--ready-fd", std::to_string(ready[1])};
    argv_.insert(argv_.begin() + 2, option.begin(), option.end());
    pid_ = spawn(argv_, env, before_exec, out_, err_, ready[1]);
    ::close(ready[1]);

    // A tool that fails closes its end without a byte.
    pollfd p{ready[0], POLLIN, 0};
    char byte;
    const bool attached = ::poll(&p, 1, kLimitMs) == 1 && ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
    if (attached)
        return;
    const bool gone = ended(pid_, 1000);
    if (!gone)
        ::kill(pid_, SIGKILL);
    const int status = reap(pid_);
    const std::string message =
        join(argv_) +
        (gone ? ": ended with status " + std::to_string(status) : std::string(": not ready")) +
        "\n" + content(err_);
    ::close(out_);
    ::close(err_);
    give_up(message);
}

Tracer::~Tracer()
{
    if (pid_) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
    ::close(err_);
}

std::string Tracer::out() const { return content(out_); }
std::string Tracer::err() const { return content(err_); }

void Tracer::wait_for(std::string_view text) const
{
    if (!wait_until([&] { return out().find(text) != std::string::npos; },
                    std::chrono::milliseconds(kLimitMs)))
        give_up("no '" + std::string(text) + "' in the output of " + join(argv_) + "\n" + err());
}

void Tracer::kill(int signal) const
{
    if (pid_ && ::kill(pid_, signal) != 0)
        give_up("kill", errno);
}

Result Tracer::stop(int signal)
{
    kill(signal);
    return wait();
}

Result Tracer::wait() { return finish(std::exchange(pid_, 0), out_, err_, argv_); }

Result run(std::vector<std::string> argv, Environment env, const BeforeExec& before_exec)
{
    argv.insert(argv.begin(), "corebox");
    return run_to_end(argv, env, before_exec);
}

Result shell(const std::string& command, const BeforeExec& before_exec)
{
    return run_to_end({"sh", "-c", command}, {}, before_exec);
}

unsigned cpus() { return unsigned(::sysconf(_SC_NPROCESSORS_ONLN)); }

namespace
{

// Read once: it takes an emulated machine some tenths of a second.
const btf& kernel_types()
{
    static const std::unique_ptr<btf, void (*)(btf*)> types{::btf__load_vmlinux_btf(), ::btf__free};
    if (!types)
        give_up("the kernel's BTF");
    return *types;
}

} // namespace

bool has_function(const std::string& name)
{
    return ::btf__find_by_name_kind(&kernel_types(), name.c_str(), BTF_KIND_FUNC) > 0;
}

bool has_member(const char* type, const char* member)
{
    const int id = ::btf__find_by_name_kind(&kernel_types(), type, BTF_KIND_STRUCT);
    if (id <= 0)
        return false;
    const btf_type* t = ::btf__type_by_id(&kernel_types(), std::uint32_t(id));
    const std::span members(btf_members(t), btf_vlen(t));
    return std::ranges::any_of(members, [&](const btf_member& m) {
        return std::string_view(::btf__name_by_offset(&kernel_types(), m.name_off)) == member;
    });
}

bool has_enumerator(const char* type, const char* name)
{
    const int id = ::btf__find_by_name_kind(&kernel_types(), type, BTF_KIND_ENUM);
    if (id <= 0)
        return false;
    const btf_type* t = ::btf__type_by_id(&kernel_types(), std::uint32_t(id));
    const std::span values(btf_enum(t), btf_vlen(t));
    return std::ranges::any_of(values, [&](const struct btf_enum& e) {
        return std::string_view(::btf__name_by_offset(&kernel_types(), e.name_off)) == name;
    });
}

bool has_argument_type(const std::string& function)
{
    const int id = ::btf__find_by_name_kind(&kernel_types(), function.c_str(), BTF_KIND_FUNC);
    if (id <= 0)
        return false;
    const auto type = [](std::uint32_t of) { return ::btf__type_by_id(&kernel_types(), of); };
    const btf_type* proto = type(type(std::uint32_t(id))->type);
    if (btf_vlen(proto) == 0)
        return false;
    const btf_type* t = type(btf_params(proto)[0].type);
    while (btf_is_ptr(t) || btf_is_mod(t))
        t = type(t->type);
    return btf_is_struct(t);
}

std::string system_call(const std::string& name)
{
#if defined(__aarch64__)
    return "__arm64_sys_" + name;
#else
    return "__x64_sys_" + name;
#endif
}

bool has_symbol(const std::string& name)
{
    return std::ranges::any_of(lines(read_file("/proc/kallsyms")), [&](const std::string& line) {
        // "ffffffffc0411840 t null_queue_rqs\t[null_blk]"
        return words(line.substr(0, line.find('\t'))).at(2) == name;
    });
}

bool has_tracepoint(const std::string& name)
{
    return ::access(("/sys/kernel/tracing/events/" + name).c_str(), F_OK) == 0;
}

bool has_module_types(const std::string& name)
{
    return ::access(("/sys/kernel/btf/" + name).c_str(), F_OK) == 0;
}

bool has_sessions() { return has_enumerator("bpf_attach_type", "BPF_TRACE_KPROBE_SESSION"); }

bool has_multi()
{
    // Debian's 6.1 has the enumerator of kprobe.multi, but not the fprobes that it needs.
    return has_function("register_fprobe_ips") &&
           has_enumerator("bpf_attach_type", "BPF_TRACE_UPROBE_MULTI");
}

bool preempts_itself()
{
    // "none voluntary full (lazy)", where that is chosen at boot.
    static const bool answer = [] {
        const char* const path = "/sys/kernel/debug/sched/preempt";
        if (::access(path, R_OK) == 0) {
            const std::string models = read_file(path);
            return models.find("(lazy)") != models.npos || models.find("(full)") != models.npos;
        }
        return read_file("/proc/version").find(" PREEMPT ") != std::string::npos;
    }();
    return answer;
}

bool one_return_at_a_time()
{
    return cpus() == 1 && read_file("/proc/version").find("PREEMPT") == std::string::npos;
}

std::size_t turn_of_kernel()
{
    const char* turn = std::getenv("TURN"); // of scripts/test
    return turn ? std::strtoul(turn, nullptr, 10) : 0;
}

Environment forced(std::string_view probes)
{
    if (probes.empty() || probes == "default")
        return {};
    return {{"COREBOX_PROBES", std::string(probes)}};
}

std::string rung_name(const testing::TestParamInfo<const char*>& info)
{
    std::string name = *info.param ? info.param : "default";
    std::ranges::replace_if(
        name, [](char c) { return c == ',' || c == '.'; }, '_');
    return name;
}

void expect_taken(const Result& result, std::string_view probe)
{
    EXPECT_NE(result.err.find("  " + std::string(probe) + ": taken"), std::string::npos)
        << probe << "\n"
        << result.err;
}

Result watch(const std::string& tool, const std::vector<std::string>& arguments,
             const std::function<void()>& work, const Watch& how)
{
    std::optional<Child> other;
    if (how.others_too)
        other.emplace(work);
    Child child(work);
    if (how.pid)
        *how.pid = child.pid();
    std::vector<std::string> argv{tool};
    if (how.json)
        argv.emplace_back("--json");
    if (how.by)
        argv.insert(argv.end(), {how.by, std::to_string(child.pid())});
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    Tracer tracer(argv, how.env);
    if (other)
        other->go_wait(); // first: with the process of -p its tool ends
    if (how.work_status) {
        child.go();
        *how.work_status = child.wait();
    } else
        child.go_wait();
    return how.by && std::string_view(how.by) == "-p" ? tracer.wait() : tracer.stop();
}

Child::Child(std::function<void()> work)
{
    int go[2];
    if (::pipe2(go, O_CLOEXEC) != 0)
        give_up("pipe", errno);
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
        give_up("fork", errno);
    if (pid_ == 0) {
        ::close(go[1]);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int failures = test_parts();
        char byte;
        if (::read(go[0], &byte, 1) != 1)
            ::_exit(125);
        try {
            work();
        } catch (const std::exception& error) {
            ADD_FAILURE() << "child: " << error.what();
        }
        const int status = test_parts() > failures ? 1 : 0;
        std::fflush(nullptr);
        ::_exit(status);
    }
    ::close(go[0]);
    go_ = go[1];
}

Child::~Child()
{
    if (go_ >= 0)
        ::close(go_);
    if (pid_) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

void Child::go()
{
    if (::write(go_, "", 1) != 1)
        give_up("start the child", errno);
    ::close(std::exchange(go_, -1));
}

int Child::wait()
{
    const pid_t pid = std::exchange(pid_, 0);
    if (!ended(pid, 2 * kLimitMs)) {
        ::kill(pid, SIGKILL);
        reap(pid);
        give_up("the child still ran after two minutes");
    }
    return reap(pid);
}

Gate::Gate()
{
    if (::pipe2(fds_, O_CLOEXEC) != 0)
        give_up("pipe", errno);
}

Gate::~Gate()
{
    ::close(fds_[0]);
    ::close(fds_[1]);
}

void Gate::open() const
{
    if (::write(fds_[1], "", 1) != 1)
        give_up("open the gate", errno);
}

void Gate::wait() const
{
    pollfd p{fds_[0], POLLIN, 0};
    char byte;
    if (::poll(&p, 1, 2 * kLimitMs) != 1 || ::read(fds_[0], &byte, 1) != 1)
        give_up("the gate stayed shut");
}

void in_namespaces(int flags, const std::function<void()>& work)
{
    Child outer([&] {
        if (::unshare(flags | CLONE_NEWNS) != 0)
            give_up("unshare", errno);
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            give_up("make mounts private", errno);
        Child inner([&] {
            if ((flags & CLONE_NEWPID) && ::mount("proc", "/proc", "proc", 0, nullptr) != 0)
                give_up("mount proc", errno);
            work();
        });
        inner.go_wait();
    });
    outer.go_wait();
}

TempDir::TempDir(const std::string& parent) : path_(parent + "/testXXXXXX")
{
    if (!::mkdtemp(path_.data()) || ::chmod(path_.c_str(), 0755) != 0)
        give_up("mkdtemp " + path_, errno);
}

TempDir::~TempDir()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view text)
{
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        give_up("open " + path, errno);
    const ssize_t n = ::write(fd, text.data(), text.size());
    const int code = errno;
    ::close(fd);
    if (n != ssize_t(text.size()))
        give_up("write " + path, n < 0 ? code : 0);
}

std::string read_file(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        give_up("open " + path, errno);
    std::string text;
    char part[4096];
    for (ssize_t n; (n = ::read(fd, part, sizeof part)) > 0;)
        text.append(part, std::size_t(n));
    ::close(fd);
    return text;
}

void drop_caches()
{
    ::sync();
    write_file("/proc/sys/vm/drop_caches", "3");
}

Cgroup::Cgroup(const std::string& name) : path_("/sys/fs/cgroup/" + name)
{
    if (::mkdir(path_.c_str(), 0755) != 0)
        give_up("mkdir " + path_, errno);
}

Cgroup::~Cgroup()
{
    // Processes that have just ended may still count as members.
    wait_until([&] { return ::rmdir(path_.c_str()) == 0 || errno != EBUSY; },
               std::chrono::seconds(5));
}

std::uint64_t Cgroup::id() const
{
    struct stat st {
    };
    if (::stat(path_.c_str(), &st) != 0)
        give_up("stat " + path_, errno);
    return st.st_ino;
}

void Cgroup::enter() const { write_file(path_ + "/cgroup.procs", "0"); }

void become_user(std::initializer_list<int> capabilities)
{
    const auto must = [](long result, const char* what) {
        if (result != 0)
            give_up(what, errno);
    };
    must(::prctl(PR_SET_KEEPCAPS, 1), "PR_SET_KEEPCAPS");
    // The system calls: glibc's wrappers want all threads to follow, which is not needed here.
    must(::syscall(SYS_setgroups, 0, nullptr), "setgroups");
    must(::syscall(SYS_setresgid, 1000, 1000, 1000), "setresgid");
    must(::syscall(SYS_setresuid, 1000, 1000, 1000), "setresuid");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    for (const int cap : capabilities) {
        auto& word = data[cap / 32];
        const auto bit = 1u << (cap % 32);
        word.effective |= bit;
        word.permitted |= bit;
        word.inheritable |= bit;
    }
    must(::syscall(SYS_capset, &header, data), "capset");
    for (const int cap : capabilities)
        must(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0), "PR_CAP_AMBIENT_RAISE");
    // A change of user clears it, and with it goes the tie to the test program's life.
    must(::prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
}

Records with(const Records& records, const std::string& key, const Json& value)
{
    Records found;
    for (const Json& record : records)
        if (const auto member = record.find(key); member != record.end() && *member == value)
            found.push_back(record);
    return found;
}

std::vector<std::string> lines(std::string_view text)
{
    std::vector<std::string> parts;
    while (!text.empty()) {
        const auto end = text.find('\n');
        parts.emplace_back(text.substr(0, end));
        text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    }
    return parts;
}

std::vector<std::string> words(std::string_view text)
{
    std::vector<std::string> parts;
    for (;;) {
        const auto start = text.find_first_not_of(' ');
        if (start == text.npos)
            return parts;
        text = text.substr(start);
        const auto end = text.find(' ');
        parts.emplace_back(text.substr(0, end));
        text = end == text.npos ? std::string_view{} : text.substr(end);
    }
}

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit)
{
    for (const auto end = Clock::now() + limit;;) {
        if (condition())
            return true;
        if (Clock::now() >= end)
            return false;
        ::usleep(5000);
    }
}

void expect_exact(const Result& result)
{
    ASSERT_TRUE(result.account.is_object()) << result.err;
    const auto number = [&](const char* key) {
        return result.account.value(key, std::uint64_t(0));
    };
    EXPECT_EQ(number("seen"), number("printed") + number("filtered") + number("lost"));
    EXPECT_EQ(number("lost"), 0u) << result.account.dump();
}

void expect_exact_flood(const Result& result, std::uint64_t shown, std::uint64_t caused)
{
    const auto number = [&](const char* key) {
        return result.account.at(key).get<std::uint64_t>();
    };
    const std::uint64_t lost = number("lost");
    if (!preempts_itself()) {
        expect_exact(result);
        EXPECT_EQ(shown, caused);
        return;
    }
    EXPECT_EQ(number("seen"), number("printed") + number("filtered") + lost) << result.account;
    EXPECT_EQ(lost, number("lost_nested") + number("lost_return")) << result.account;
    // A call whose end was skipped is told once, as that.
    EXPECT_LE(shown + number("lost_return"), caused) << result.account;
    EXPECT_LE(shown, caused) << result.account;
    EXPECT_GE(shown + lost, caused) << result.account;
    EXPECT_EQ(result.status, lost ? 3 : 0) << result.err;
}

} // namespace corebox::test

template class nlohmann::basic_json<>;
template class std::vector<nlohmann::json>;
template class std::map<std::string, nlohmann::json, std::less<>>;
template class std::vector<std::string>;
