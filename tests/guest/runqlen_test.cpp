// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"
#include <csignal>
#include <cstring>
#include <linux/btf.h>
#include <list>

namespace
{

using namespace corebox::test;
using std::to_string;

// So many threads that do nothing but run, all on the last CPU.
class Busy
{
public:
    explicit Busy(unsigned n, const std::function<void(unsigned)>& before = {})
    {
        cpu_set_t last;
        CPU_ZERO(&last);
        CPU_SET(cpus() - 1, &last);
        for (unsigned i = 0; i < n; i++) {
            children_.emplace_back([i, before] {
                if (before)
                    before(i);
                for (;;)
                    spin_us(1'000'000);
            });
            EXPECT_EQ(::sched_setaffinity(children_.back().pid(), sizeof last, &last), 0);
            children_.back().go();
        }
        // The last to come runs too.
        EXPECT_TRUE(wait_until(
            [&] { return before == nullptr || Ran::of(children_.back().pid()).ns > 0; }));
    }

    // All at once: each needs its turn on the CPU to end.
    ~Busy()
    {
        for (const Child& child : children_)
            ::kill(child.pid(), SIGKILL);
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    std::list<Child> children_;
};

std::uint64_t at(const Json& histogram, unsigned length)
{
    for (const Json& b : histogram.at("buckets"))
        if (b.at("from") == length)
            return b.at("count");
    return 0;
}

// A quarter of all samples and more may meet others too; the middle one does not.
TEST(Runqlen, KnownNumberOfBusyThreads)
{
    // Two of them in a group of their own, whose queue is one entry of the CPU's (upstream's
    // runqlen, which looks at the group of whoever runs, misses the others).
    const Cgroup group("runqlen");
    write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
    ASSERT_EQ(::access((group.path() + "/cpu.weight").c_str(), F_OK), 0);
    Tracer idle({"runqlen", "--json", "-C"});
    ::usleep(500'000);
    const Result before = idle.stop();
    const Busy busy(4, [&](unsigned i) {
        if (i < 2)
            group.enter();
    });
    Tracer cpus_apart({"runqlen", "--json", "-C", "-f", "499"}),
        together({"runqlen", "--json", "0.2", "-f", "499"});
    ::usleep(1'500'000);
    const Result apart = cpus_apart.stop(), all = together.stop();
    const Records last = with(apart.records, "cpu", cpus() - 1);
    ASSERT_EQ(last.size(), 1u) << apart.out;
    EXPECT_EQ(last[0].at("p50"), 3) << last[0]; // the fourth is running
    EXPECT_GE(at(last[0], 3) * 4, last[0].at("count").get<std::uint64_t>() * 3) << last[0];
    EXPECT_GE(last[0].at("runqocc_percent").get<double>(), 90);
    EXPECT_EQ(last[0].at("unit"), "runqlen");
    for (const Json& r : apart.records)
        if (r.at("cpu") != cpus() - 1) {
            EXPECT_LE(r.at("p50"), 1) << r;
        }
    for (const Json& r : with(before.records, "cpu", cpus() - 1)) {
        EXPECT_EQ(r.at("p50"), 0) << r;
        EXPECT_LE(r.at("runqocc_percent").get<double>(), 50) << r;
    }
    EXPECT_GT(all.records.size(), 3u);
    EXPECT_GE(values(all.records, 3) * 4, values(all.records) / cpus() * 3);
    EXPECT_EQ(values(all.records), all.account.at("printed"));
    for (const Result* r : {&before, &apart, &all})
        expect_exact(*r);
    write_file("/sys/fs/cgroup/cgroup.subtree_control", "-cpu");
}

// Longer than there are buckets: the last one says how far it goes.
TEST(Runqlen, MoreThanSixtyFour)
{
    const Busy busy(70);
    Tracer tracer({"runqlen", "--json", "-C"});
    ::usleep(700'000);
    const Result result = tracer.stop();
    const Records last = with(result.records, "cpu", cpus() - 1);
    ASSERT_EQ(last.size(), 1u) << result.out;
    EXPECT_GE(last[0].at("p50"), 63) << last[0];
    EXPECT_GE(last[0].at("max"), 69);
    EXPECT_EQ(last[0].at("buckets").back().at("from"), 63);
    EXPECT_EQ(last[0].at("buckets").back().at("to"), last[0].at("max"));
}

// This kernel's types without a member of a structure: as a kernel of another configuration has
// them. Of that size are the kinds of types: see linux/btf.h.
std::string types_without(std::string_view structure, std::string_view member)
{
    std::string types = read_file("/sys/kernel/btf/vmlinux");
    btf_header header;
    std::memcpy(&header, types.data(), sizeof header);
    char* const first = types.data() + header.hdr_len + header.type_off;
    const char* const strings = types.data() + header.hdr_len + header.str_off;
    for (char* at = first; at < first + header.type_len;) {
        const auto* t = reinterpret_cast<const btf_type*>(at);
        const unsigned kind = BTF_INFO_KIND(t->info), n = BTF_INFO_VLEN(t->info);
        at += sizeof *t;
        if (kind == BTF_KIND_STRUCT && strings + t->name_off == structure)
            for (unsigned i = 0; i < n; i++)
                if (auto& m = reinterpret_cast<btf_member*>(at)[i]; strings + m.name_off == member)
                    m.name_off = t->name_off;
        constexpr unsigned kSizes[][2] = {
            // all, and each of n
            {0, 0}, {4, 0}, {0, 0}, {12, 0}, {0, 12}, {0, 12}, {0, 8}, {0, 0}, {0, 0}, {0, 0},
            {0, 0}, {0, 0}, {0, 0}, {0, 8},  {4, 0},  {0, 12}, {0, 0}, {4, 0}, {0, 0}, {0, 12}};
        at += kSizes[kind][0] + kSizes[kind][1] * n;
    }
    return types;
}

// A kernel without CONFIG_FAIR_GROUP_SCHED, whose tasks do not know their queue. It takes 10 s and
// more: the kernel's types are written without a member, and each of four starts reads all of them.
TEST(Runqlen, WithoutGroups)
{
    const TempDir dir;
    const std::string file = dir / "btf";
    write_file(file, types_without("sched_entity", "cfs_rq"));
    for (const char* tool : {"runqlen", "cpuunclaimed"}) {
        const Result said = run({"doctor", "--json", "--btf", file, tool});
        ASSERT_EQ(said.records.size(), 1u) << said.err;
        EXPECT_EQ(said.records[0].at("probes"), Json::array({"runqueues"})) << said.out;
    }
    const Busy busy(4);
    Tracer tracer({"runqlen", "--json", "-C", "--btf", file, "--explain"});
    ::usleep(1'000'000);
    const Result result = tracer.stop();
    EXPECT_NE(result.err.find(
                  "cpu-clock: BTF has no member sched_entity.cfs_rq (CONFIG_FAIR_GROUP_SCHED)"),
              std::string::npos)
        << result.err;
    const Records last = with(result.records, "cpu", cpus() - 1);
    ASSERT_EQ(last.size(), 1u) << result.out;
    EXPECT_EQ(last[0].at("p50"), 3) << last[0];
    expect_exact(result);

    // Nor does the kernel tell where they are.
    const std::string before = read_file("/proc/sys/kernel/kptr_restrict");
    write_file("/proc/sys/kernel/kptr_restrict", "2");
    const Result hidden = run({"cpuunclaimed", "--btf", file, "0.1", "1"});
    write_file("/proc/sys/kernel/kptr_restrict", before);
    EXPECT_EQ(hidden.status, 2) << hidden.err;
    EXPECT_NE(hidden.err.find("kptr_restrict"), std::string::npos) << hidden.err;
}

TEST(Runqlen, TextOccupancyAndBadInput)
{
    const Busy busy(3);
    const Result plain = run({"runqlen", "-H", "0.6", "1"});
    const auto all = lines(plain.out);
    ASSERT_GE(all.size(), 5u) << plain.out;
    EXPECT_EQ(all[0], "");
    EXPECT_EQ(words(all[1]), (std::vector<std::string>{"runqlen", ":", "count", "distribution"}));
    EXPECT_EQ(words(all[2]).at(0), "0");
    EXPECT_EQ(words(all[2]).at(1), ":");
    EXPECT_EQ(words(all[3]).at(0), "1");
    const Result cpus_apart = run({"runqlen", "-TOC", "0.6", "2"});
    const auto rows = lines(cpus_apart.out);
    ASSERT_EQ(rows.size(), 2 * (2 + cpus())) << cpus_apart.out;
    EXPECT_EQ(rows[1].size(), 8u);
    const auto last = words(rows[1 + cpus()]);
    ASSERT_EQ(last.size(), 4u) << cpus_apart.out;
    EXPECT_EQ(last[0] + last[1] + last[2], "runqocc,CPU" + to_string(cpus() - 1));
    EXPECT_GE(std::stod(last[3]), 80);
    EXPECT_TRUE(last[3].ends_with("%"));
    const Result one = run({"runqlen", "-O", "0.6", "1"});
    EXPECT_TRUE(lines(one.out).at(0).starts_with("runqocc: ")) << one.out;
    for (const char* bad : {"0", "x", "-1"})
        EXPECT_EQ(run({"runqlen", "-f", bad}).status, 1) << bad;
    EXPECT_EQ(run({"runqlen", "-f", "999999"}).status, 2); // more than the kernel samples
    EXPECT_EQ(run({"runqlen", "-p", "1"}).status, 1);      // a queue is nobody's
}

} // namespace
