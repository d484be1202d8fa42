// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// What /proc says of a process's BPF descriptors.
std::map<std::string, int> descriptors(pid_t pid)
{
    std::map<std::string, int> found;
    const std::string directory = "/proc/" + to_string(pid) + "/fd";
    DIR* dir = ::opendir(directory.c_str());
    while (const dirent* entry = ::readdir(dir)) {
        char text[256];
        const ssize_t n = ::readlink((directory + "/" + entry->d_name).c_str(), text, sizeof text);
        const std::string link(text, std::size_t(std::max<ssize_t>(n, 0)));
        for (const char* type : {"prog", "map", "link"})
            if (link == std::string("anon_inode:bpf-") + type ||
                link == std::string("anon_inode:bpf_") + type)
                found[type]++;
        if (link == "anon_inode:btf")
            found["btf"]++;
    }
    ::closedir(dir);
    return found;
}

std::map<std::string, int> counts(const Records& rows)
{
    std::map<std::string, int> found;
    for (const Json& row : rows)
        found[row.at("type")] = row.at("count");
    return found;
}

bool holds(const Json& list, const std::string& text)
{
    return std::ranges::find(list, Json(text)) != list.end();
}

const Environment kKprobe{{"COREBOX_PROBES", "kprobe"}};
const Environment kTracepoint{{"COREBOX_PROBES", "tracepoint"}};

TEST(Bpflist, CountsWhatEachProcessHolds)
{
    const Result nobody = run({"bpflist"});
    EXPECT_EQ(nobody.status, 0);
    EXPECT_EQ(nobody.err, "");
    ASSERT_EQ(lines(nobody.out).size(), 1u) << nobody.out; // nor does it list itself
    EXPECT_EQ(words(lines(nobody.out)[0]), words("PID COMM TYPE COUNT"));

    Tracer fexit({"opensnoop"}), kprobe({"opensnoop"}, kKprobe), traced({"shmsnoop"}, kTracepoint);
    const Result plain = run({"bpflist", "--json"});
    EXPECT_EQ(plain.status, 0);
    std::size_t rows = 0;
    for (const Tracer* tracer : {&fexit, &kprobe, &traced}) {
        const Records its = with(plain.records, "pid", tracer->pid());
        EXPECT_EQ(counts(its), descriptors(tracer->pid())) << plain.out;
        EXPECT_GE(counts(its)["prog"], 2);
        for (const Json& row : its)
            EXPECT_EQ(row.at("comm"), "corebox");
        rows += its.size();
    }
    EXPECT_EQ(plain.records.size(), rows) << "of others: " << plain.out;

    const Result probes = run({"bpflist", "-v", "--json"});
    const auto of = [&](const Tracer& tracer, const char* type) {
        const Records its = with(with(probes.records, "pid", tracer.pid()), "type", type);
        return its.empty() ? Json() : its[0];
    };
    const Json opens = of(kprobe, "kprobe");
    ASSERT_FALSE(opens.is_null()) << probes.out;
    EXPECT_TRUE(holds(opens.at("probes"), "kprobe:do_sys_openat2")) << opens;
    EXPECT_TRUE(holds(opens.at("probes"), "kretprobe:do_sys_openat2")) << opens;
    EXPECT_EQ(opens.at("count"), opens.at("probes").size());
    const Json calls = of(traced, "tracepoint");
    ASSERT_FALSE(calls.is_null()) << probes.out;
    EXPECT_EQ(calls.at("count"), 8);
    EXPECT_TRUE(holds(calls.at("probes"), "tracepoint:sys_enter_shmget")) << calls;

    const Result one = run({"bpflist", "-vv", "-p", to_string(traced.pid())});
    EXPECT_TRUE(one.out.starts_with("open tracepoints:\n  ")) << one.out;
    EXPECT_NE(one.out.find("\nPID    COMM             TYPE       COUNT\n"), std::string::npos);
    EXPECT_EQ(one.out.find(to_string(kprobe.pid())), std::string::npos) << one.out;
}

// A program that does nothing, loaded here and nowhere attached.
int load_nothing()
{
    const bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    bpf_attr attr{};
    attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attr.insns = std::uintptr_t(insns);
    attr.insn_cnt = 2;
    attr.license = std::uintptr_t("GPL");
    std::strcpy(attr.prog_name, "nothing");
    return int(::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
}

TEST(Bpflist, TellsOfEachProgram)
{
    in_namespaces(0, [] {
        const rlimit much{RLIM_INFINITY, RLIM_INFINITY}; // 5.10 counts programs against it
        ::setrlimit(RLIMIT_MEMLOCK, &much);
        ASSERT_EQ(::mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr), 0) << std::strerror(errno);
        const std::string path = "/sys/fs/bpf/pin";
        const int fd = load_nothing();
        ASSERT_GE(fd, 0) << std::strerror(errno);
        bpf_attr attr{};
        attr.pathname = std::uintptr_t(path.c_str());
        attr.bpf_fd = __u32(fd);
        ASSERT_EQ(::syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof attr), 0) << std::strerror(errno);
        const Json before = with(run({"bpflist", "--progs", "--json"}).records, "name", "nothing");
        ASSERT_EQ(before.size(), 1u);
        EXPECT_EQ(before[0].at("prog_type"), "socket_filter");
        EXPECT_TRUE(before[0].at("attached").empty());
        EXPECT_TRUE(before[0].at("run_cnt").is_null());
        EXPECT_EQ(before[0].at("holders"),
                  Json::array({"guest_tests(" + to_string(::getpid()) + ")"}));
        EXPECT_EQ(before[0].at("pinned"), Json::array({path}));
        EXPECT_GE(before[0].at("memlock_bytes"), 4096);
        ::close(fd);
        const Json after = with(run({"bpflist", "--progs", "--json"}).records, "name", "nothing");
        ASSERT_EQ(after.size(), 1u);
        EXPECT_TRUE(after[0].at("holders").empty()) << after;
        ::unlink(path.c_str());
        EXPECT_TRUE(wait_until([] {
            return with(run({"bpflist", "--progs", "--json"}).records, "name", "nothing").empty();
        }));
    });

    write_file("/proc/sys/kernel/bpf_stats_enabled", "1");
    {
        Tracer fexit({"opensnoop"}), kprobe({"opensnoop"}, kKprobe), traced({"syscount"});
        for (int i = 0; i < 100; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
        const Result result = run({"bpflist", "--progs", "--json"});
        EXPECT_EQ(result.status, 0) << result.err;
        const auto of = [&](const Tracer& tracer, const char* name) {
            const Json holder = Json::array({"corebox(" + to_string(tracer.pid()) + ")"});
            for (const Json& row : with(result.records, "name", name))
                if (row.at("holders") == holder)
                    return row;
            ADD_FAILURE() << name << " is missing in " << result.out;
            return Json();
        };
        const Json open_fexit = of(fexit, "open_fexit");
        ASSERT_FALSE(open_fexit.is_null());
        EXPECT_EQ(open_fexit.at("prog_type"), "tracing");
        EXPECT_GE(open_fexit.at("run_cnt"), 100);
        EXPECT_GT(open_fexit.at("run_time_ns"), 0);
        EXPECT_EQ(open_fexit.at("attached"), Json::array({"fexit:do_sys_openat2"}));
        EXPECT_EQ(of(kprobe, "open_kprobe").at("attached"), Json::array({"kprobe:do_sys_openat2"}));
        EXPECT_EQ(of(kprobe, "open_kretprobe").at("attached"),
                  Json::array({"kretprobe:do_sys_openat2"}));
        EXPECT_EQ(of(traced, "plain_exit").at("attached"), Json::array({"tp_btf:sys_exit"}));
        const Result one = run({"bpflist", "--progs", "--json", "-p", to_string(traced.pid())});
        EXPECT_EQ(one.records.size(), 2u) << one.out;
        const Result text = run({"bpflist", "--progs", "-p", to_string(traced.pid())});
        const auto printed = lines(text.out);
        ASSERT_EQ(printed.size(), 3u) << text.out;
        EXPECT_EQ(words(printed[0]),
                  words("ID TYPE NAME RUNS TIME (ns) MEMORY ATTACHED HELD BY PINNED"));
        EXPECT_NE(printed[1].find("tp_btf:"), std::string::npos);
    }
    write_file("/proc/sys/kernel/bpf_stats_enabled", "0");
}

TEST(Bpflist, SaysWhatItMayNotSee)
{
    Tracer tracer({"opensnoop"});
    const auto as_user = [](std::vector<std::string> argv) {
        return run(std::move(argv), {}, [] { become_user(); });
    };
    const Result users = as_user({"bpflist"});
    EXPECT_EQ(users.status, 0);
    EXPECT_NE(users.err.find("requires CAP_SYS_PTRACE"), std::string::npos) << users.err;
    const Result progs = as_user({"bpflist", "--progs"});
    EXPECT_EQ(progs.status, 2) << progs.err;
    EXPECT_NE(progs.err.find("CAP_SYS_ADMIN"), std::string::npos) << progs.err;
    EXPECT_EQ(run({"bpflist", "-p", "4194304"}).status, 2);
    EXPECT_EQ(run({"bpflist", "--progs", "--columns", "count"}).status, 1);
    EXPECT_EQ(run({"bpflist", "--columns", "id"}).status, 1);
    EXPECT_EQ(run({"bpflist", "--check"}).status, 0);
    EXPECT_EQ(run({"bpflist"}, {}, [] { ::dup2(::open("/dev/full", O_WRONLY), 1); }).status, 4);
}

} // namespace
