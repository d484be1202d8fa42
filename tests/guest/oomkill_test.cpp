// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Processes that the kernel kills for their memory: one whose cgroup has no more, another with it,
// and one that SysRq chooses.
#include "memory_cgroup.hpp"
#include <csignal>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kLimit = 8 << 20, kTouched = 32 << 20;

void set_score(int adj) { write_file("/proc/self/oom_score_adj", std::to_string(adj)); }

class OomkillRung : public EachRung
{
};

TEST_P(OomkillRung, WithItsCgroupAndBySysrq)
{
    const MemoryCgroup box("oomkill", kLimit);
    write_file(box->path() + "/memory.oom.group", "1");
    const Gate inside;
    Child bystander([&] {
        box->enter();
        inside.open();
        ::pause();
    });
    Child hog([&] {
        set_score(17);
        box->enter();
        Pages(kTouched / kPage).write();
    });
    Child chosen([&] {
        set_score(1000); // before everybody else
        inside.open();
        ::pause();
    });
    const std::string own = read_file("/proc/self/status");
    const std::size_t anonymous = own.find("RssAnon:");
    ASSERT_NE(anonymous, std::string::npos);
    const std::uint64_t inherited_kib = std::strtoull(own.c_str() + anonymous + 8, nullptr, 10);
    const pid_t hog_pid = hog.pid(), bystander_pid = bystander.pid(), chosen_pid = chosen.pid();
    Tracer tool{{"oomkill", "--json"}, env()};
    bystander.go();
    inside.wait();
    hog.go();
    EXPECT_EQ(hog.wait(), 128 + SIGKILL);
    EXPECT_EQ(bystander.wait(), 128 + SIGKILL);
    chosen.go();
    inside.wait();
    write_file("/proc/sysrq-trigger", "f");
    EXPECT_EQ(chosen.wait(), 128 + SIGKILL);
    const Result result = tool.stop();
    expect_exact(result);

    const Records first = with(result.records, "pid", hog_pid);
    ASSERT_EQ(first.size(), 1u) << result.out;
    const Json& kill = first[0];
    EXPECT_EQ(kill["trigger_pid"], hog_pid);
    EXPECT_EQ(kill["trigger_comm"], kill["comm"]);
    EXPECT_EQ(kill["pages"], kLimit / kPage);
    EXPECT_EQ(kill["scope"], "cgroup");
    EXPECT_EQ(kill["cgroup"], "/oomkill");
    EXPECT_EQ(kill["limit_cgroup"], "/oomkill");
    EXPECT_EQ(kill["chosen"], true);
    EXPECT_EQ(kill["order"], 0);
    EXPECT_EQ(kill["oom_score_adj"], 17);
    EXPECT_NE(std::string(kill["gfp"]).find("GFP_"), std::string::npos) << kill;
    EXPECT_GE(kill["total_vm_kib"], kTouched / 1024);
    // What a CPU has not yet added is missing from 6.2 on.
    EXPECT_GE(kill["anon_kib"], kLimit / 1024 - 2048);
    // And what it has from before, with this program, is charged to the cgroup that it comes from.
    EXPECT_LE(kill["anon_kib"], kLimit / 1024 + 1024 + inherited_kib);
    EXPECT_EQ(kill["swap_kib"], 0);
    // Its pages, with those of the program that it shares and 17/1000 of the limit.
    EXPECT_GE(kill["score"], 750);
    EXPECT_GT(kill["points"], kLimit / kPage / 2);

    const Records second = with(result.records, "pid", bystander_pid);
    ASSERT_EQ(second.size(), is("chosen") ? 0u : 1u) << result.out;
    if (!second.empty()) {
        EXPECT_EQ(second[0]["trigger_pid"], hog_pid);
        EXPECT_EQ(second[0]["chosen"], false);
        EXPECT_EQ(second[0]["score"], nullptr);
        EXPECT_EQ(second[0]["cgroup"], "/oomkill");
    }

    const Records third = with(result.records, "pid", chosen_pid);
    ASSERT_EQ(third.size(), 1u) << result.out;
    EXPECT_EQ(third[0]["scope"], "host");
    EXPECT_EQ(third[0]["limit_cgroup"], nullptr);
    EXPECT_EQ(third[0]["order"], -1);
    EXPECT_EQ(third[0]["oom_score_adj"], 1000);
    EXPECT_EQ(third[0]["cgroup"], "/");
    EXPECT_GE(third[0]["score"], 990);
    EXPECT_EQ(result.records.size(), 2 + second.size());
}

INSTANTIATE_TEST_SUITE_P(Rungs, OomkillRung, testing::Values("", "kprobe", "chosen"), rung_name);

TEST(Oomkill, TextStacksAndFilter)
{
    const MemoryCgroup box("oomkill-text", kLimit);
    const auto hog = [&] {
        box->enter();
        Pages(kTouched / kPage).write();
    };
    Child shown(hog), other(hog);
    const std::string pid = std::to_string(shown.pid());
    Tracer tool{{"oomkill", "-K", "-p", pid}};
    other.go();
    EXPECT_EQ(other.wait(), 128 + SIGKILL);
    shown.go();
    EXPECT_EQ(shown.wait(), 128 + SIGKILL);
    const Result result = tool.wait();
    EXPECT_EQ(result.status, 0);
    EXPECT_NE(result.err.find("2 seen = 1 printed + 1 filtered + 0 lost"), std::string::npos)
        << result.err;
    const auto text = lines(result.out);
    ASSERT_GT(text.size(), 3u) << result.out;
    EXPECT_EQ(words(text[0])[1], "TPID");
    const auto row = words(text[1]);
    EXPECT_EQ(row[1], pid);
    EXPECT_EQ(row[3], pid);
    EXPECT_EQ(row[5], std::to_string(kLimit / kPage));
    EXPECT_EQ(row.back(), "/oomkill-text");
    EXPECT_NE(result.out.find("out_of_memory"), std::string::npos) << result.out;
    EXPECT_EQ(run({"oomkill", "1"}).status, 1);
}

} // namespace
