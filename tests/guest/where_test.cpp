// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --where: of n events that a test causes k are shown and the others are counted as filtered,
// whether the kernel decides or user space.
#include "block.hpp"
#include "contest.hpp"
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

// Conditions of all columns that the kernel decides: one that no event fulfils, and its opposite.
// That the verifier takes them, with the record wherever the tool has it.
class WhereOfTool : public testing::TestWithParam<const char*>
{
};

struct Conditions {
    std::string none, all;
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
                const std::string key = column.at("key");
                const std::string test =
                    key + (is_text ? " == \"no such text\"" : " == 4000000001");
                c.none += (c.none.empty() ? "" : " || ") + test;
                c.all += (c.all.empty() ? "" : " && ") + ("!(" + test + ")");
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
        const std::vector<std::string> check = [&] {
            auto with = argv;
            with.push_back("--check");
            return with;
        }();
        if (run(check).status == 2)
            continue; // not on this machine
        argv.insert(argv.end(), {"--run-time", "0.3", "--json", "--where", ""});
        argv.back() = c.none;
        const Result none = run(argv);
        EXPECT_EQ(none.status, 0) << none.err;
        expect_exact(none);
        if (none.account.is_object()) {
            EXPECT_EQ(none.account.value("printed", -1), 0) << none.out;
        }
        argv.back() = c.all;
        const Result all = run(argv);
        EXPECT_EQ(all.status, 0) << all.err;
        expect_exact(all);
        tested++;
    }
    EXPECT_GT(tested, 30u);
}

} // namespace
