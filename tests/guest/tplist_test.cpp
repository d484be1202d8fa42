// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What there is to trace: the kernel's tracepoints, the probes and functions of files.
#include "harness.hpp"
#include "usdt.hpp"
#include <algorithm>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

USDT_SEMAPHORE(cbtest_listed_semaphore);

extern "C" {
[[gnu::noinline, gnu::noipa]] void cbtest_listed(int n)
{
    if (cbtest_listed_semaphore)
        USDT_PROBE("cbtest", "listed", "cbtest_listed_semaphore", n, long(n));
    USDT_PROBE("cbtest", "twice", "0", n, long(n));
    USDT_PROBE("cbtest", "twice", "0", n + 1, long(n));
}
}

namespace
{

using namespace corebox::test;

TEST(Tplist, Tracepoints)
{
    const Result all = run({"tplist"});
    EXPECT_EQ(all.status, 0) << all.err;
    const auto rows = lines(all.out);
    EXPECT_GT(rows.size(), 500u);
    EXPECT_TRUE(std::ranges::is_sorted(rows));
    EXPECT_NE(std::ranges::find(rows, "sched:sched_switch"), rows.end());
    for (const std::string& row : rows)
        EXPECT_FALSE(row.starts_with("ftrace:")) << row;

    const Result fields = run({"tplist", "-v", "sched:sched_swi[tx]ch"});
    const auto told = lines(fields.out);
    ASSERT_GE(told.size(), 8u) << fields.out;
    EXPECT_EQ(told[0], "sched:sched_switch");
    EXPECT_NE(std::ranges::find(told, "    pid_t prev_pid;"), told.end()) << fields.out;
    EXPECT_EQ(fields.out.find("common_"), std::string::npos);

    const Result json = run({"tplist", "--json", "-v", "sched:sched_switch"});
    ASSERT_EQ(json.records.size(), 1u) << json.out;
    EXPECT_EQ(json.records[0]["kind"], "tracepoint");
    EXPECT_EQ(json.records[0]["name"], "sched:sched_switch");
    EXPECT_NE(std::ranges::find(json.records[0]["fields"], Json("pid_t prev_pid")),
              json.records[0]["fields"].end());
    EXPECT_EQ(run({"tplist", "no_such:event"}).out, "");
}

TEST(Tplist, ProbesOfFilesAndProcesses)
{
    cbtest_listed(1);
    const Result r = run({"tplist", "--json", "-v", "-l", "/t/guest_tests", "cbtest:*"});
    EXPECT_EQ(r.status, 0) << r.err;
    const Records twice = with(r.records, "name", "cbtest:twice");
    ASSERT_EQ(twice.size(), 1u) << r.out;
    EXPECT_EQ(twice[0]["kind"], "usdt");
    EXPECT_EQ(twice[0]["path"], "/t/guest_tests");
    EXPECT_EQ(twice[0]["locations"], 2);
    EXPECT_EQ(twice[0]["arguments"], 2);
    EXPECT_TRUE(twice[0]["semaphore"].is_null());
    const Records listed = with(r.records, "name", "cbtest:listed");
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_GT(listed[0]["semaphore"], 0);

    const Result text = run({"tplist", "-vv", "-p", std::to_string(::getpid()), "cbtest:twice"});
    const auto rows = lines(text.out);
    ASSERT_EQ(rows.size(), 7u) << text.out;
    EXPECT_EQ(rows[0], "/t/guest_tests cbtest:twice [sema 0x0]");
    EXPECT_TRUE(rows[1].starts_with("  location #1 0x")) << rows[1];
    EXPECT_TRUE(rows[2].starts_with("    argument #1 4 signed bytes @ %")) << rows[2];
    EXPECT_TRUE(rows[3].starts_with("    argument #2 8 unsigned bytes @ %")) << rows[3];
    EXPECT_TRUE(rows[4].starts_with("  location #2 0x")) << rows[4];

    const Result functions =
        run({"tplist", "--json", "--functions", "-l", "/t/guest_tests", "cbtest_lis*"});
    ASSERT_EQ(functions.records.size(), 1u) << functions.out;
    EXPECT_EQ(functions.records[0]["name"], "cbtest_listed");
    const Result kernel_functions = run({"tplist", "--functions", "vfs_rea?"});
    EXPECT_EQ(kernel_functions.out, "vfs_read\n");
}

TEST(Tplist, BadInputAndNoTracefs)
{
    for (const auto& [argv, status] :
         {std::pair(std::vector<std::string>{"tplist", "-l", "no_such_library"}, 2),
          {{"tplist", "-l", "/etc/passwd"}, 2},
          {{"tplist", "-p", "99999999"}, 2},
          {{"tplist", "-p", "0"}, 1},
          {{"tplist", "a", "b"}, 1}}) {
        const Result r = run(argv);
        EXPECT_EQ(r.status, status) << argv.back() << r.err;
        EXPECT_EQ(r.out, "");
    }
    in_namespaces(CLONE_NEWNS, [] {
        ::umount2("/sys/kernel/tracing", MNT_DETACH);
        ::umount2("/sys/kernel/debug", MNT_DETACH);
        EXPECT_EQ(::mount("none", "/sys/kernel", "tmpfs", 0, nullptr), 0);
        const Result none = run({"tplist"});
        EXPECT_EQ(none.status, 2);
        EXPECT_NE(none.err.find("tracefs is not mounted"), std::string::npos) << none.err;
        EXPECT_EQ(run({"tplist", "-l", "/t/guest_tests", "cbtest:twice"}).out,
                  "/t/guest_tests cbtest:twice\n");
    });
}

// What the kernel's memory tells of its functions is what its lists tell.
TEST(Tplist, FunctionsByMemoryAndByLists)
{
    if (!has_symbol("kallsyms_on_each_match_symbol"))
        GTEST_SKIP() << "the kernel's memory does not tell them";
    // Those of ext4, a module, are among them. All of them would take ten seconds.
    const std::vector<std::string> argv{"tplist", "--functions", "e*"};
    const Environment by_lists{{"COREBOX_FUNCTIONS", "lists"}};
    const Result memory = run(argv), lists = run(argv, by_lists);
    EXPECT_EQ(memory.status, 0) << memory.err;
    auto all = lines(memory.out), listed = lines(lists.out);
    EXPECT_GT(listed.size(), 1500u);
    // Of functions that share a name lists without addresses do not tell which ones can be traced.
    if (::access("/sys/kernel/tracing/available_filter_functions_addrs", F_OK) == 0)
        EXPECT_TRUE(memory.out == lists.out) << all.size() << " and " << listed.size();
    std::ranges::sort(all);
    std::ranges::sort(listed);
    std::vector<std::string> missing;
    std::ranges::set_difference(listed, all, std::back_inserter(missing));
    EXPECT_EQ(missing, std::vector<std::string>{});
    // Several share this name: all are traced.
    const std::vector<std::string> shared{"funclatency", "--duration", "0.1", "type_show"};
    const Result some = run(shared);
    EXPECT_EQ(some.status, 0) << some.err;
    EXPECT_NE(some.err.find(" functions"), std::string::npos) << some.err;
    EXPECT_EQ(run(shared, by_lists).err, some.err);
    // Of these one can be traced.
    EXPECT_EQ(run({"funclatency", "--check", "t_next"}).status, 0);
}

} // namespace
