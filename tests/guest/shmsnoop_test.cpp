// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kKey = 0x5eed0001;
constexpr int k1GiB = 30 << 26, k16MiB = 24 << 26; // SHM_HUGE_1GB and what has no name of its own

struct Facts {
    int id;
    std::uint64_t address;
};

// What the child learns, told through a file.
std::function<void()> calls(const std::string& file)
{
    return [file] {
        const int id = ::shmget(kKey, 8192, IPC_CREAT | IPC_EXCL | 0640);
        EXPECT_GE(id, 0) << errno;
        EXPECT_LT(::shmget(kKey, 8192, IPC_CREAT | IPC_EXCL | 0640), 0);
        // No size of which there are pages here, or no right to them.
        EXPECT_LT(::shmget(IPC_PRIVATE, 1ull << 46, SHM_HUGETLB | k1GiB | 0600), 0);
        EXPECT_LT(::shmget(IPC_PRIVATE, 1ull << 46, SHM_HUGETLB | k16MiB | SHM_NORESERVE), 0);
        void* const address = ::shmat(id, nullptr, SHM_RDONLY);
        EXPECT_NE(address, (void*)-1) << errno;
        EXPECT_EQ(::shmat(-1, nullptr, SHM_RND | SHM_EXEC), (void*)-1);
        shmid_ds info;
        EXPECT_EQ(::shmctl(id, IPC_STAT, &info), 0);
        EXPECT_EQ(::shmctl(id, IPC_RMID, nullptr), 0);
        EXPECT_EQ(::shmdt(address), 0);
        EXPECT_LT(::shmdt((void*)4096), 0);
        write_file(file, to_string(id) + " " + to_string(std::uint64_t(address)));
    };
}

TEST(Shmsnoop, TellsEachCallOnEveryRung)
{
    for (const char* rung : {"", "tracepoint"}) {
        SCOPED_TRACE(rung);
        TempDir dir;
        Child other([] { ::shmdt((void*)4096); });
        Child child(calls(dir / "facts"));
        const pid_t pid = child.pid();
        Tracer tracer({"shmsnoop", "-p", to_string(pid), "--json"}, forced(rung));
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        EXPECT_GE(result.account.at("filtered"), 1);
        const auto told = words(read_file(dir / "facts"));
        const int id = std::stoi(told.at(0));
        const std::uint64_t address = std::stoull(told.at(1));
        const Records& r = result.records;
        ASSERT_EQ(r.size(), 10u) << result.out;
        for (const Json& row : r) {
            EXPECT_EQ(row.at("pid"), pid);
            EXPECT_EQ(row.at("comm"), "guest_tests");
        }
        EXPECT_EQ(r[0].at("call"), "SHMGET");
        EXPECT_EQ(r[0].at("ret"), id);
        EXPECT_EQ(r[0].at("err"), 0);
        EXPECT_EQ(r[0].at("key"), kKey);
        EXPECT_EQ(r[0].at("bytes"), 8192);
        EXPECT_EQ(r[0].at("flags"), IPC_CREAT | IPC_EXCL | 0640);
        EXPECT_EQ(r[0].at("flag_names"), "IPC_CREAT|IPC_EXCL|0640");
        EXPECT_EQ(r[0].at("args"),
                  "key: 0x5eed0001, size: 8192, shmflg: 0x7a0 (IPC_CREAT|IPC_EXCL|0640)");
        EXPECT_TRUE(r[0].at("shmid").is_null() && r[0].at("cmd").is_null()) << r[0];
        EXPECT_EQ(r[1].at("err"), EEXIST);
        EXPECT_EQ(r[1].at("error"), "EEXIST");
        EXPECT_EQ(r[1].at("result"), "EEXIST");
        EXPECT_TRUE(r[1].at("ret").is_null());
        // The size of a page is a number in the flags, not a set of bits.
        EXPECT_EQ(r[2].at("flag_names"), "SHM_HUGETLB|SHM_HUGE_1GB|0600");
        EXPECT_EQ(r[2].at("bytes"), 1ull << 46);
        EXPECT_EQ(r[2].at("key"), 0);
        EXPECT_NE(r[2].at("err"), 0);
        EXPECT_EQ(r[3].at("flag_names"), "SHM_HUGETLB|SHM_NORESERVE|SHM_HUGE_16MB");
        EXPECT_EQ(r[4].at("call"), "SHMAT");
        EXPECT_EQ(r[4].at("shmid"), id);
        EXPECT_EQ(r[4].at("addr"), 0);
        EXPECT_EQ(r[4].at("ret"), address);
        EXPECT_EQ(r[4].at("flag_names"), "SHM_RDONLY");
        EXPECT_EQ(r[5].at("shmid"), -1);
        EXPECT_EQ(r[5].at("flag_names"), "SHM_RND|SHM_EXEC");
        EXPECT_EQ(r[5].at("error"), "EINVAL");
        EXPECT_EQ(r[6].at("call"), "SHMCTL");
        EXPECT_EQ(r[6].at("shmid"), id);
        EXPECT_EQ(r[6].at("cmd"), IPC_STAT);
        EXPECT_EQ(r[6].at("cmd_name"), "IPC_STAT");
        EXPECT_TRUE(r[6].at("flags").is_null()) << r[6];
        EXPECT_EQ(r[7].at("cmd_name"), "IPC_RMID");
        EXPECT_EQ(r[8].at("call"), "SHMDT");
        EXPECT_EQ(r[8].at("addr"), address);
        EXPECT_EQ(r[8].at("err"), 0);
        EXPECT_EQ(r[9].at("addr"), 4096);
        EXPECT_EQ(r[9].at("error"), "EINVAL");
    }
}

TEST(Shmsnoop, SelectsAndPrintsAsBccDoes)
{
    TempDir dir;
    const auto trace = [&](std::vector<std::string> arguments) {
        Child child(calls(dir / "facts"));
        arguments.insert(arguments.begin(), {"shmsnoop", "-p", to_string(child.pid())});
        Tracer tracer(arguments);
        child.go_wait();
        return tracer.wait();
    };
    const Result failed = trace({"-x", "--json"});
    EXPECT_EQ(failed.records.size(), 5u) << failed.out;
    for (const Json& row : failed.records)
        EXPECT_NE(row.at("err"), 0);
    expect_exact(failed);
    EXPECT_EQ(trace({"-n", "guest", "--json"}).records.size(), 10u);
    const Result none = trace({"-n", "nobody", "--json"});
    EXPECT_EQ(none.records.size(), 0u);
    EXPECT_EQ(none.account.at("filtered"), 10);

    const Result text = trace({"-T"});
    const auto printed = lines(text.out);
    ASSERT_EQ(printed.size(), 11u) << text.out;
    EXPECT_EQ(words(printed[0]), words("TIME(s) PID COMM SYS RET ARGs"));
    EXPECT_NE(printed[1].find(" SHMGET "), std::string::npos);
    EXPECT_NE(printed[2].find(" EEXIST "), std::string::npos);
    EXPECT_NE(printed[8].find("cmd: 0 (IPC_RMID), buf: 0x0"), std::string::npos) << printed[8];
    EXPECT_NE(printed[10].find("EINVAL           shmaddr: 0x1000"), std::string::npos)
        << printed[10];

    Child child(calls(dir / "facts"));
    Tracer tracer({"shmsnoop", "-t", to_string(child.pid()), "-d", "30"});
    child.go_wait();
    const auto by_thread = lines(tracer.wait().out);
    ASSERT_EQ(by_thread.size(), 11u);
    EXPECT_EQ(words(by_thread[0]), words("TID COMM SYS RET ARGs"));
}

} // namespace
