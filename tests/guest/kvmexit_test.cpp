// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Virtual machines of a few instructions: the emulated processor knows AMD's SVM, so that KVM works
// in the guest.
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// A machine with some virtual CPUs; each runs in a thread of its own.
class Machine
{
public:
    explicit Machine(unsigned vcpus = 1) : kvm_(::open("/dev/kvm", O_RDWR | O_CLOEXEC))
    {
        EXPECT_GE(kvm_, 0) << std::strerror(errno);
        vm_ = ::ioctl(kvm_, KVM_CREATE_VM, 0);
        EXPECT_GE(vm_, 0) << std::strerror(errno);
        memory_ = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        // Real mode: out 0x10, al; dec cx; jnz back to the out; hlt.
        constexpr unsigned char kCode[] = {0xe6, 0x10, 0x49, 0x75, 0xfb, 0xf4};
        std::memcpy(memory_, kCode, sizeof kCode);
        kvm_userspace_memory_region region{};
        region.guest_phys_addr = kPage;
        region.memory_size = kPage;
        region.userspace_addr = reinterpret_cast<std::uint64_t>(memory_);
        EXPECT_EQ(::ioctl(vm_, KVM_SET_USER_MEMORY_REGION, &region), 0) << std::strerror(errno);
        for (unsigned i = 0; i < vcpus; i++) {
            vcpus_.push_back(::ioctl(vm_, KVM_CREATE_VCPU, i));
            EXPECT_GE(vcpus_.back(), 0) << std::strerror(errno);
        }
    }
    ~Machine()
    {
        for (const int fd : vcpus_)
            ::close(fd);
        ::munmap(memory_, kPage);
        ::close(vm_);
        ::close(kvm_);
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // In the calling thread, until it halts: writes to a port `n` times.
    void run(unsigned vcpu, std::uint16_t n) const
    {
        const int fd = vcpus_.at(vcpu);
        const auto size = std::size_t(::ioctl(kvm_, KVM_GET_VCPU_MMAP_SIZE, 0));
        auto* state =
            static_cast<kvm_run*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        kvm_sregs segments{};
        EXPECT_EQ(::ioctl(fd, KVM_GET_SREGS, &segments), 0);
        segments.cs.base = 0;
        segments.cs.selector = 0;
        EXPECT_EQ(::ioctl(fd, KVM_SET_SREGS, &segments), 0);
        kvm_regs registers{};
        registers.rip = kPage;
        registers.rcx = n;
        registers.rflags = 2;
        EXPECT_EQ(::ioctl(fd, KVM_SET_REGS, &registers), 0);
        unsigned writes = 0;
        for (;;) {
            const int result = ::ioctl(fd, KVM_RUN, 0);
            if (result != 0 && errno == EINTR)
                continue;
            EXPECT_EQ(result, 0) << std::strerror(errno);
            if (result != 0 || state->exit_reason != KVM_EXIT_IO)
                break;
            writes++;
        }
        EXPECT_EQ(state->exit_reason, unsigned(KVM_EXIT_HLT));
        EXPECT_EQ(writes, n);
        ::munmap(state, size);
    }

private:
    static constexpr std::size_t kPage = 4096;
    int kvm_, vm_ = -1;
    void* memory_ = nullptr;
    std::vector<int> vcpus_;
};

pid_t thread_id() { return pid_t(::syscall(SYS_gettid)); }

std::uint64_t count(const Records& records, const std::string& reason)
{
    std::uint64_t n = 0;
    for (const Json& row : with(records, "reason", reason))
        n += row.at("count").get<std::uint64_t>();
    return n;
}

Result trace(std::vector<std::string> arguments, const std::function<void()>& work)
{
    arguments.insert(arguments.begin(), {"kvmexit", "--json"});
    Tracer tracer(arguments);
    work();
    Result r = tracer.stop(SIGINT);
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    return r;
}

class Kvmexit : public testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        shell("modprobe kvm_amd");
        ASSERT_EQ(::access("/dev/kvm", R_OK | W_OK), 0) << "no KVM in this guest";
    }
};

TEST_F(Kvmexit, CountsEachExit)
{
    Child one([] { Machine().run(0, 300); }), two([] { Machine().run(0, 40); });
    const pid_t pid_one = one.pid(), pid_two = two.pid();
    const Result r = trace({}, [&] {
        one.go_wait();
        two.go_wait();
    });
    for (const auto& [pid, n] : {std::pair{pid_one, 300u}, {pid_two, 40u}}) {
        const Records rows = with(r.records, "pid", pid);
        EXPECT_EQ(count(rows, "IO"), n);
        EXPECT_EQ(count(rows, "HLT"), 1u);
        for (const Json& row : rows) {
            EXPECT_EQ(row.at("tid"), pid);
            EXPECT_EQ(row.at("vcpu"), 0);
        }
    }
    EXPECT_EQ(with(r.records, "reason", "IO").at(0).at("reason_code"), 0x7b); // AMD's manual
    EXPECT_EQ(r.records.at(0).at("count"), 300);                              // the most first
}

// Threads, virtual CPUs, and the columns that BCC leaves out for each choice.
TEST_F(Kvmexit, ChoosesThreadsAndVirtualCpus)
{
    // More than ten: BCC took CPU 10 for CPU 1.
    constexpr unsigned kVcpu = 11;
    Gate ready, go;
    int tids[2];
    ASSERT_EQ(::pipe2(tids, O_CLOEXEC), 0);
    Child other([] { Machine().run(0, 99); });
    Child machine([&] {
        const Machine m(kVcpu + 1);
        const auto cpu = [&](unsigned vcpu, std::uint16_t n) {
            return std::thread([&m, &go, &tids, vcpu, n] {
                const pid_t tid = thread_id();
                EXPECT_EQ(::write(tids[1], &tid, sizeof tid), ssize_t(sizeof tid));
                go.wait();
                m.run(vcpu, n);
            });
        };
        auto a = cpu(1, 10), b = cpu(kVcpu, 20);
        ready.open();
        a.join();
        b.join();
        // It lives on, or `-p` would end with it before it is told to.
        go.wait();
    });
    struct Case {
        std::vector<std::string> arguments;
        std::uint64_t io;
        bool tid;
    };
    pid_t threads[2];
    machine.go();
    ready.wait();
    for (pid_t& tid : threads)
        ASSERT_EQ(::read(tids[0], &tid, sizeof tid), ssize_t(sizeof tid));
    const std::string pid = to_string(machine.pid());
    const std::vector<Case> cases = {
        {{"-p", pid}, 30, false},
        {{"-p", pid, "-a"}, 30, true},
        {{"-p", pid, "-v", "1"}, 10, false},
        {{"-p", pid, "--vcpu", to_string(kVcpu)}, 20, false},
        {{"-t", to_string(threads[0])}, 0, false},
        {{"-T", to_string(threads[0]) + "," + to_string(threads[1])}, 30, true},
    };
    // All at once on the same machine.
    std::vector<std::unique_ptr<Tracer>> texts, tracers;
    for (const Case& c : cases) {
        auto arguments = c.arguments;
        arguments.insert(arguments.begin(), "kvmexit");
        texts.push_back(std::make_unique<Tracer>(arguments));
        arguments.emplace_back("--json");
        tracers.push_back(std::make_unique<Tracer>(arguments));
    }
    other.go_wait();
    go.open();
    go.open();
    ASSERT_TRUE(
        wait_until([&] { return ::kill(threads[0], 0) != 0 && ::kill(threads[1], 0) != 0; }));
    for (std::size_t i = 0; i < cases.size(); i++) {
        const Case& c = cases[i];
        const std::string what = testing::PrintToString(c.arguments);
        const Result r = tracers[i]->stop(SIGINT);
        expect_exact(r);
        if (c.arguments[0] == "-t")
            EXPECT_TRUE(count(r.records, "IO") == 10 || count(r.records, "IO") == 20) << what;
        else
            EXPECT_EQ(count(r.records, "IO"), c.io) << what;
        EXPECT_EQ(with(r.records, "pid", machine.pid()).size(), r.records.size()) << what;
        if (c.tid)
            EXPECT_EQ(with(r.records, "reason", "IO").size(), 2u) << what;
        else
            EXPECT_EQ(with(r.records, "reason", "IO").size(), 1u) << what;
        const auto out = lines(texts[i]->stop(SIGINT).out);
        const auto heading = words(out.at(1));
        EXPECT_EQ(heading, c.tid ? (std::vector<std::string>{"TID", "KVM_EXIT_REASON", "COUNT"})
                                 : (std::vector<std::string>{"KVM_EXIT_REASON", "COUNT"}))
            << what;
    }
    go.open();
    EXPECT_EQ(machine.wait(), 0);
    ::close(tids[0]);
    ::close(tids[1]);
}

TEST_F(Kvmexit, EndsAfterItsTimeAndRefuses)
{
    const auto start = std::chrono::steady_clock::now();
    const Result r = run({"kvmexit", "0.5"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
    EXPECT_EQ(words(lines(r.out).at(1)),
              (std::vector<std::string>{"PID", "TID", "KVM_EXIT_REASON", "COUNT"}));
    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {"-v", "0"}, {"-a"}, {"-p", "1", "-a", "-v", "0"}, {"-t", "1", "-T", "1"}, {"x"}}) {
        auto arguments = bad;
        arguments.insert(arguments.begin(), "kvmexit");
        EXPECT_EQ(run(arguments).status, 1) << testing::PrintToString(bad);
    }
}

TEST_F(Kvmexit, SaysThatKvmIsNotLoaded)
{
    ASSERT_EQ(shell("rmmod kvm_amd && rmmod kvm").status, 0);
    const Result r = run({"kvmexit", "1"});
    EXPECT_EQ(shell("modprobe kvm_amd").status, 0);
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    EXPECT_NE(r.err.find("kernel module kvm_intel or kvm_amd is not loaded"), std::string::npos)
        << r.err;
}

TEST_F(Kvmexit, FloodIsAccountedFor)
{
    constexpr unsigned kRounds = 20, kExits = 1000;
    Child child([] {
        const Machine machine;
        for (unsigned i = 0; i < kRounds; i++)
            machine.run(0, kExits);
    });
    const pid_t pid = child.pid();
    const Result r = trace({}, [&] { child.go_wait(); });
    EXPECT_EQ(count(with(r.records, "pid", pid), "IO"), kRounds * kExits);
}

} // namespace
