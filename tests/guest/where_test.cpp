// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --where: of n events that a test causes k are shown and the others are counted as filtered,
// whether the kernel decides or user space.
#include "block.hpp"
#include "contest.hpp"
#include "net.hpp"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

void open_times(const std::string& path, int times)
{
    for (int i = 0; i < times; i++)
        if (const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0)
            ::close(fd);
}

void expect_filtered(const Result& result, std::uint64_t printed, std::uint64_t at_least)
{
    expect_exact(result);
    EXPECT_EQ(result.account.at("printed"), printed) << result.out << result.err;
    EXPECT_GE(result.account.at("filtered").get<std::uint64_t>(), at_least);
}

class WhereRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, WhereRung, testing::Values("", "kprobe", "perf_buffer"), rung_name);

TEST_P(WhereRung, OpensByPathErrorAndName)
{
    TempDir dir;
    write_file(dir / "wanted.conf", "x");
    write_file(dir / "other.conf", "x");
    const auto work = [&] {
        open_times(dir / "wanted.conf", 5);
        open_times(dir / "other.conf", 7);
        open_times(dir / "missing.conf", 3);
    };
    const auto shown = [&](const std::string& condition) {
        return watch("opensnoop", {"--where", condition}, work, {.env = env()});
    };
    const std::string wanted = "path == \"" + (dir / "wanted.conf") + "\"";
    const Result equal = shown(wanted);
    expect_filtered(equal, 5, 10);
    for (const Json& r : equal.records)
        EXPECT_EQ(r.at("path"), dir / "wanted.conf");
    expect_filtered(shown("path ~ \"*.conf\" && err == 2 && fd < 0"), 3, 12);
    expect_filtered(shown("path ~ \"*/[!w]ther.conf\" && defined(fd)"), 7, 8);
}

// What only user space knows: names of errors, relative paths with their directory, patterns of
// regular expressions.
TEST(Where, OpensThatUserSpaceDecides)
{
    TempDir dir;
    write_file(dir / "file", "x");
    const auto work = [&] {
        EXPECT_EQ(::chdir(dir.path().c_str()), 0);
        open_times("file", 5);
        open_times("missing", 3);
        open_times(dir / "file", 2);
    };
    const auto shown = [&](const std::string& condition) {
        return watch("opensnoop", {"-F", "--where", condition}, work);
    };
    expect_filtered(shown("path == \"" + (dir / "file") + "\""), 7, 3);
    expect_filtered(shown("error == \"ENOENT\" || path =~ \"^" + dir.path() + "/f.*e$\""), 10, 0);
    expect_filtered(shown("error == \"ENOENT\" && path ~ \"*missing\""), 3, 7);
}

TEST(Where, ProgramsByTheirFile)
{
    TempDir dir;
    for (const char* name : {"first", "second"})
        ASSERT_EQ(::symlink("/bin/busybox", (dir / name).c_str()), 0);
    const Result result = watch("execsnoop", {"--where", "filename ~ \"*/second\" && ret == 0"},
                                [&] {
                                    for (int i = 0; i < 7; i++) {
                                        const std::string path = dir / (i < 4 ? "first" : "second");
                                        const pid_t pid = ::fork();
                                        if (pid == 0) {
                                            ::execl(path.c_str(), "true", nullptr);
                                            ::_exit(1);
                                        }
                                        ::waitpid(pid, nullptr, 0);
                                    }
                                },
                                {.by = "--ppid"});
    expect_filtered(result, 3, 4);
}

class WhereDisk : public testing::Test
{
protected:
    void SetUp() override { make_slow_disks(); }
    void TearDown() override { shell("rmmod null_blk"); }

    static void requests()
    {
        const File disk(kSlow), other(kSlow2);
        disk.read(5);
        disk.write(3);
        other.read(4);
    }
};

TEST_F(WhereDisk, RequestsOneByOneAndCounted)
{
    const std::string wanted = "disk == \"nullb0\" && op == \"read\" && bytes == 4k && lat_ms >= 0";
    Tracer one({"biosnoop", "--json", "--where", wanted});
    Tracer counted({"biolatency", "--json", "--where", wanted});
    Tracer none({"biolatency", "--json", "--where", "disk ~ \"nullb*\" && bytes > 4k"});
    Child child(requests);
    child.go_wait();
    const Result rows = one.stop(), histogram = counted.stop(), empty = none.stop();
    // Nobody else uses these disks, but others may be in use.
    expect_filtered(rows, 5, 7);
    for (const Json& r : rows.records) {
        EXPECT_EQ(r.at("disk"), "nullb0");
        EXPECT_EQ(r.at("op"), "read");
    }
    expect_filtered(histogram, 5, 7);
    ASSERT_EQ(histogram.records.size(), 1u) << histogram.out;
    EXPECT_EQ(histogram.records[0].at("count"), 5);
    expect_filtered(empty, 0, 12);
}

TEST(Where, WaitsForACpu)
{
    Contest contest;
    Tracer tracer({"runqlat", "--json", "--where", "comm ~ \"waiter-?\" && wait_us > 20000"});
    contest.run();
    const Result result = tracer.stop();
    expect_filtered(result, 1, 1);
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    EXPECT_EQ(result.records[0].at("count"), 1);
}

TEST(Where, TransfersOfFiles)
{
    TempDir dir;
    for (const char* name : {"a", "b"})
        write_file(dir / name, "x");
    const Result result =
        watch("filetop", {"--where", "file == \"a\" && (op == \"write\" || bytes > 4)"}, [&] {
            for (const char* name : {"a", "b"}) {
                const int fd = ::open((dir / name).c_str(), O_RDWR | O_CLOEXEC);
                char text[8] = {};
                for (int i = 0; i < 3; i++)
                    EXPECT_EQ(::pwrite(fd, text, 8, 0), 8);
                EXPECT_EQ(::pread(fd, text, 8, 0), 8);
                EXPECT_EQ(::pread(fd, text, 2, 0), 2);
                ::close(fd);
            }
        });
    expect_filtered(result, 4, 6);
    std::uint64_t reads = 0, writes = 0;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("file"), "a");
        reads += r.at("reads").get<std::uint64_t>();
        writes += r.at("writes").get<std::uint64_t>();
    }
    EXPECT_EQ(reads, 1u);
    EXPECT_EQ(writes, 3u);
}

TEST(Where, OneConditionOfEachOfTwoRuns)
{
    TempDir dir;
    write_file(dir / "file", "x");
    const Result result =
        shell("corebox both opensnoop --json --duration 3 --where 'path ~ \"" + dir.path() +
              "/f*\"' + opensnoop --json --where 'err == 2 && path ~ \"" + dir.path() +
              "/*\"' -- sh -c 'cat " + (dir / "file") + " " + (dir / "missing") + " 2>/dev/null'");
    std::size_t found = 0, missing = 0;
    for (const std::string& line : lines(result.out)) {
        found += line.find(dir / "file\"") != line.npos;
        missing += line.find(dir / "missing\"") != line.npos;
    }
    EXPECT_EQ(found, 1u) << result.out << result.err;
    EXPECT_EQ(missing, 1u) << result.out << result.err;
}

// Addresses and networks of both versions, in the kernel.
TEST(Where, Addresses)
{
    const auto sessions = [] {
        for (const char* address : {"127.0.0.1", "127.0.0.2", "::1"}) {
            const Socket listener = listen_on(address);
            Socket client = connect_to(address, listener.port());
            Socket server = accept_from(listener);
            client.close();
            server.expect_end();
        }
        wait_for_ends();
    };
    const auto shown = [&](const char* tool, const char* condition) {
        return watch(tool, {"--where", condition, "--explain"}, sessions);
    };
    // The client's end of the second.
    const Result one = shown("tcplife", "laddr in 127.0.0.0/30 && raddr != 127.0.0.1");
    expect_filtered(one, 1, 5);
    EXPECT_EQ(one.records.at(0).at("raddr"), "127.0.0.2");
    EXPECT_NE(one.err.find("where: raddr != 127.0.0.1: kernel\n"), one.err.npos) << one.err;
    expect_filtered(shown("tcplife", "raddr in {::1, 127.0.0.2, 10.0.0.0/8}"), 3, 3);
    const Result states = shown("tcpstates", "laddr in ::/127 && raddr == ::1");
    expect_exact(states);
    EXPECT_GE(states.records.size(), 6u) << states.out << states.err;
    for (const Json& r : states.records)
        EXPECT_EQ(r.at("laddr"), "::1") << r;
}

// So many patterns that the kernel takes no program of them: all opens come to user space, which
// decides. A tool that counts in the kernel cannot do that.
TEST(Where, WhatTheKernelRefuses)
{
    TempDir dir;
    write_file(dir / "wanted.conf", "x");
    const auto many = [](const std::string& column, int groups) {
        std::string all;
        for (int group = 0; group < groups; group++) {
            all += group ? " || (" : "(";
            for (int i = 0; i < 50; i++)
                all += (i ? "||" : "") + column + "~\"*Q" + to_string(group * 50 + i) + "?*\"";
            all += ")";
        }
        return all;
    };
    const Result opens =
        watch("opensnoop",
              {"--explain", "--where", "path ~ \"*wanted.conf\" || " + many("path", 12)}, [&] {
                  open_times(dir / "wanted.conf", 3);
                  open_times("/none", 5);
              });
    EXPECT_EQ(opens.status, 0) << opens.err;
    expect_filtered(opens, 3, 5);
    EXPECT_NE(opens.err.find("user space; the kernel refuses the condition"), opens.err.npos);
    const Result counts = run({"syscount", "-d", "1", "--where", many("comm", 12)});
    EXPECT_EQ(counts.status, 2) << counts.out;
    EXPECT_NE(counts.err.find("cannot evaluate --where in the kernel: "), counts.err.npos)
        << counts.err;
    EXPECT_EQ(lines(counts.err).size(), 1u) << counts.err;
}

// A condition of all columns that the kernel decides, which no event fulfils: that the verifier
// takes it, with the record wherever the tool has it. It takes the time of a start of each tool.
struct Conditions {
    std::string none;
    std::vector<std::string> arguments;
};

Conditions conditions(const std::string& tool)
{
    const Result schema = run({tool, "--schema"});
    const Json declared = Json::parse(schema.out);
    Conditions c;
    for (const char* list : {"columns", "fields"})
        if (declared.contains(list))
            for (const Json& column : declared[list]) {
                if (column.value("where", "") != "kernel")
                    continue;
                const bool is_text = column.at("type") == "text";
                const bool is_address = column.at("type") == "address";
                const std::string key = column.at("key");
                if (key.starts_with("arg")) // a function may have less
                    continue;
                const std::string test = key + (is_text      ? " == \"no such text\""
                                                : is_address ? " == 203.0.113.77"
                                                             : " == 4000000001");
                c.none += (c.none.empty() ? "" : " || ") + test;
            }
    if (declared.contains("smoke"))
        for (const Json& argument : declared["smoke"])
            c.arguments.push_back(argument);
    return c;
}

TEST(Where, EveryToolTakesConditions)
{
    unsigned tested = 0;
    for (const std::string& line : lines(shell("corebox names").out)) {
        const auto names = words(line);
        if (names.size() != 2 || names[0] != names[1])
            continue;
        const std::string& tool = names[0];
        const Conditions c = conditions(tool);
        if (c.none.empty())
            continue;
        SCOPED_TRACE(tool);
        std::vector<std::string> argv{tool};
        argv.insert(argv.end(), c.arguments.begin(), c.arguments.end());
        argv.insert(argv.end(), {"--run-time", "0.3", "--json", "--where", c.none});
        const Result none = run(argv);
        if (none.status == 2)
            continue; // not on this machine
        EXPECT_EQ(none.status, 0) << none.err;
        expect_exact(none);
        if (none.account.is_object()) {
            EXPECT_EQ(none.account.value("printed", -1), 0) << none.out;
        }
        tested++;
    }
    EXPECT_GT(tested, 30u);
}

} // namespace
